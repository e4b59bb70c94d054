"""What looks like proof and is none: goodbyes anybody can send, an empty membership, a stop that was replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from killswitch import Verdict
from killswitch.store.fleet import FleetStore
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually


def beat(switch: Switch, nonce: int, closed: int, in_flight: int) -> None:
    """What a worker "w1" says."""
    switch.raw("FCALL", "ks_beat", 1, STATE, nonce, "w1", 0, closed, in_flight, 60_000, 60_000, "life", "lease_ms", 100)


def test_goodbye_on_the_channel_does_not_overrule_the_membership(switch: Switch) -> None:
    """P6: anybody may publish `w1 left`; while w1 is in the membership with an order in flight it is not quiet."""
    beat(switch, 1, 0, 1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(switch.control.engage, "stop", wait_s=1.0)
        eventually(
            lambda: future.done() or switch.raw("PUBLISH", "killswitch:acks", "w1 left") == 1, why="the wait listens"
        )
        outcome = future.result()
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [m.worker_id for m in outcome.pending] == ["w1"]


def test_empty_membership_proves_nothing(switch: Switch) -> None:
    """P6: after the membership was deleted nobody is quiet by absence."""
    beat(switch, 1, 0, 1)
    switch.raw("DEL", "killswitch:workers")
    outcome = switch.control.engage("stop", wait_s=0.1)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "no worker is registered" in outcome.note


@pytest.mark.parametrize("again", ["by command", "by hand"])
def test_proof_of_a_stop_that_was_replaced_is_void(switch: Switch, monkeypatch: pytest.MonkeyPatch, again: str) -> None:
    """P6: members read before a reset and another engagement do not prove the later one, also while the later one is
    on nobody's record yet."""
    beat(switch, 1, 0, 0)
    look = FleetStore._worker_view
    done: list[int] = []

    def meanwhile(store: FleetStore, names: Any) -> Any:
        if not done:
            done.append(1)
            switch.control.reset(switch.control.status().switch.epoch, "bob")
            beat(switch, 3, 0, 1)
            if again == "by command":
                switch.control.engage("carol")
            else:
                switch.raw("SET", STATE, "ENGAGED carol")
        return look(store, names)

    monkeypatch.setattr(FleetStore, "_worker_view", meanwhile)
    outcome = switch.control.engage("stop", wait_s=3.0, on_engaged=lambda _: beat(switch, 2, 1, 0))
    assert done
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [(m.worker_id, m.in_flight) for m in outcome.pending] == [("w1", 1)]
