"""What a worker remembers of the record, by the parts of the fleet that it is about: the switch, and each scope.

Invariant: numbers only rise, and nothing is forgotten. Whoever takes a worker's place with other scopes opens at no
epoch below one that was seen of what it follows, and at none at or below a stop of that (P9). What concerned other
parts alone does not hold it back: its own epoch is the highest of those it follows, and might never reach theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from killswitch.core.answer import Decision, StateRow, read_state
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code

__all__ = ["Memory", "is_stop"]

# The end of a permission as Redis tells it is a stop as well: neither a late renewal nor a clock set back revives it.
_STOPPED_BY_RECORD = frozenset({Code.ENGAGED, Code.SCOPE_ENGAGED, Code.STATE_MISSING, Code.STATE_UNRECOGNISED,
                                Code.STATE_WRONG_TYPE, Code.PERMISSION_EXPIRED})  # fmt: skip


def is_stop(decision: Decision) -> bool:
    """Whether the record itself says stop, and not only the way to it."""
    return decision.mode is Mode.ENGAGED and decision.code in _STOPPED_BY_RECORD


class Memory:
    """Of one process and one switch. Handed from watcher to watcher; whoever watches notes, whoever starts asks."""

    def __init__(self) -> None:
        self._seen: dict[str | None, int] = {}
        self._stopped: dict[str | None, int] = {}

    def note(self, rows: Iterable[StateRow], scopes: tuple[str, ...], decision: Decision, highest: int) -> None:
        """An answer came: `rows` about the switch (None) and `scopes`; `highest` is the highest epoch seen by now.

        A part that is found stopped opens above `highest` only, also where its own epoch is lower: all parts have one
        counter, so what permits it later has a number above everything that was seen before."""
        stop = is_stop(decision)
        for scope, row in zip((None, *scopes), rows, strict=True):
            _raise(self._seen, scope, row.epoch)
            ended = decision.code is Code.PERMISSION_EXPIRED and scope is None
            if stop and (ended or read_state(row, scope)[0] is Mode.ENGAGED):
                _raise(self._stopped, scope, highest)

    def learn(self, other: Memory) -> None:
        """What `other` remembers is remembered here as well."""
        for mine, its in ((self._seen, other._seen), (self._stopped, other._stopped)):
            for scope, epoch in list(its.items()):
                _raise(mine, scope, epoch)

    def of(self, scopes: tuple[str, ...]) -> tuple[int, int]:
        """For who follows the switch and `scopes`: the highest epoch seen, and the highest at which it saw a stop."""
        seen = max(self._seen.get(scope, 0) for scope in (None, *scopes))
        stopped = max(self._stopped.get(scope, 0) for scope in (None, *scopes))
        return max(seen, stopped), stopped


def _raise(known: dict[str | None, int], scope: str | None, epoch: int) -> None:
    known[scope] = max(known.get(scope, 0), epoch)
