"""What a measurement returns, and the few statistics it needs. Nothing here measures or prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "median", "of_samples", "quantile", "ratio"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    `unit` is ns, us, ms, ticks/s, x, % or count. A row of samples has `p50` and `p99` over `runs` of them; a row with a
    single figure has it in `p50` and None in `p99`. `reached` is None where there is no target. `note` says in a few
    words what was measured, or why a target was missed.
    """

    name: str
    title: str
    unit: str
    p50: float
    p99: float | None = None
    runs: int = 1
    target: str = ""
    reached: bool | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: three significant decimals are more than a benchmark can promise."""
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "p50": round(self.p50, 3),
            "p99": None if self.p99 is None else round(self.p99, 3),
            "runs": self.runs,
            "target": self.target or None,
            "reached": self.reached,
            "note": self.note or None,
        }


def quantile(values: Sequence[float], q: float) -> float:
    """The value that a share `q` (0 to 1) does not exceed, by nearest rank. Raises ValueError when there is none."""
    if not values:
        raise ValueError("a quantile of nothing: there were no samples")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value, by nearest rank."""
    return quantile(values, 0.5)


def of_samples(name: str, title: str, unit: str, samples: Sequence[float], **more: Any) -> Row:
    """A row with the median, the 99th percentile and the number of `samples`, which are in `unit`."""
    return Row(name, title, unit, median(samples), quantile(samples, 0.99), len(samples), **more)


def ratio(name: str, title: str, value: float, runs: int, limit: float, *, least: bool = False) -> Row:
    """A row for `value` times something measured in the same run, to be at most `limit` (or at least, with `least`)."""
    reached = value >= limit if least else value <= limit
    return Row(name, title, "x", value, None, runs, f"{'>=' if least else '<='} {limit:g} x", reached)
