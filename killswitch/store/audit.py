"""Reading the record of changes.

Invariant: reads only; the functions write. Entries are read in bounded portions, so a long record never holds Redis.
What somebody wrote into the stream by hand is shown as it is, with nothing made up.
"""

from __future__ import annotations

from killswitch.core.audit import AuditEntry, parse_entry
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text

__all__ = ["read_audit"]

_PORTION = 500


def read_audit(caller: Caller, keys: Keys, count: int) -> list[AuditEntry]:
    """The newest `count` entries, oldest first. Raises StoreRefused (no right, wrong type) or StoreUnavailable."""
    found: list[AuditEntry] = []
    end = "+"
    while len(found) < count:
        wanted = min(_PORTION, count - len(found))
        portion = caller.call("XREVRANGE", keys.audit, end, "-", "COUNT", wanted)
        if not isinstance(portion, list) or not portion:
            break
        found += map(_entry, portion[:wanted])
        end = f"({found[-1].entry_id}"
    return found[::-1]


def _entry(item: object) -> AuditEntry:
    match item:
        case [bytes() | str() as entry_id, list() | None as flat]:
            texts = [as_text(word) for word in flat or ()]
            return parse_entry(as_text(entry_id), dict(zip(texts[::2], texts[1::2], strict=False)))
    # Replies out of step, as behind a proxy that sends announcements as replies: nothing read here can be believed.
    raise StoreUnavailable(Code.BAD_ANSWER, "the record was answered with something else")
