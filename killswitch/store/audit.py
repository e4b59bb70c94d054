"""Reading the record of changes.

Invariant: reads only; the functions write. Entries are read in bounded portions, so a long record never holds Redis.
What somebody wrote into the stream by hand is shown as it is, with nothing made up. What is no change, but tells what
came of one, is never counted as one.
"""

from __future__ import annotations

from dataclasses import replace

from killswitch.core.audit import OUTCOME, AuditEntry, AuditOutcome, kind_of, parse_entry, parse_outcome
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.portions import raw_entry

__all__ = ["read_audit"]

_PORTION = 500
_OUTCOMES_EACH = 10
"""So many entries that are no change are passed by for each change that is wanted."""


def read_audit(caller: Caller, keys: Keys, count: int) -> list[AuditEntry]:
    """The newest `count` changes, oldest first, each with the newest outcome that is on record for it. Raises
    StoreRefused (no right, wrong type) or StoreUnavailable."""
    found: list[AuditEntry] = []
    outcomes: dict[tuple[str, int], AuditOutcome] = {}
    end, seen = "+", 0
    while len(found) < count and seen < _OUTCOMES_EACH * count + _PORTION:
        wanted = min(_PORTION, count - len(found))
        portion = caller.call("XREVRANGE", keys.audit, end, "-", "COUNT", wanted)
        if not isinstance(portion, list) or not portion:
            break
        for raw in map(raw_entry, portion[:wanted]):
            fields = raw.fields()
            entry, end, seen = parse_entry(raw.entry_id, fields), f"({raw.entry_id}", seen + 1
            about = (entry.scope, entry.epoch)
            if kind_of(fields) == OUTCOME:
                outcomes.setdefault(about, parse_outcome(fields))
            else:
                found.append(replace(entry, outcome=outcomes.pop(about, None)))
    return found[::-1]
