"""When trading was permitted to whom, by the record of the servers alone: what every check that passed is held against.

Deliberately simple and deliberately not the product's own code. Each key of each server has a line of `state` events.
A key permits from the earliest moment its opening may have taken effect to the latest moment its closing may have. A
worker is permitted while, on one server, the switch permits and every scope that it follows does; an absent scope
follows the switch, an absent switch permits nothing. After `lost` a server's permissions are void until given anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache

from tests.history.events import Event

__all__ = ["Intervals", "Permissions"]

SWITCH = "switch"
_EVER = 1 << 62
_PERMITS = {"signal": frozenset({"SAFE", "REDUCING"}), "order": frozenset({"SAFE"})}


class Intervals:
    """Disjoint half-open intervals [start, end), ascending."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.pairs: list[tuple[int, int]] = []
        for start, end in sorted(pair for pair in pairs if pair[0] < pair[1]):
            if self.pairs and start <= self.pairs[-1][1]:
                self.pairs[-1] = (self.pairs[-1][0], max(end, self.pairs[-1][1]))
            else:
                self.pairs.append((start, end))
        self._starts = [start for start, _ in self.pairs]

    def touch(self, first: int, last: int) -> bool:
        """Whether any moment of [first, last] lies in one of them."""
        at = bisect_right(self._starts, last) - 1
        return at >= 0 and self.pairs[at][1] > first

    def and_also(self, other: Intervals) -> Intervals:
        """Where both are."""
        found, i, j = [], 0, 0
        while i < len(self.pairs) and j < len(other.pairs):
            (a, b), (c, d) = self.pairs[i], other.pairs[j]
            found.append((max(a, c), min(b, d)))
            if b < d:
                i += 1
            else:
                j += 1
        return Intervals(found)


class Permissions:
    """Built once from all events of a run, asked for each check that passed."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._lines: dict[tuple[str, str], list[Event]] = {}
        self._lost: dict[str, list[int]] = {}
        for event in events:
            if event["kind"] == "state":
                self._lines.setdefault((event["server"], event["scope"]), []).append(event)
            elif event["kind"] == "lost":
                self._lost.setdefault(event["server"], []).append(event["t"])
        self._servers = sorted({server for server, _ in self._lines})
        self.of = cache(self._of)

    def _of(self, scopes: tuple[str, ...], action: str) -> Intervals:
        """When a worker that follows `scopes` could be permitted to do `action`, "signal" or "order"."""
        found: list[tuple[int, int]] = []
        for server in self._servers:
            line = self._key(server, SWITCH, action)
            for scope in scopes:
                line = line.and_also(self._key(server, scope, action))
            found += line.pairs
        return Intervals(found)

    def _key(self, server: str, scope: str, action: str) -> Intervals:
        permits = _PERMITS[action]
        open_since = None if scope == SWITCH else -_EVER
        pairs: list[tuple[int, int]] = []
        # When it is sure, from when it may be, and whether it opens; an absent scope is told as SAFE.
        marks = [(e["t"], e["from_t"], e["mode"] in permits) for e in self._lines.get((server, scope), [])]
        if scope == SWITCH:
            marks += [(at, at, False) for at in self._lost.get(server, [])]
        for at, from_at, opens in sorted(marks, key=lambda mark: mark[0]):
            if opens and open_since is None:
                open_since = from_at
            elif not opens and open_since is not None:
                pairs.append((open_since, at))
                open_since = None
        if open_since is not None:
            pairs.append((open_since, _EVER))
        return Intervals(pairs)
