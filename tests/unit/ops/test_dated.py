"""Tables of what happened, on terminals of several widths: the date gives way first, what matters is never cut."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import AuditEntry
from killswitch.core.audit import AuditOutcome
from ops.auditing.list import entry_lines
from ops.render import Paint, width
from ops.screens import state_words

PLAIN = Paint(False)
DAY_MS = 86_400_000


def entry(**changes: Any) -> AuditEntry:
    """A stop of a scope, proved, by somebody, for a reason."""
    fields: dict[str, Any] = {
        "entry_id": "1-1",
        "epoch": 12345,
        "scope": "symbol:EURUSD",
        "before": "SAFE (while renewed, 80 s at a time)",
        "after": "ENGAGED bad prices from the primary feed since the roll",
        "reason": "bad prices from the primary feed since the roll",
        "actor": "alice@desk",
        "via": "command",
        "operation": "x",
        "at_ms": DAY_MS,
        "outcome": AuditOutcome("QUIET", 5123, 4, "", "alice@desk", DAY_MS),
    }
    return AuditEntry(**{**fields, **changes})


ENTRIES = [entry(), entry(epoch=12346, at_ms=2 * DAY_MS, outcome=AuditOutcome("UNCERTAIN", 5123, 4, "w1", "a", DAY_MS))]


@pytest.mark.parametrize("limit", [80, 100, 120, 160, 200])
def test_scope_verdict_and_actor_are_whole_at_every_width(limit: int) -> None:
    """From 80 columns on, and no line is wider than the terminal."""
    lines = entry_lines(ENTRIES, PLAIN, limit)
    assert max(map(width, lines)) <= limit
    text = "\n".join(lines)
    for part in ("symbol:EURUSD", "QUIET 5.1 s", "UNCERTAIN", "alice@desk", "1970-01-02", "1970-01-03", "12345"):
        assert part in text, text
    assert "bad prices from the primary feed since the roll [not quiet: w1]" in " ".join(text.split())


def test_a_text_that_only_looks_like_a_mode_is_told_between_quotes() -> None:
    """SAFE with a blank behind it stopped the fleet, and is not read as a permission."""
    (line,) = entry_lines([entry(before="SAFE", after="SAFE ", via="raw", outcome=None)], PLAIN, 200)[1:]
    assert "  SAFE  " in line
    assert "  'SAFE '  " in line
    assert state_words("SAFE ") == "'SAFE '"


def test_what_was_tried_tells_what_it_asked_for() -> None:
    """Two approvals of different things do not look alike."""
    tried = entry(before="", after="", kind="approved", attempt="trading for 3600 s", reason="why", outcome=None)
    (line,) = entry_lines([tried], PLAIN, 200)[1:]
    assert "approved" in line
    assert "why [trading for 3600 s]" in line


def test_a_wide_terminal_has_one_line_for_each_change() -> None:
    """With its date, and nothing cut."""
    renewed = entry(after="SAFE (while renewed, 80 s at a time)", reason="the desk", outcome=None)
    lines = entry_lines([*ENTRIES, renewed], PLAIN, 200)
    assert len(lines) == 4
    assert "…" not in "".join(lines)
    assert lines[1].startswith("1970-01-02 00:00:00")
    assert "  SAFE renewed  " in lines[3]


def test_a_narrow_terminal_has_the_date_once_a_day_and_the_reason_below() -> None:
    """The head of each day, the row with its time, then why."""
    lines = entry_lines([*ENTRIES, entry(epoch=12347, at_ms=2 * DAY_MS + 1000)], PLAIN, 80)
    assert [line for line in lines if line.startswith("1970")] == ["1970-01-02", "1970-01-03"]
    assert lines[2].startswith("00:00:00")
    assert lines[3] == "    bad prices from the primary feed since the roll"


@pytest.mark.parametrize(
    ("after", "reason", "told"),
    [
        ("ENGAGED nobody renewed it: it ran out", "nobody renewed it", "nobody renewed it: it ran out"),
        ("ENGAGED fat finger", "fat finger", "fat finger"),
        ("ENGAGED by hand", "changed by hand", "changed by hand"),
        ("ENGAGED stop", "risk rule", "stop [risk rule]"),
        ("SAFE", "go", "go"),
    ],
)
def test_a_reason_is_told_once(after: str, reason: str, told: str) -> None:
    """What the key said and what is on record, in brackets only where they differ."""
    assert entry_lines([entry(after=after, reason=reason, outcome=None)], PLAIN, 200)[1].endswith(f"  {told}")


def test_an_entry_by_hand_without_a_time_has_a_row() -> None:
    """Whatever is missing in it."""
    empty = dict.fromkeys(("scope", "before", "after", "reason", "actor", "via"), "")
    odd = entry(at_ms=-1, epoch=-1, outcome=None, **empty)
    for limit in (80, 200):
        assert "?" in "".join(entry_lines([odd, *ENTRIES], PLAIN, limit)[1:])
    assert entry_lines([], PLAIN) == ["nothing is on record yet"]
