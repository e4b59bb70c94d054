"""Reading the record of changes.

Invariant: reads only; the functions write. Entries are read in bounded portions, so a long record never holds Redis.
What somebody wrote into the stream by hand is shown as it is, with nothing made up.
"""

from __future__ import annotations

from killswitch.core.audit import AuditEntry, parse_entry
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
        portion = caller.call("XREVRANGE", keys.audit, end, "-", "COUNT", min(_PORTION, count - len(found)))
        if not isinstance(portion, list) or not portion:
            break
        for entry_id, flat in portion:
            texts = [as_text(item) for item in flat or ()]
            found.append(parse_entry(as_text(entry_id), dict(zip(texts[::2], texts[1::2], strict=False))))
        end = f"({found[-1].entry_id}"
    return found[::-1]
