"""How the record is told: numbers, progress, and the report of a look through it. Pure but for the progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from killswitch.clock import NS_PER_MS, now_ns, wall_text
from ops.console import console
from ops.render import Cell, Column, Paint, clean, count_of, span, table, wrap

if TYPE_CHECKING:
    from killswitch import AuditFinding, Verification

__all__ = ["finding_lines", "progress", "verification_lines"]

_NOTES = "noted, and no violation"
_AFTER_NS = 500 * NS_PER_MS
_EVERY_NS = 100 * NS_PER_MS


@contextmanager
def progress(verb: str) -> Iterator[Callable[[int], None]]:
    """A line on a terminal that counts, for what takes longer than half a second; nothing in a pipe."""
    begun_ns = now_ns()
    told_ns = begun_ns + _AFTER_NS - _EVERY_NS

    def seen(count: int) -> None:
        nonlocal told_ns
        now = now_ns()
        if now - told_ns >= _EVERY_NS:
            told_ns = now
            console.status_line(console.paint(f"  {verb}: {count_of(count, 'entry')}", "dim"))

    try:
        yield seen
    finally:
        console.status_line("")


def _place(finding: AuditFinding) -> str:
    if not finding.first:
        return ""
    return f"{finding.first}" if finding.last == finding.first else f"{finding.first} to {finding.last}"


def _entries(finding: AuditFinding) -> str:
    if finding.last_id == finding.entry_id:
        return finding.entry_id
    return f"{finding.entry_id} to {finding.last_id}"


def finding_lines(findings: tuple[AuditFinding, ...], paint: Paint, style: str) -> list[str]:
    """One row for each finding: what, where in the chain, which entry."""
    columns = (
        Column("FINDING"),
        Column("NUMBER", right=True),
        Column("ENTRY", least=20),
        Column("WHAT", least=30, wrap=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            (str(finding.kind), style),
            _place(finding),
            clean(_entries(finding)),
            clean(f"{finding.kind.meaning}: {finding.text.lstrip('; ')}" if finding.text else finding.kind.meaning),
        )
        for finding in findings
    ]
    return table(columns, rows, paint)


def _tail(found: Verification) -> list[str]:
    if not found.unsealed:
        return []
    since = "the oldest of them" if found.unsealed > 1 else "it is"
    age = f", {since} {span(found.unsealed_ms)} old" if found.unsealed_ms else ""  # an export has no present
    return [f"  {count_of(found.unsealed, 'entry')} not sealed yet{age}"]


def _limits(found: Verification) -> list[str]:
    """What this look can not know."""
    lines = []
    if found.unchecked:
        text = (
            f"{count_of(found.unchecked, 'entry')} sealed with a key that is not set here (KILLSWITCH_AUDIT_KEY): "
            "whether they were altered together with their seals was not checked"
        )
        lines += wrap(text, indent="  ")
    if not found.anchors:
        text = (
            "not compared with any anchor: a record whose end was cut off, or that was built anew from its beginning, "
            "would look whole"
        )
        lines += wrap(text, indent="  ")
    return lines


def verification_lines(found: Verification, paint: Paint) -> list[str]:
    """The whole report."""
    read = count_of(found.entries, "entry")
    if found.intact:
        word = paint("INTACT", "go") if not found.unchecked else paint("NOT ALL CHECKED", "warn")
        lines = [f"{word}  {read}, {found.position:,} sealed"]
    else:
        number = sum(found.counts.get(str(finding.kind), 0) for finding in _first_of_each(found.findings))
        lines = [f"{paint('VIOLATED', 'alarm')}  {count_of(number, 'finding')} in {read}, {found.position:,} sealed"]
        lines += ["", *finding_lines(found.findings, paint, "stop"), ""]
    if found.position:
        lines.append(
            f"  head: number {found.position:,}, entry {clean(found.last_id)}, {wall_text(_ms(found.last_id))}"
        )
        lines.append(f"        {clean(found.link) or '(not readable)'}")
    if found.anchors:
        lines.append(f"  compared with {count_of(found.anchors, 'anchor')}")
    lines += _tail(found) + _limits(found)
    if found.notes:
        head = f"{_NOTES}{'' if found.intact else ', besides what is altered'}:"
        lines += ["", *wrap(head, indent="  "), *finding_lines(found.notes, paint, "dim")]
    return lines


def _first_of_each(findings: tuple[AuditFinding, ...]) -> list[AuditFinding]:
    return list({finding.kind: finding for finding in findings}.values())


def _ms(entry_id: str) -> int:
    head = entry_id.partition("-")[0]
    return int(head) if head.isdigit() and len(head) < 14 else 0
