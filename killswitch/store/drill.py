"""Drills in Redis: announce one, read who acknowledged it, keep what came of it.

Invariant: nothing here writes what decides about trading. The one write under the state, of the scratch scope, is taken
back in the step that makes it. A drill is announced once: what is not known to have happened is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from killswitch.core.drill_record import LONGEST_DRILL_MS, DrillRecord, Running, parse_record, parse_running
from killswitch.core.fleet import MEMBERS_MAX
from killswitch.core.reasons import Code
from killswitch.errors import DrillBusy, LibraryMissing, StoreRefused
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text

__all__ = ["DrillStore"]

_BUSY = re.compile(r"BUSY another drill is under way, by (.*?)(?: script: .*)?$")
_LOOKED_AT = 256


class DrillStore:
    """The drills of one switch over one connection."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys

    def begin(self, token: str, ttl_ms: int, actor: str) -> None:
        """Announces the drill `token`, which is over by itself after `ttl_ms`.

        Raises:
            DrillBusy: another one is under way; nothing was announced.
            StoreRefused: Redis refuses, as it would refuse a stop by hand; nothing was announced.
            StoreUnavailable: no answer; it may have been announced.
        """
        try:
            found = self._caller.call("FCALL", "ks_drill", 1, self._keys.scratch, "begin", token, ttl_ms, actor)
        except StoreRefused as refused:
            busy = _BUSY.search(refused.reason)
            if busy is None:
                raise
            raise DrillBusy(busy[1]) from None
        if not isinstance(found, list) or len(found) != 3 or as_text(found[1]) != token:
            raise LibraryMissing(
                Code.LIBRARY_MISMATCH, "the function library answered in another form: run `killswitch init` again"
            )

    def end(self, token: str, fields: Mapping[str, str]) -> tuple[str, int]:
        """Ends the drill; with `fields` it is kept. Returns the id of its entry ("": it is not kept) and its time, in
        milliseconds of the server's clock. Raises StoreRefused, StoreUnavailable."""
        pairs = [word for pair in fields.items() for word in pair]
        found = self._caller.call("FCALL", "ks_drill", 1, self._keys.scratch, "end", token, *pairs)
        if not isinstance(found, list) or len(found) != 4 or not as_text(found[3]).isdigit():
            return "", -1
        return as_text(found[2]), int(as_text(found[3]))

    def mark(self) -> tuple[str, str]:
        """What changes with every real change: what the state holds, and the epoch on record."""
        asked = [("GETRANGE", self._keys.state, 0, _LOOKED_AT), ("HGET", self._keys.ledger, "epoch")]
        state, epoch = self._caller.call_many(asked)
        return _told(state), _told(epoch)

    def said(self, worker_ids: Sequence[str]) -> dict[str, str]:
        """The field `drill` of these workers' rows, by worker; without those that have none."""
        found = self._caller.call_many([("HGET", self._keys.worker(name), "drill") for name in worker_ids])
        pairs = zip(worker_ids, found, strict=True)
        return {name: as_text(text) for name, text in pairs if text is not None and not isinstance(text, StoreRefused)}

    def members(self) -> set[str]:
        """Who is in the membership now. Raises StoreRefused, StoreUnavailable."""
        found = self._caller.call("ZRANGE", self._keys.workers, 0, MEMBERS_MAX)
        return {as_text(name) for name in found} if isinstance(found, list) else set()

    def running(self) -> Running | None:
        """The drill that is under way; what has no end, or none that a drill can have, is none (as in common.lua).
        Raises StoreRefused, StoreUnavailable."""
        text, left = self._caller.call_many([("GETRANGE", self._keys.drill, 0, _LOOKED_AT), ("PTTL", self._keys.drill)])
        for answer in (text, left):
            if isinstance(answer, StoreRefused):
                raise answer
        return parse_running(as_text(text)) if isinstance(left, int) and 0 <= left <= LONGEST_DRILL_MS else None

    def history(self, count: int) -> list[DrillRecord]:
        """The newest `count` drills, newest first. Raises StoreRefused, StoreUnavailable."""
        found = self._caller.call("XREVRANGE", self._keys.drills, "+", "-", "COUNT", count)
        records = []
        for item in found if isinstance(found, list) else ():
            match item:
                case [bytes() | str() as entry_id, list() | None as flat]:
                    texts = [as_text(word) for word in flat or ()]
                    records.append(parse_record(as_text(entry_id), dict(zip(texts[::2], texts[1::2], strict=False))))
        return records


def _told(found: object) -> str:
    return f"({found.code})" if isinstance(found, StoreRefused) else as_text(found)
