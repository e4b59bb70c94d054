"""A scripted stand-in for an agent: the same interface, the test says when it opens and closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from killswitch import Blocked, Code, Mode
from workers.domain import Tick
from workers.feed.base import FeedCounts

DAY_NS = 1_399_507_200_000_000_000


@dataclass
class ScriptedPermit:
    """One announced order."""

    gate: ScriptedGate
    asked: int
    reduces: bool
    order_id: str

    @property
    def epoch(self) -> int:
        return self.asked

    def __enter__(self) -> ScriptedPermit:
        self.gate.in_flight += 1
        try:
            self.gate.check(self)
        except Blocked:
            self.gate.in_flight -= 1
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.in_flight -= 1


class ScriptedGate:
    """Open or closed by attributes; `orders` lists what asked for gate 2, as (order id, epoch, reduces)."""

    def __init__(self) -> None:
        self.mode = Mode.SAFE
        self.epoch = 1
        self.code = Code.OPEN
        self.in_flight = 0
        self.checks = 0
        self.orders: list[tuple[str, int, bool]] = []

    def signal(self) -> int:
        self.checks += 1
        if self.mode is Mode.ENGAGED:
            raise self.blocked(self.code)
        return self.epoch

    def order(self, epoch: int, *, reduces: bool = False, order_id: str = "") -> AbstractContextManager[ScriptedPermit]:
        return ScriptedPermit(self, epoch, reduces, order_id)

    def check(self, permit: ScriptedPermit) -> None:
        self.orders.append((permit.order_id, permit.asked, permit.reduces))
        if permit.asked != self.epoch:
            raise self.blocked(Code.STALE_SIGNAL)
        if self.mode is Mode.ENGAGED or (self.mode is Mode.REDUCING and not permit.reduces):
            raise self.blocked(self.code)

    def blocked(self, code: Code) -> Blocked:
        return Blocked(code, self.mode, self.epoch, "scripted")


class ScriptedAgent:
    """What the engine sees of an agent."""

    def __init__(self) -> None:
        self.gate = ScriptedGate()
        self.annotations: dict[str, str | int | float] = {}
        self.annotated = 0
        self.callbacks: list[Callable[[Any], None]] = []

    @property
    def view(self) -> Any:
        return SimpleNamespace(mode=self.gate.mode, epoch=self.gate.epoch, code=self.gate.code)

    def on_close(self, callback: Callable[[Any], None], /) -> None:
        self.callbacks.append(callback)

    def annotate(self, **values: str | int | float) -> None:
        self.annotated += 1
        self.annotations.update(values)

    def set(self, mode: Mode, code: Code, epoch: int | None = None) -> None:
        """Changes what the gate says; tells the engine as a watcher would when it closes."""
        was_open = self.gate.mode is not Mode.ENGAGED
        self.gate.mode, self.gate.code = mode, code
        if epoch is not None:
            self.gate.epoch = epoch
        if was_open and mode is not Mode.SAFE:
            for callback in self.callbacks:
                callback(self.view)

    def engage(self) -> None:
        self.set(Mode.ENGAGED, Code.ENGAGED, self.gate.epoch + 1)

    def reset(self) -> None:
        self.set(Mode.SAFE, Code.OPEN, self.gate.epoch + 1)

    def reduce(self) -> None:
        self.set(Mode.REDUCING, Code.REDUCING, self.gate.epoch + 1)


def ticks_at(*mids: float, symbol: str = "EURUSD", spread: float = 0.0002) -> list[Tick]:
    """One tick a second with these mid prices."""
    return [Tick(symbol, DAY_NS + n * 1_000_000_000, mid - spread / 2, mid + spread / 2) for n, mid in enumerate(mids)]


def chunked(ticks: Sequence[Tick], size: int) -> Iterator[Sequence[Tick]]:
    """`ticks` in batches."""
    for start in range(0, len(ticks), size):
        yield ticks[start : start + size]


def counts_of(rows: int) -> FeedCounts:
    """Counts of a feed that read `rows` good rows."""
    return FeedCounts(rows=rows, ticks=rows)
