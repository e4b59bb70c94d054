"""Entries of a record and looks at a switch, for tests of what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from killswitch import AuditEntry, AuditOutcome, Deadman, FeedItem, FeedLook
from tests.unit.ops.pictures import state

__all__ = ["change", "look", "outcome", "renewed"]


def change(number: int, **values: Any) -> FeedItem:
    """Change number `number`: the switch was engaged."""
    entry = AuditEntry(
        entry_id=f"{1000 + number}-0",
        epoch=number,
        scope="switch",
        before="SAFE",
        after="ENGAGED fat finger",
        reason="fat finger",
        actor="alice",
        via="command",
        operation="op",
        at_ms=1_700_000_000_000 + number,
    )
    return FeedItem(replace(entry, **values), is_change=True)


def outcome(number: int, verdict: str = "QUIET", pending: str = "") -> FeedItem:
    """What came of change number `number`."""
    found = AuditOutcome(verdict, waited_ms=12, members=3, pending=pending, actor="alice", at_ms=1)
    entry = replace(change(number).entry, entry_id=f"{1000 + number}-1", outcome=found)
    return FeedItem(entry, is_change=False)


def renewed(left_ms: int, *, overdue: bool, at_ms: int = 5_000) -> Deadman:
    """A permission that alice renewed at `at_ms`."""
    return Deadman("alice", 20_000, 80_000, at_ms, at_ms + 80_000, left_ms, overdue, "desk")


def look(*items: FeedItem, at_ms: int = 1_000_000, deadman: Deadman | None = None, **switch: Any) -> FeedLook:
    """A look that found `items`, at a switch that says SAFE at epoch 7."""
    newest = items[-1].entry.entry_id if items else "0-0"
    return FeedLook(items, False, newest, state(**switch), deadman, at_ms)
