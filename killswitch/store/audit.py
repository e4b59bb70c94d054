"""Reading the record of changes.

Invariant: reads only; the functions write. Entries are read in bounded portions, so a long record never holds Redis.
What somebody wrote into the stream by hand is shown as it is, with nothing made up. What is no change, but tells what
came of one, is never counted as one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from killswitch.core.audit import (
    APPROVED,
    CHANGE,
    OUTCOME,
    REFUSED,
    AuditEntry,
    AuditOutcome,
    kind_of,
    parse_entry,
    parse_outcome,
)
from killswitch.core.comparing import LastChanges
from killswitch.core.modes import SWITCH
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.portions import raw_entry

__all__ = ["last_changes", "read_audit"]

_PORTION = 500
_MOST_READ = 100_000
_OUTCOMES_EACH = 10
"""So many entries that are no change are passed by for each change that is wanted."""


def read_audit(caller: Caller, keys: Keys, count: int, attempts: bool = False) -> list[AuditEntry]:
    """The newest `count` changes, oldest first, each with the newest outcome that is on record for it; with `attempts`,
    permissions that were tried and not given are among them. Raises StoreRefused (no right, wrong type) or
    StoreUnavailable."""
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
            elif kind_of(fields) not in (REFUSED, APPROVED):
                found.append(replace(entry, outcome=outcomes.pop(about, None)))
            elif attempts:
                found.append(entry)
    return found[::-1]


def last_changes(caller: Caller, keys: Keys, scopes: Collection[str]) -> LastChanges:
    """The last change of the switch and of each of `scopes`, and of those that are met on the way; read backwards until
    all are found, at most the newest hundred thousand entries. Raises as `read_audit` does."""
    found: dict[str, AuditEntry] = {}
    wanted = {SWITCH, *scopes}
    end, seen, highest, first, whole = "+", 0, 0, 1, False
    while wanted and seen < _MOST_READ and not whole:
        portion = caller.call("XREVRANGE", keys.audit, end, "-", "COUNT", _PORTION)
        entries = [raw_entry(item) for item in portion] if isinstance(portion, list) else []
        whole = len(entries) < _PORTION
        for raw in entries[:_PORTION]:
            fields = raw.fields()
            entry, end, seen = parse_entry(raw.entry_id, fields), f"({raw.entry_id}", seen + 1
            highest, first = max(highest, entry.epoch), entry.epoch if entry.epoch > 0 else first
            if kind_of(fields) == CHANGE and entry.epoch >= 0:
                found.setdefault(entry.scope, entry)
                wanted.discard(entry.scope)
    return LastChanges(found, highest, whole, first if whole else 1)
