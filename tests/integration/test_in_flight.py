"""Announce, then check, then send, then release (P7): there is no moment at which an order is out of sight."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from killswitch import Blocked, Gate, Verdict
from tests.support.agents import PATIENCE_S, open_epoch
from tests.support.switch import Switch
from tests.support.waiting import eventually


def test_an_order_between_its_check_and_its_sending_is_in_sight(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a thread that stops right after the check of gate 2 has passed is counted, so there is no QUIET while it may
    still send; once it has released, there is."""
    passed, go_on = threading.Event(), threading.Event()
    check = Gate.check_order

    def check_and_stop(gate: Gate, epoch: int, reduces: bool) -> None:
        check(gate, epoch, reduces)
        passed.set()
        go_on.wait(PATIENCE_S)

    agent = switch.agent()
    sent: list[int] = []

    def trade() -> None:
        while not passed.is_set():
            try:
                with agent.gate.order(open_epoch(agent), order_id="c-5") as permit:
                    sent.append(permit.epoch)
            except Blocked:
                pass

    monkeypatch.setattr(Gate, "check_order", check_and_stop)
    with ThreadPoolExecutor(1) as pool:
        trading = pool.submit(trade)
        assert passed.wait(PATIENCE_S)
        eventually(lambda: switch.control.status().members[0].orders == ("c-5",), why="a beat tells of the order")
        outcome = switch.control.engage("stop", wait_s=2.0)
        assert outcome.verdict is Verdict.UNCERTAIN
        assert [(m.in_flight, m.orders) for m in outcome.pending] == [(1, ("c-5",))]
        assert sent == []
        go_on.set()
        trading.result()
    assert len(sent) == 1  # it was sent after the engagement, and nobody had called the fleet quiet
    assert switch.control.engage("again", wait_s=PATIENCE_S).verdict is Verdict.QUIET


def test_no_order_is_sent_after_the_proof_however_hard_threads_try(switch: Switch) -> None:
    """P6 and P7: several threads trade without pause; whatever they sent, they sent before QUIET was returned."""
    agent = switch.agent()
    over = threading.Event()
    sent = [0, 0, 0]

    def trade(number: int) -> None:
        epoch = open_epoch(agent)
        while not over.is_set():
            try:
                with agent.gate.order(epoch):
                    sent[number] += 1
            except Blocked as blocked:
                epoch = blocked.epoch

    with ThreadPoolExecutor(len(sent)) as pool:
        trading = [pool.submit(trade, number) for number in range(len(sent))]
        try:
            for _ in range(5):
                already = list(sent)
                eventually(
                    lambda before=already: all(now > then for now, then in zip(sent, before, strict=True)),  # type: ignore[misc]
                    timeout_s=PATIENCE_S,
                    why="every thread trades",
                )
                outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
                at_proof = list(sent)
                assert outcome.verdict is Verdict.QUIET
                again = switch.control.engage("again", wait_s=PATIENCE_S)
                assert again.verdict is Verdict.QUIET
                assert sent == at_proof
                switch.permit()
        finally:
            over.set()
        for one in trading:
            one.result()
