"""What was added to a stream since the last look.

Invariant: reads only, in bounded portions. Each entry is handed out once, in order, and a look that broke off hands out
nothing: what it had read comes again. A stream that was replaced by a younger one (flushed, renamed away, restored)
is begun anew, and who counts is told to begin anew with it; so is one whose newest entry was deleted, which only
tampering does.
"""

from __future__ import annotations

from dataclasses import dataclass

from killswitch.core.chain import RawEntry, id_parts
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.functions import Caller
from killswitch.store.portions import Portions, raw_entry

__all__ = ["News", "Tail"]

_AT_ONCE = 5000
_HISTORY = 10_000
_BEFORE_ALL = "0-0"


@dataclass(frozen=True, slots=True)
class News:
    """The entries since the last look, oldest first. `anew`: they are the first ones, so whatever was counted before is
    void. `length`: entries in the stream."""

    entries: tuple[RawEntry, ...]
    anew: bool
    length: int


class Tail:
    """Follows one stream. Where it has at most `history` entries the first look hands out all of them, so that a count
    goes on where it was before a restart; a longer one is followed from its end, because a count of its newest
    part only would be another one after each restart."""

    def __init__(self, key: str, history: int = _HISTORY) -> None:
        self._key = key
        self._history = history
        self._mark: str | None = None

    def read(self, caller: Caller) -> News:
        """Raises StoreUnavailable; StoreRefused where this user may not look, or something else is under the key."""
        length, newest = self._ends(caller)
        mark, most, anew = self._mark, _AT_ONCE, False
        if mark is None or id_parts(newest) < id_parts(mark):
            mark, most, anew = (newest if length > self._history else _BEFORE_ALL), self._history, True
        entries = self._after(caller, mark, newest, most)
        # Only now: what came before may have raised, and then the same is read again.
        self._mark = entries[-1].entry_id if entries else newest
        return News(tuple(entries), anew, length)

    def _ends(self, caller: Caller) -> tuple[int, str]:
        found = caller.call_many([("XLEN", self._key), ("XREVRANGE", self._key, "+", "-", "COUNT", 1)])
        for answer in found:
            if isinstance(answer, StoreRefused):
                raise answer
        match found:
            case [int(length), list(last)]:
                return length, raw_entry(last[0]).entry_id if last else _BEFORE_ALL
        raise StoreUnavailable(Code.BAD_ANSWER, "a stream was answered with something else")

    def _after(self, caller: Caller, mark: str, newest: str, most: int) -> list[RawEntry]:
        found: list[RawEntry] = []
        if id_parts(mark) < id_parts(newest):
            portions = Portions(caller, self._key, _same, start=f"({mark}", end=newest)
            while len(found) < most and (entry := portions.peek()) is not None:
                found.append(entry)
                portions.take()
        return found


def _same(entry: RawEntry) -> RawEntry:
    return entry
