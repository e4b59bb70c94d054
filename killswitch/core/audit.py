"""One entry of the record of changes, and how it is read back from untrusted bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from killswitch.core.modes import MAX_EPOCH

__all__ = ["AuditEntry", "parse_entry"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    `before` and `after` are what the state key held. `via` tells how: library, command or redis-cli (through a
    function), raw (by hand, found afterwards), expiry (a time-boxed permission ran out), incarnation (Redis restarted
    or failed over). `at_ms` is the server's clock. `epoch` is -1 where the entry does not tell a valid one.
    """

    entry_id: str
    epoch: int
    scope: str
    before: str
    after: str
    reason: str
    actor: str
    via: str
    operation: str
    at_ms: int


def _whole(text: str, high: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= high else -1


def parse_entry(entry_id: str, fields: Mapping[str, str]) -> AuditEntry:
    """Reads an entry; total, because somebody may have written to the stream by hand: what is missing stays empty."""
    return AuditEntry(
        entry_id=entry_id,
        epoch=_whole(fields.get("epoch", ""), MAX_EPOCH),
        scope=fields.get("scope", ""),
        before=fields.get("from", ""),
        after=fields.get("to", ""),
        reason=fields.get("reason", ""),
        actor=fields.get("actor", ""),
        via=fields.get("via", ""),
        operation=fields.get("op", ""),
        at_ms=_whole(fields.get("at_ms", ""), 2**62),
    )
