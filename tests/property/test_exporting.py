"""Exported entries: nothing of them is lost, nothing in them becomes a formula or a command, whatever they hold."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from killswitch.clock import wall_text
from killswitch.core.chain import Chain, RawEntry
from killswitch.core.exporting import COLUMNS, Recorded, csv_header, csv_line, json_line, parse_json_line, shown_apart
from tests.support.records import PREFIX, change

NAMES = ["epoch", "scope", "from", "to", "reason", "actor", "via", "op", "at_ms", "kind", "verdict", "pending", "x"]
FORMULAS = st.sampled_from(["=1+1", "+1", "-1", "@SUM(A1)", " =x", "\t=x", "\r=x", '=HYPERLINK("h")', "a\n=b"])
VALUES = st.binary(max_size=20) | FORMULAS.map(str.encode) | st.text(max_size=20).map(lambda text: text.encode())
WORDS = st.lists(st.tuples(st.sampled_from(NAMES).map(str.encode), VALUES), max_size=8).map(
    lambda pairs: tuple(word for pair in pairs for word in pair)
)


@settings(max_examples=60)
@given(words=WORDS, sealed=st.booleans(), key=st.sampled_from(["", "0123456789abcdef"]))
def test_a_json_line_holds_all_of_an_entry(words: tuple[bytes, ...], sealed: bool, key: str) -> None:
    """Byte for byte, with its seal; in one line of printable ASCII that any reader of JSON takes."""
    entry = RawEntry("1700000000000-3", words)
    item = Recorded(entry, Chain(PREFIX, key).seal(7, "", entry) if sealed else None)
    line = json_line(item, wall_text)
    assert line.isascii()
    assert line.isprintable()
    assert parse_json_line(line) == item
    assert shown_apart(line, item, wall_text) == ()
    assert json.loads(line)["number"] == (7 if sealed else None)


@given(data=st.data(), sealed=st.booleans())
def test_each_value_that_is_shown_is_made_of_what_was_sealed(data: st.DataObject, sealed: bool) -> None:
    """Whatever is altered, added, taken out or told twice beside the fields is named; its form alone is nothing."""
    entry = change(3, reason="bad prices")
    item = Recorded(entry, Chain(PREFIX).seal(7, "", entry) if sealed else None)
    honest = json.loads(json_line(item, wall_text))
    assert shown_apart(json.dumps(honest, indent=1, ensure_ascii=False), item, wall_text) == ()
    name = data.draw(st.sampled_from([*(one for one in honest if one != "fields"), "note"]))
    value: Any = data.draw(st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.just([]))
    assume(json.dumps(value) != json.dumps(honest.get(name, "no such value")))
    assert shown_apart(json.dumps({**honest, name: value}), item, wall_text) == (name,)
    twice = f"{{{json.dumps(name)}:{json.dumps(value)},{json.dumps(honest)[1:]}"
    assert shown_apart(twice, item, wall_text) == (name,)
    if name in honest:
        assert shown_apart(json.dumps({k: v for k, v in honest.items() if k != name}), item, wall_text) == (name,)


@settings(max_examples=60)
@given(words=WORDS)
def test_a_row_is_text_in_which_nothing_is_a_formula(words: tuple[bytes, ...]) -> None:
    """Each cell is printable and begins with nothing that a spreadsheet computes; the columns stay in place."""
    text = f"{csv_header()}\n{csv_line(Recorded(RawEntry('5-0', words), None), wall_text)}\n"
    header, row = csv.reader(io.StringIO(text))
    assert tuple(header) == COLUMNS
    assert len(row) == len(COLUMNS)
    for cell in row:
        assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell
        assert cell.isprintable()


def test_a_row_tells_a_change_and_an_outcome() -> None:
    """The values stand where the header says, the end of a wait with its verdict."""
    entry = change(3, reason="=1+1", note="x")
    row = next(csv.reader([csv_line(Recorded(entry, Chain(PREFIX).seal(3, "", entry)), wall_text)]))
    found = dict(zip(COLUMNS, row, strict=True))
    assert (found["epoch"], found["reason"], found["number"], found["kind"]) == ("3", "'=1+1", "3", "change")
    assert found["time"] == "2023-11-14 22:13:23.000Z"
    outcome = change(4, kind="outcome", verdict="UNCERTAIN", waited_ms="512", members="2", pending="w1")
    found = json.loads(json_line(Recorded(outcome, None), wall_text))
    told = [found[name] for name in ("kind", "verdict", "waited_ms", "members", "pending", "link")]
    assert told == ["outcome", "UNCERTAIN", 512, 2, "w1", ""]


@pytest.mark.parametrize("line", ["", "x", "[]", "{}", '{"id":"1-0","fields":3,"number":null}', "[" * 100_000, "null"])
def test_another_line_is_no_entry(line: str) -> None:
    """Whatever stands in a file that is called an export is told as what it is not."""
    with pytest.raises(ValueError, match="no entry of an export"):
        parse_json_line(line)
