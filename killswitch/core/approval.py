"""A permission that takes two persons, as the ledger tells of it, for people to read. What counts is decided in
store/lua/persons.lua, whose rules these are."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["APPROVAL_MS", "approval_words", "approved", "persons_of"]

APPROVAL_MS = 3_600_000
"""How long what the first of two persons approved waits for the second, milliseconds of the server's clock."""

_FORM = re.compile(r"([0-9]{1,16}) ([0-9]{1,16}) (\S{1,128}) (\S{1,64})")
_TRADING = re.compile(r"SAFE:([0-9]{1,16})")


def persons_of(ledger: Mapping[str, str]) -> int:
    """How many persons a permission takes, by what is on record."""
    return 2 if ledger.get("persons") == "2" else 1


def approved(ledger: Mapping[str, str], scope: str, epoch: int, at_ms: int) -> tuple[str, str]:
    """Who has approved, and what, for `scope` at `epoch`, its current one, and waits for another person; empty for
    nobody. `at_ms` is the server's clock."""
    match = _FORM.fullmatch(ledger.get(f"{scope}:approval", ""))
    if persons_of(ledger) < 2 or match is None or int(match[1]) != epoch:
        return "", ""
    return (match[4], match[3]) if 0 <= at_ms - int(match[2]) < APPROVAL_MS else ("", "")


def approval_words(what: str) -> str:
    """What was approved, for people: `what` as the functions write it."""
    trading = _TRADING.fullmatch(what)
    if trading is None:
        return {"REDUCING": "reducing orders"}.get(what, what.replace(",", " and ").replace(":", " "))
    return "trading" if not int(trading[1]) else f"trading for {int(trading[1]) // 1000} s"
