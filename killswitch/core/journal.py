"""A journal of admitted orders: its name, its entries and what may become of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from killswitch.core.modes import InvalidInput

__all__ = ["OUTCOMES", "JournalEntry", "check_journal_name"]

OUTCOMES = ("forwarded", "refused", "unknown")
"""forwarded: the venue had it. refused: it was not sent, or the venue did not take it. unknown: neither is certain."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One entry as it was found: `fields` are epoch, worker, order_id, reduces, scopes, order and at_ms where ks_admit
    wrote it, and anything where somebody else did."""

    entry_id: str
    fields: Mapping[str, str]


def check_journal_name(name: str) -> str:
    """The name of a journal.

    Raises:
        InvalidInput: the text has another form.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"the journal {name[:80]!r} is not 1 to 64 letters, digits or _ . -: write orders")
    return name
