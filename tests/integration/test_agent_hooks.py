"""Callbacks of an agent that are called beside its watcher."""

from __future__ import annotations

import threading

from killswitch import Code, Mode, Verdict, View
from tests.support.agents import open_epoch
from tests.support.switch import Switch
from tests.support.waiting import eventually


def test_change_is_told_beside_the_watcher_and_one_that_hangs_delays_nothing(switch: Switch) -> None:
    """A callback that never returns neither keeps the gate open nor the worker from proving that it is quiet."""
    agent = switch.agent(worker_id="w1")
    let_go = threading.Event()
    views: list[View] = []

    def hang(_: View) -> None:
        let_go.wait(60)

    agent.on_change(hang)
    agent.on_change(views.append)
    try:
        open_epoch(agent)
        outcome = switch.control.engage("fat finger", wait_s=20)
        assert outcome.verdict is Verdict.QUIET
        eventually(lambda: views and views[-1].code is Code.ENGAGED, why="the other one hears of it")
        assert "fat finger" in views[-1].reason
        assert Code.STATE_CHANGED not in {view.code for view in views}
        assert not let_go.is_set()
        switch.permit()
        eventually(lambda: views[-1].mode is Mode.SAFE, why="and of the permission")
    finally:
        let_go.set()
