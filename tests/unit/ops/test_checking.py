"""Findings on the screen: aligned, clean, with reason and remedy where something is to be done."""

from __future__ import annotations

from killswitch import Finding, Grade, PreflightReport
from ops.checking import count_line, finding_lines, look_at_queue, preflight_json
from ops.console import plain
from ops.render import COLUMNS, Paint, width

PLAIN = Paint(False)
GOOD = Finding("clock", Grade.OK, "rate +0.001%", "Clocks matter.", "")
BAD = Finding("queue", Grade.FAIL, "\x1b[2Jevil\n" + "word " * 60, "Tenants matter.", "move\tit")
ODD = Finding("acl", Grade.WARN, "could not look: NOPERM", "Rights matter.", "ask")
REPORT = PreflightReport("Redis at \x1b[31mhere", (GOOD, BAD, ODD))


def test_findings_are_clean_and_fit() -> None:
    """What a server wrote is shown and never obeyed, and no line is too wide."""
    lines = list(finding_lines(REPORT.findings, PLAIN))
    assert all(width(line) <= COLUMNS and line.isprintable() for line in lines)
    assert lines[0] == "ok    clock          rate +0.001%"
    assert lines[1].startswith("FAIL  queue          \\x1b[2Jevil\\nword")
    assert "                     why: Tenants matter." in lines
    assert "                     do: move\\tit" in lines
    assert not any("Clocks matter" in line for line in lines)


def test_verdict_counts_and_strictness_turns_warnings_into_failures() -> None:
    """One line says how it went; only --strict minds a warning."""
    assert count_line(REPORT, PLAIN, strict=False) == "3 checks of Redis at \\x1b[31mhere: 1 ok, 1 warn, 1 fail"
    warned = PreflightReport("here", (GOOD, ODD))
    assert (warned.passed(), warned.passed(strict=True), REPORT.passed()) == (True, False, False)
    assert count_line(warned, PLAIN, strict=True).endswith("(--strict: a warning fails as well)")
    assert count_line(PreflightReport("here", (GOOD,)), PLAIN, strict=True) == "1 check of here: 1 ok"
    found = plain(preflight_json(warned, strict=True))
    assert (found["ok"], found["counts"]["warn"], found["findings"][1]["verdict"]) == (False, 1, "warn")


def test_queue_that_is_not_there_is_a_fact_and_shows_no_password() -> None:
    """A queue that cannot be asked is told with its address alone."""
    found = look_at_queue("redis://user:hunter2@127.0.0.1:1/3")
    assert found.where == "127.0.0.1:1/3"
    assert "cannot be used" in found.trouble
    assert "hunter2" not in repr(found)
