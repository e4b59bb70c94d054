"""A table of what happened: its first column is a time, its last one prose. Pure: rows in, lines out.

Where it is too wide, the date gives way first and stands on a line of its own; then the prose, which goes below its
row. What is left is cut as little as can be: a scope, a verdict or a name that is cut tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ops.render import COLUMNS, Cell, Column, Paint, blocks, width, wrap

__all__ = ["dated"]

_PROSE = 30
_GAP = 2
_INDENT = "    "
_DATE = len("2026-01-01 ")


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _wide(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> int:
    """How wide the table is with nothing cut, but for its prose."""
    total = -_GAP
    for at, column in enumerate(columns):
        widest = max((width(_text(row[at])) for row in rows), default=0)
        if widest:
            natural = min(widest, _PROSE) if at == len(columns) - 1 else widest
            total += max(natural, width(column.title)) + _GAP
    return total


def dated(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], paint: Paint, limit: int = COLUMNS) -> list[str]:
    """Lines of the table. The first cell of a row is `YYYY-MM-DD hh:mm:ss` or nothing, the last one its prose."""
    wide = _wide(columns, rows)
    if wide <= limit:
        head, found = blocks(columns, rows, paint, limit)
        return [head, *(line for lines in found for line in lines)]
    under = wide - _DATE > limit
    shown = [(_text(row[0])[_DATE:], *(row[1:-1] if under else row[1:])) for row in rows]
    narrow = (Column("UTC"), *(columns[1:-1] if under else columns[1:]))
    head, found = blocks(narrow, shown, paint, limit)
    lines, day = [head], ""
    for row, own in zip(rows, found, strict=True):
        today = _text(row[0])[: _DATE - 1]
        if today and today != day:
            lines.append(paint(today, "dim"))
            day = today
        lines += own
        if under:
            lines += wrap(_text(row[-1]), limit, _INDENT)
    return lines
