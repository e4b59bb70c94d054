"""What an engine did: the counts it keeps while it runs, and the report it hands in at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from workers.domain import Position
from workers.histogram import Histogram

__all__ = ["STAGES", "Ending", "EngineReport", "Tally"]

STAGES = ("tick", "gate1", "gate2", "tick_to_signal", "tick_to_order")
"""Stages that are timed, in nanoseconds, every single time and not by sample.

`tick`: all work on one tick. `gate1`: the check before the signal, passed or blocked. `gate2`: the permit, its check,
the send to the venue and the release, for orders that went out. `tick_to_signal`: from the tick's arrival until the
strategy had a signal. `tick_to_order`: from the tick's arrival until the venue had the order.
"""


class Ending(StrEnum):
    """Why an engine ended."""

    FEED_ENDED = "feed_ended"
    STOPPED = "stopped"
    """It was asked to stop."""
    NOT_OWNER = "not_owner"
    """Another process owns the engine now."""
    FAILED = "failed"
    """An error ended it: a damaged feed, a fault in the strategy."""


@dataclass(slots=True)
class Tally:
    """Counts of a running engine. One thread writes."""

    ticks: int = 0
    signals: int = 0
    orders: int = 0
    fills: int = 0
    replaced: int = 0
    blocked_signals: Counter[str] = field(default_factory=Counter)
    blocked_orders: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    cancelled: Counter[str] = field(default_factory=Counter)
    cancel_failures: int = 0
    waited: int = 0

    def progress(self) -> dict[str, int]:
        """The numbers worth showing while the engine runs."""
        return {
            "ticks": self.ticks,
            "signals": self.signals,
            "orders": self.orders,
            "fills": self.fills,
            "blocked_signals": self.blocked_signals.total(),
            "blocked_orders": self.blocked_orders.total(),
            "cancelled": self.cancelled.total(),
        }

    def report(
        self,
        engine: str,
        ending: Ending,
        elapsed_s: float,
        feed: Mapping[str, Any],
        positions: Mapping[str, Position],
        latency: Mapping[str, Histogram],
    ) -> EngineReport:
        """The counts as they are now, with what else there is to say of the run."""
        return EngineReport(
            engine=engine,
            ending=ending,
            elapsed_s=elapsed_s,
            ticks=self.ticks,
            signals=self.signals,
            orders=self.orders,
            fills=self.fills,
            replaced=self.replaced,
            waited=self.waited,
            blocked_signals=dict(self.blocked_signals),
            blocked_orders=dict(self.blocked_orders),
            rejected=dict(self.rejected),
            cancelled=+self.cancelled,
            cancel_failures=self.cancel_failures,
            feed=feed,
            positions=positions,
            latency=latency,
        )


@dataclass(frozen=True, slots=True)
class EngineReport:
    """The whole run of one engine.

    `blocked_signals` are ticks stopped at gate 1 and `blocked_orders` orders stopped at gate 2, both by reason code;
    `rejected` are orders that the venue refused, by error; `replaced` are working orders withdrawn for a newer signal;
    `cancelled` are working orders cancelled because trading stopped, by the reason for it. `waited` are ticks that
    waited at a gate until it was known what an announced change was. `elapsed_s` is the time in the loop, reading the
    feed included.
    """

    engine: str
    ending: Ending
    elapsed_s: float
    ticks: int
    signals: int
    orders: int
    fills: int
    replaced: int
    waited: int
    blocked_signals: Mapping[str, int]
    blocked_orders: Mapping[str, int]
    rejected: Mapping[str, int]
    cancelled: Mapping[str, int]
    cancel_failures: int
    feed: Mapping[str, Any]
    positions: Mapping[str, Position]
    latency: Mapping[str, Histogram]

    @property
    def ticks_per_s(self) -> float:
        """Ticks handled in a second of the loop; 0.0 when it did not run."""
        return self.ticks / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON. The histograms are whole, so that the reports of several engines can be merged exactly."""
        return {
            "engine": self.engine,
            "ending": self.ending.value,
            "elapsed_s": round(self.elapsed_s, 6),
            "ticks": self.ticks,
            "ticks_per_s": round(self.ticks_per_s, 1),
            "signals": self.signals,
            "orders": self.orders,
            "fills": self.fills,
            "replaced": self.replaced,
            "waited": self.waited,
            "blocked_signals": dict(self.blocked_signals),
            "blocked_orders": dict(self.blocked_orders),
            "rejected": dict(self.rejected),
            "cancelled": dict(self.cancelled),
            "cancel_failures": self.cancel_failures,
            "feed": dict(self.feed),
            "positions": {
                symbol: {
                    "quantity": held.quantity,
                    "average_price": held.average_price,
                    "realised": held.realised,
                }
                for symbol, held in self.positions.items()
            },
            "latency_ns": {stage: self.latency[stage].as_dict() for stage in STAGES},
        }
