"""Trading is not disturbed by drills: the same orders with a drill all the time as without one, and no word of a
stop."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from killswitch import Agent, Blocked, Code, Controller, DrillVerdict, View, clock
from tests.support.agents import open_epoch
from tests.support.switch import Switch
from workers.broker import GuardedBroker, PaperBroker, Sent
from workers.domain import Order
from workers.engine import Engine
from workers.feed import SyntheticFeed
from workers.recorder import Recorder
from workers.report import EngineReport
from workers.strategy import MeanReversion

CALM: dict[str, Any] = {"lease_ms": 30_000, "renew_ms": 2000, "patience_ms": 10_000, "beat_ms": 500}
"""A busy machine must not close these gates: only drills are under test."""
DRILLS = 200
TICKS = 60_000


class Kept(Recorder):
    """What was sent, and every word of a stop."""

    def __init__(self) -> None:
        self.orders: list[tuple[Order, int]] = []
        self.stops: list[object] = []

    def order(self, order: Order, sent: Sent) -> None:
        self.orders.append((order, sent.epoch))

    def refused(self, order: Order, check_ns: int, code: str) -> None:
        self.stops.append(("refused", code))

    def blocked(self, at_ns: int, code: str, checks: int, passed_ns: int) -> None:
        self.stops.append(("blocked", code))

    def closed(self, at_ns: int, code: str, epoch: int) -> None:
        self.stops.append(("closed", code))


@contextmanager
def drilled_all_the_time(control: Controller) -> Iterator[list[DrillVerdict]]:
    """One drill after the other while the block runs; what they came to."""
    over, found = threading.Event(), []

    def drill() -> None:
        while not over.is_set():
            found.append(control.drill().verdict)

    thread = threading.Thread(target=drill)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def replay(agent: Agent) -> tuple[EngineReport, Kept]:
    """One engine on the same ticks, as fast as it can."""
    broker, kept = GuardedBroker(PaperBroker(), agent.gate, lambda: True), Kept()
    feed, strategy = SyntheticFeed(7, limit=TICKS), MeanReversion()
    engine = Engine("e1", feed=feed, strategy=strategy, broker=broker, agent=agent, recorder=kept, patience_ms=10_000)
    return asyncio.run(engine.run()), kept


def test_the_same_ticks_make_the_same_orders_with_drills_as_without(switch: Switch) -> None:
    """Orders, their epochs, fills, positions and cancels are equal to the last one; nothing counts as blocked."""
    agent = switch.agent(**CALM)
    open_epoch(agent)
    plain, calm = replay(agent)
    with drilled_all_the_time(switch.control) as found:
        drilled, disturbed = replay(agent)
    assert drilled.waited > 0  # drills did meet ticks
    assert len(found) > 1
    assert set(found) == {DrillVerdict.PASSED}
    assert len(calm.orders) > 1000
    assert disturbed.orders == calm.orders
    told = [(run.ticks, run.signals, run.fills, run.replaced, run.positions, run.cancelled) for run in (plain, drilled)]
    assert told[0] == told[1]
    assert (drilled.blocked_signals, drilled.blocked_orders, disturbed.stops) == ({}, {}, [])


def test_hundreds_of_drills_are_no_stop_to_a_loop_that_trades(switch: Switch) -> None:
    """A refused check says that something changed and nothing else; the epoch stays, signals from before a drill are
    good after it, nothing stays in flight, and nobody hears of a closing or an opening."""
    agent = switch.agent(**CALM)
    epoch = open_epoch(agent)
    heard: list[View] = []
    agent.on_close(heard.append)
    agent.on_open(heard.append)
    over, codes, epochs, passed = threading.Event(), Counter[Code](), set[int](), [0]

    def trade() -> None:
        while not over.is_set():
            clock.sleep(0.00005)  # so that the drills of this same process get on
            try:
                epochs.add(agent.gate.signal())
                with agent.gate.order(epoch) as permit:
                    epochs.add(permit.epoch)
                    passed[0] += 1
            except Blocked as blocked:
                codes[blocked.code] += 1
                epochs.add(blocked.epoch)

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        drills = [switch.control.drill() for _ in range(DRILLS)]
    finally:
        over.set()
        thread.join()
    assert {drill.verdict for drill in drills} == {DrillVerdict.PASSED}
    assert set(codes) == {Code.STATE_CHANGED}
    assert passed[0] > DRILLS
    assert epochs == {epoch}
    assert heard == []
    assert agent.in_flight == 0
    assert open_epoch(agent) == epoch
    status = switch.control.status()
    assert [(member.closed, member.code, member.epoch) for member in status.members] == [(False, "open", epoch)]
    assert (status.epoch, len(switch.control.drills(DRILLS + 1))) == (epoch, DRILLS)
