"""Text for people: safe to show, aligned, no wider than what it is shown on, coloured where that helps.

Everything that comes out of Redis was written by somebody else. It goes through `clean` before it meets a terminal:
escape sequences, line breaks and characters that turn the writing direction are shown, never obeyed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from killswitch import printable

__all__ = [
    "COLUMNS",
    "Cell",
    "Column",
    "Paint",
    "ago",
    "blocks",
    "brief",
    "clean",
    "count_of",
    "first_line",
    "fit",
    "fit_middle",
    "page",
    "span",
    "table",
    "width",
    "wrap",
]

COLUMNS = 100
"""How wide text is where nothing says how wide it may be, as in a pipe."""

_MARKS_MAX = 2
_GAP = "  "

_PLURALS = {"entry": "entries", "process": "processes"}
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "alarm": "1;37;41",
    "stop": "1;31",
    "go": "1;32",
    "warn": "1;33",
}


class Page:
    """How wide prose is: COLUMNS, or less where the terminal has less. The console says so when a command starts."""

    columns = COLUMNS


page = Page()


class Paint:
    """Colours, or none."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, text: str, style: str = "") -> str:
        """`text` in a style; the text itself must be clean."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.enabled and style and text else text


def first_line(error: BaseException) -> str:
    """What an error says, in a line; its kind where it says nothing, as timeouts of a socket do."""
    return str(error).strip().partition("\n")[0].strip() or type(error).__name__


def clean(value: object) -> str:
    """`value` as one line of printable text of bounded length; what is not printable, and what piles up marks over one
    letter, is shown as an escape."""
    text = printable(value)
    if text.isascii():
        return text
    shown, marks = [], 0
    for char in text:
        marks = marks + 1 if _is_mark(char) else 0
        shown.append(char if marks <= _MARKS_MAX else char.encode("unicode_escape").decode("ascii"))
    return "".join(shown)


def quoted(text: str) -> str:
    """Somebody's own words, between quotes where a blank at an end could not be seen."""
    return f"'{clean(text)}'" if text != text.strip() else clean(text)


def _is_mark(char: str) -> bool:
    """Whether it is drawn onto the letter before it."""
    return char > "\x7f" and (unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff")


def _char_width(char: str) -> int:
    if _is_mark(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(text: str) -> int:
    """Columns that clean text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def fit(text: str, columns: int) -> str:
    """`text`, cut to `columns` with a mark where it was cut."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for char in text:
        used += _char_width(char)
        if used > columns - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def fit_middle(text: str, columns: int) -> str:
    """`text`, cut in its middle: the ends of a name tell names apart."""
    if width(text) <= columns or columns < 5 or not text.isascii():
        return fit(text, columns)
    head = (columns - 1) // 2
    return f"{text[:head]}…{text[head + 1 - columns :]}"


def wrap(text: str, columns: int | None = None, indent: str = "") -> list[str]:
    """`text` in lines of at most `columns` (the page's), each after `indent`; nothing is lost, long words break."""
    room = (columns or page.columns) - width(indent)
    lines, line = [], ""
    for word in text.split():
        while width(word) > room:
            head = fit(word, room)[:-1] or word[0]
            if line:
                lines.append(line)
                line = ""
            lines.append(head)
            word = word[len(head) :]
        joined = f"{line} {word}" if line else word
        if width(joined) > room:
            lines.append(line)
            joined = word
        line = joined
    return [indent + one for one in [*lines, line] if one]


def count_of(count: int, what: str) -> str:
    """So many of something, in words: `what` is one of them."""
    return f"{count:,} {what if count == 1 else _PLURALS.get(what, what + 's')}"


def span(ms: float) -> str:
    """A duration in the two units that matter."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 1:
        return f"{minutes} min {int(seconds % 60)} s"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def brief(seconds: int) -> str:
    """A duration as `--for` takes it: 8h, 1h30m, 45s."""
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def ago(ms: float) -> str:
    """How long ago, or just now."""
    return "just now" if ms < 1000 else f"{span(ms)} ago"


Cell = str | tuple[str, str]
"""Clean text, or clean text with a style."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. One with `least` above 0 may be cut down to that many columns; `right` aligns numbers; `middle` cuts
    in the middle; `wrap`, for the last column, goes on in the next line instead of being cut. `first` gives way before
    those that matter more."""

    title: str
    least: int = 0
    right: bool = False
    middle: bool = False
    wrap: bool = False
    first: bool = False


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _pad(text: str, columns: int, right: bool) -> str:
    gap = " " * max(columns - width(text), 0)
    return gap + text if right else text + gap


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], limit: int) -> list[int]:
    """Natural widths; where they exceed the limit the widest column that may shrink gives way first."""
    widths = [max([width(c.title), *(width(_text(row[i])) for row in rows)]) for i, c in enumerate(columns)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - limit
    while excess > 0:
        able = [i for i, c in enumerate(columns) if c.least and widths[i] > max(c.least, 1)]
        if not able:
            break
        able = [i for i in able if columns[i].first] or able
        widths[max(able, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def blocks(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], paint: Paint, limit: int | None = None
) -> tuple[str, list[list[str]]]:
    """The head of a table, and of each row its lines; a column in which no row says anything is left out."""
    body = [tuple(row) for row in rows]
    used = [i for i in range(len(columns)) if any(_text(row[i]) for row in body)]
    columns = [columns[i] for i in used]
    body = [tuple(row[i] for i in used) for row in body]
    widths = _widths(columns, body, limit or page.columns)
    head = _GAP.join(_pad(fit(c.title, w), w, c.right) for c, w in zip(columns, widths, strict=True))
    before = " " * (sum(widths[:-1]) + len(_GAP) * (len(widths) - 1))
    found = []
    for row in body:
        cells, rest = [], []
        for cell, column, wide in zip(row, columns, widths, strict=True):
            text = _text(cell)
            if column.wrap and width(text) > wide:
                text, *rest = wrap(text, wide) or [""]  # nothing but blanks
            shown = fit_middle(text, wide) if column.middle else fit(text, wide)
            padded = _pad(shown, wide, column.right)
            cells.append(padded if isinstance(cell, str) else paint(padded, cell[1]))
        found.append([_GAP.join(cells).rstrip(), *(before + more for more in rest)])
    return paint(head.rstrip(), "dim"), found


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], paint: Paint, limit: int | None = None
) -> list[str]:
    """Lines of a table, as `blocks` has them. `limit`: how wide it may be (the page's)."""
    head, found = blocks(columns, rows, paint, limit)
    return [head, *(line for lines in found for line in lines)]
