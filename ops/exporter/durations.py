"""A histogram of durations: few values, from a millisecond to a minute."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

__all__ = ["EDGES_S", "Durations"]

EDGES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Upper edges: quiet and drills take milliseconds, a wait that ends without it some seconds."""


class Durations:
    """Counts values. Used by one thread at a time."""

    def __init__(self) -> None:
        self._counts = [0] * (len(EDGES_S) + 1)
        self.total_s = 0.0

    def add(self, value_s: float) -> None:
        """One value; one of exactly an edge counts below it."""
        self._counts[bisect_left(EDGES_S, value_s)] += 1
        self.total_s += value_s

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper edge, the last one "+Inf"."""
        return list(zip((*map(str, EDGES_S), "+Inf"), map(float, accumulate(self._counts)), strict=True))
