"""Text for people: nothing hostile passes, nothing is wider than it may be, nothing that matters is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.render import Column, Paint, ago, brief, clean, fit, fit_middle, span, table, width, wrap

PLAIN = Paint(False)


@given(st.text())
def test_clean_text_is_printable(text: str) -> None:
    """Whatever came out of Redis, what is shown holds no control, format or separator character."""
    assert clean(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_clean_keeps_what_is_printable(text: str) -> None:
    """Printable text is shown as it is."""
    if text.isprintable():
        assert clean(text) == text


@given(st.text().map(clean), st.integers(1, 60))
def test_fit_is_never_wider(text: str, columns: int) -> None:
    """Cut text keeps to its columns, with wide characters counted as two."""
    assert width(fit(text, columns)) <= columns
    assert width(fit_middle(text, columns)) <= columns


@given(st.text(min_size=1).map(clean), st.integers(4, 60))
def test_wrap_loses_nothing(text: str, columns: int) -> None:
    """Every character but spaces comes out again, in lines that fit."""
    lines = wrap(text, columns, "  ")
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= columns for line in lines)


CELLS = st.text(max_size=60).map(clean)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_a_table_fits_its_limit(rows: list[tuple[str, str, str]]) -> None:
    """However long the contents, the lines keep to the limit."""
    columns = (Column("A", 6), Column("B", 6, middle=True), Column("C", 6, wrap=True))
    assert all(width(line) <= 50 for line in table(columns, rows, PLAIN, 50))


def test_a_table_leaves_out_what_nobody_filled() -> None:
    """A column without contents takes no room; numbers stand right."""
    lines = table((Column("A"), Column("B"), Column("N", right=True)), [("x", "", "7"), ("y", "", "12")], PLAIN)
    assert lines == ["A   N", "x   7", "y  12"]


def test_a_table_wraps_its_last_column_under_itself() -> None:
    """A long reason goes on in the next line."""
    lines = table((Column("A"), Column("WHY", 5, wrap=True)), [("x", "one two three")], PLAIN, 10)
    assert lines == ["A  WHY", "x  one two", "   three"]


def test_a_table_shows_a_reason_of_nothing_but_blanks() -> None:
    """Whoever writes blanks by hand does not end the command that looks."""
    assert table((Column("A"), Column("WHY", 5, wrap=True)), [("x", " " * 50)], PLAIN, 10) == ["A  WHY", "x"]


def test_colours_do_not_change_the_alignment() -> None:
    """A styled cell is padded before it is coloured."""
    line = table((Column("A"), Column("B")), [(("x", "stop"), "y"), ("long", "z")], Paint(True))[1]
    assert line == "\x1b[1;31mx   \x1b[0m  y"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_900, "59.9 s"),
        (61_000, "1 min 1 s"),
        (7_260_000, "2 h 1 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_durations_are_told_in_two_units(ms: int, text: str) -> None:
    """From milliseconds to days."""
    assert span(ms) == text


def test_short_durations_are_those_that_for_takes() -> None:
    """What is shown can be typed."""
    assert [brief(s) for s in (0, 45, 5400, 28_800, 90_061)] == ["0s", "45s", "1h30m", "8h", "1d1h1m1s"]
    assert (ago(3), ago(61_000)) == ("just now", "1 min 1 s ago")
