"""What an engine tells: its report, its progress, its log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence

import pytest
import structlog

from killswitch import Blocked, Code
from tests.unit.workers.doubles import ScriptedAgent
from tests.unit.workers.rig import LEAVE, REST, TAKE, TICKS, Rig
from workers import telling
from workers.domain import Order, Tick
from workers.feed import SyntheticFeed
from workers.feed.base import BATCH
from workers.histogram import Histogram
from workers.latency import parse_latency
from workers.report import Ending, EngineReport, Tally
from workers.strategy import MeanReversion
from workers.telling import Telling


def test_the_report_is_json_and_its_histograms_can_be_merged() -> None:
    """Every tick and every order was timed, and another process can add the figures up."""
    rig = Rig(TAKE, None, LEAVE)
    report = json.loads(json.dumps(rig.run(*TICKS[:10]).as_dict()))
    latency = {stage: Histogram.from_dict(data) for stage, data in report["latency_ns"].items()}
    assert {stage: histogram.count for stage, histogram in latency.items()} == {
        "tick": 10,
        "gate1": 10,
        "gate2": 2,
        "tick_to_signal": 2,
        "tick_to_order": 2,
    }
    assert report["ending"] == "feed_ended"
    assert report["feed"] == {"rows": 10, "ticks": 10, "bad": {}, "skipped": {}}
    assert report["positions"]["EURUSD"]["quantity"] == 0
    assert report["ticks_per_s"] > 0


@pytest.mark.parametrize(("every_ns", "times"), [(0, 17), (10**18, 1)])
def test_progress_is_published_when_it_is_time_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, every_ns: int, times: int
) -> None:
    """The status shows a running engine, and the loop asks the clock once for a batch of ticks, not for each."""
    monkeypatch.setattr(telling, "_PROGRESS_NS", every_ns)
    rig = Rig()
    rig.run(feed=SyntheticFeed(1, limit=2_000))  # 16 batches
    timed = parse_latency(rig.agent.annotations.pop("latency"))
    assert {stage: sum(found.powers.values()) for stage, found in timed.items()} == {"tick": 2_000, "gate1": 2_000}
    assert rig.agent.annotations == {
        "engine": "e1",
        "ticks": 2_000,
        "signals": 0,
        "orders": 0,
        "fills": 0,
        "blocked_signals": 0,
        "blocked_orders": 0,
        "cancelled": 0,
    }
    assert rig.agent.annotated == times


def test_decisions_are_logged_and_ordinary_ticks_are_not() -> None:
    """Start, open, blocked, cancelled, open again, end: one line each, however many ticks."""
    rig = Rig(REST, REST)
    with structlog.testing.capture_logs() as logs:
        rig.run(*TICKS[:30], rig.agent.engage, *TICKS[30:60], rig.agent.reset, *TICKS[60:90])
    said = [(entry["event"], entry.get("code") or entry.get("why") or entry.get("ending")) for entry in logs]
    assert said == [
        ("engine_start", Code.OPEN),
        ("engine_open", None),
        ("engine_cancelled", Code.ENGAGED),
        ("engine_blocked", Code.ENGAGED),
        ("engine_open", None),
        ("engine_end", Ending.FEED_ENDED),
    ]


def test_orders_blocked_for_one_reason_are_logged_once() -> None:
    """A strategy that keeps trying under REDUCING does not fill the disk."""
    rig = Rig(*[REST] * 20)
    with structlog.testing.capture_logs() as logs:
        report = rig.run(rig.agent.reduce, *TICKS[:20])
    assert report.blocked_orders == {"reducing": 20}
    assert [entry["event"] for entry in logs].count("engine_order_blocked") == 1


def test_the_reference_strategy_trades_and_stops_in_the_engine() -> None:
    """Two runs over the same ticks, one engaged half way: the same orders up to there, and none after."""

    class HalfWay(SyntheticFeed):
        def __init__(self, agent: ScriptedAgent, at: int | None) -> None:
            super().__init__(5, limit=4_000)
            self.agent = agent
            self.at = at

        async def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
            async for batch in super().batches(stop):
                if self.at is not None and self.counts.ticks > self.at:
                    self.agent.engage()
                    self.at = None
                yield batch

    def trade(at: int | None) -> tuple[EngineReport, list[Order]]:
        rig = Rig()
        rig.strategy = MeanReversion()
        report = rig.run(feed=HalfWay(rig.agent, at))
        return report, [order for order, _ in rig.recorder.orders]

    whole, all_orders = trade(None)
    halted, orders = trade(2_000)
    assert whole.orders > halted.orders > 10
    assert orders == all_orders[: len(orders)]
    assert halted.blocked_signals == {"engaged": 4_000 - 15 * BATCH}
    assert {order.reduces for order in orders} == {True, False}


def test_a_blocked_gate_is_never_asked_twice_for_a_tick() -> None:
    """One check at gate 1 a tick, so its cost is what is measured."""
    rig = Rig()
    rig.agent.engage()
    rig.run(*TICKS[:7])
    assert rig.agent.gate.checks == 7
    with pytest.raises(Blocked):
        rig.agent.gate.signal()


def test_each_time_one_stage_is_gone_through_and_at_the_end_all_of_them() -> None:
    """No tick waits for every histogram, and the last word has them all."""
    agent, latency = ScriptedAgent(), {stage: Histogram() for stage in ("a", "b", "c")}
    told = Telling("e1", agent, Tally(), latency)
    for histogram in latency.values():
        histogram.record(100)
    seen = []
    for _ in range(4):
        told.tell()
        seen.append(agent.annotations["latency"])
    assert seen == [
        "a 100 7:1",
        "a 100 7:1;b 100 7:1",
        "a 100 7:1;b 100 7:1;c 100 7:1",
        "a 100 7:1;b 100 7:1;c 100 7:1",
    ]
    for histogram in latency.values():
        histogram.record(100)
    told.tell(last=True)
    assert agent.annotations["latency"] == "a 200 7:2;b 200 7:2;c 200 7:2"
