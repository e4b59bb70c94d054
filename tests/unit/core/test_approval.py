"""A permission that takes two persons, as people read it: what is told is what the functions would count."""

from __future__ import annotations

import pytest

from killswitch.core.approval import APPROVAL_MS, approval_words, approved, persons_of

NOW_MS = 1_000_000_000
LEDGER = {"persons": "2", "switch:approval": f"7 {NOW_MS - 1000} SAFE:0 alice"}


@pytest.mark.parametrize(("text", "persons"), [("2", 2), ("1", 1), ("", 1), ("3", 1), ("two", 1), ("2 ", 1)])
def test_two_is_the_text_two(text: str, persons: int) -> None:
    """As persons.lua reads it."""
    assert persons_of({"persons": text}) == persons
    assert persons_of({}) == 1


@pytest.mark.parametrize(
    ("changed", "epoch", "at_ms", "who"),
    [
        ({}, 7, NOW_MS, "alice"),
        ({}, 8, NOW_MS, ""),
        ({}, 7, NOW_MS - 1000 + APPROVAL_MS, ""),
        ({}, 7, NOW_MS - 1001, ""),
        ({"persons": "1"}, 7, NOW_MS, ""),
        ({"switch:approval": "-"}, 7, NOW_MS, ""),
        ({"switch:approval": "7 x SAFE:0 alice"}, 7, NOW_MS, ""),
        ({"switch:approval": f"7 {NOW_MS} SAFE:0 alice bob"}, 7, NOW_MS, ""),
    ],
)
def test_an_approval_is_told_while_it_counts(changed: dict[str, str], epoch: int, at_ms: int, who: str) -> None:
    """S7: of this epoch, of the last hour, of one person, where two have to permit."""
    assert approved(LEDGER | changed, "switch", epoch, at_ms) == (who, "SAFE:0" if who else "")
    assert approved(LEDGER | changed, "a:b", epoch, at_ms) == ("", "")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("SAFE:0", "trading"),
        ("SAFE:3600000", "trading for 3600 s"),
        ("REDUCING", "reducing orders"),
        ("persons:1", "persons 1"),
        ("on_failover:resume,persons:1", "on_failover resume and persons 1"),
        ("", ""),
        ("SAFE:", "SAFE "),
    ],
)
def test_what_was_approved_is_told_in_words(what: str, words: str) -> None:
    """The second person has to know what to ask for."""
    assert approval_words(what) == words
