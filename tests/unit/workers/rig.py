"""An engine with a scripted feed, strategy and agent around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from tests.unit.workers.doubles import ScriptedAgent, ticks_at
from workers.broker import GuardedBroker, PaperBroker, Sent
from workers.domain import Order, Position, Side, Signal, Tick
from workers.engine import Engine
from workers.feed import FeedCounts
from workers.recorder import Recorder
from workers.report import EngineReport

Step = Tick | Callable[[], Any]
TICKS = ticks_at(*[1.0] * 200)

REST = Signal(Side.BUY, 10, 0.5, reduces=False)
"""A bid far below the market: it works and never fills."""
TAKE = Signal(Side.BUY, 10, None, reduces=False)
"""Fills on the next tick."""
LEAVE = Signal(Side.SELL, 10, None, reduces=True)


class ScriptedFeed:
    """Ticks one by one; a callable between them is called first, and the loop may run before the tick that follows."""

    def __init__(self, *steps: Step) -> None:
        self.counts = FeedCounts()
        self.steps = steps

    async def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        for step in self.steps:
            if stop.is_set():
                return
            if isinstance(step, Tick):
                self.counts.rows += 1
                self.counts.ticks += 1
                yield [step]
            else:
                step()
            await asyncio.sleep(0)


class ScriptedStrategy:
    """Gives the signals of a list, one a tick, None for none; notes what it was shown and asked."""

    def __init__(self, *signals: Signal | None) -> None:
        self.signals = list(signals)
        self.seen = 0
        self.asked: list[Position] = []
        self.before_signal: Callable[[], Any] = lambda: None

    def on_tick(self, tick: Tick) -> None:
        self.seen += 1

    def signal(self, tick: Tick, position: Position) -> Signal | None:
        self.asked.append(position)
        self.before_signal()
        return self.signals.pop(0) if self.signals else None


class ListRecorder(Recorder):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.orders: list[tuple[Order, Sent]] = []
        self.closes: list[tuple[str, int]] = []
        self.cancels: list[tuple[int, str]] = []

    def order(self, order: Order, sent: Sent) -> None:
        self.orders.append((order, sent))

    def closed(self, at_ns: int, code: str, epoch: int) -> None:
        self.closes.append((code, epoch))

    def cancelled(self, at_ns: int, count: int, why: str) -> None:
        self.cancels.append((count, why))


class Rig:
    """An engine with everything around it in reach."""

    def __init__(self, *signals: Signal | None) -> None:
        self.agent = ScriptedAgent()
        self.venue = PaperBroker()
        self.strategy: Any = ScriptedStrategy(*signals)
        self.recorder = ListRecorder()
        self.owned = True
        self.patience_ms = 20
        self.engine: Engine

    def run(self, *steps: Step, feed: Any = None) -> EngineReport:
        guarded = GuardedBroker(self.venue, self.agent.gate, lambda: self.owned)
        self.engine = Engine(
            "e1",
            feed=feed or ScriptedFeed(*steps),
            strategy=self.strategy,
            broker=guarded,
            agent=self.agent,
            recorder=self.recorder,
            patience_ms=self.patience_ms,
        )
        return asyncio.run(asyncio.wait_for(self.engine.run(), 30))

    def working(self) -> int:
        return len(self.venue.open_orders())
