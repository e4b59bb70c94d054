"""The result for people: a table of at most 100 columns, and below it what the figures are of."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from ops.bench.figures import Row

__all__ = ["as_json", "as_text", "ok"]

WIDTH = 100
_LARGER = {"ns": "us", "us": "ms", "ms": "s"}


def ok(rows: Sequence[Row]) -> bool:
    """Whether what must hold on every machine held: no late pass. Speed is shown, never judged by an exit code."""
    return all(row.p50 == 0 for row in rows if row.name == "late")


def as_json(machine: dict[str, Any], rows: Sequence[Row], quick: bool) -> dict[str, Any]:
    """The whole result as plain data; `rows` by name."""
    return {"ok": ok(rows), "quick": quick, "machine": machine, "rows": {row.name: row.as_dict() for row in rows}}


def as_text(machine: dict[str, Any], rows: Sequence[Row], quick: bool) -> str:
    """Head, table, notes."""
    lines = _head(machine, quick)
    lines += ["", _line("", "p50", "p99", "runs", "target", "")]
    lines += [_row(row) for row in rows]
    notes = [f"{row.title}: {row.note}." for row in rows if row.note]
    if notes:
        lines.append("")
        lines += [part for note in notes for part in textwrap.wrap(note, WIDTH, subsequent_indent="  ")]
    return "\n".join(lines)


def _head(machine: dict[str, Any], quick: bool) -> list[str]:
    load = " ".join(f"{value:.2f}" for value in machine["load"])
    text = (
        f"{machine['cpu']}, {machine['cores']} cores; {machine['system']}; {machine['python']}; {machine['server']} "
        f"({machine['origin']}); load {load or 'unknown'} at the start"
    )
    lines = textwrap.wrap(text, WIDTH)
    if quick:
        lines += ["A quick run: few repetitions, rough figures."]
    return lines


def _row(row: Row) -> str:
    mark = "" if row.reached is None else "yes" if row.reached else "NO"
    p99 = "" if row.p99 is None else _value(row.p99, row.unit)
    return _line(row.title, _value(row.p50, row.unit), p99, f"{row.runs:,}", row.target, mark)


def _line(title: str, p50: str, p99: str, runs: str, target: str, mark: str) -> str:
    return f"{title:<48.47}{p50:>12}{p99:>12}{runs:>9}  {target:<12.12}{mark:>4}".rstrip()


def _value(value: float, unit: str) -> str:
    if unit == "count":
        return f"{value:,.0f}"
    if unit == "ticks/s":
        return f"{value:,.0f}/s"
    if unit in ("x", "%"):
        return f"{value:,.1f} {unit}"
    while abs(value) >= 1000 and unit in _LARGER:
        value, unit = value / 1000, _LARGER[unit]
    return f"{value:,.0f} {unit}" if unit == "ns" else f"{value:,.2f} {unit}"
