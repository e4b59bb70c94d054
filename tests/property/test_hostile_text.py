"""Whatever somebody wrote, it is shown as one line that stands still; and no text keeps anybody from stopping."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import Blocked, Code, Mode, Outcome, StoreRefused, StoreUnavailable, Verdict, printable
from killswitch.core.answer import StateRow, read_state
from killswitch.core.words import LONGEST, MAX_TEXT, check_reason, tidy
from killswitch.store.refusals import refusal
from ops import changes
from ops.console import console
from ops.proving import pending_lines, verdict_lines
from ops.render import COLUMNS, Column, Paint, clean, table, width
from ops.screens import status_lines
from tests.support.hostile_text import CORPUS, HOSTILE, HUGE, faults
from tests.unit.ops.pictures import engaged, member, state, status

PLAIN = Paint(False)


@given(text=HOSTILE)
def test_a_text_of_somebody_else_becomes_one_line(text: str) -> None:
    """In the library and in the shell, and what was readable stays readable."""
    for shown in (printable(text), clean(text)):
        assert faults(shown) == []
        assert "\n" not in shown
    if text.isascii() and text.isprintable():
        assert printable(text) == clean(text) == text


@pytest.mark.parametrize("text", HUGE)
def test_megabytes_are_shown_by_their_beginning_and_length(text: str) -> None:
    """Nobody fills a screen or a log with one value."""
    assert len(clean(text)) <= 12 * LONGEST
    assert f"({len(text)} characters)" in clean(text)


@given(text=HOSTILE | st.sampled_from(HUGE))
def test_any_text_becomes_a_reason_for_the_record(text: str) -> None:
    """What a stop is given is made fit; what permits something is refused, or kept to the letter."""
    made = tidy(text, "no reason given")
    assert check_reason(made, "the reason") == made
    assert 0 < len(made) <= MAX_TEXT
    assert tidy(made, "") == made


@given(text=HOSTILE, scope=HOSTILE, kind=st.sampled_from(["value", "wrong-type", "absent"]))
def test_the_reason_of_a_closed_gate_is_one_line(text: str, scope: str, kind: str) -> None:
    """It is what other people's programs log when they are blocked."""
    for said in (text, f"ENGAGED {text}"):
        row = StateRow(kind, said[:256], len(said), -1, 7, True)
        for name in (None, scope):
            mode, code, reason = read_state(row, name)
            assert faults(str(Blocked(code, mode, 7, reason))) == []


@given(text=HOSTILE)
def test_the_words_of_a_server_are_one_line(text: str) -> None:
    """A server, a man in between or whoever chose a name may have written them."""
    for error in (refusal(text), StoreRefused(Code.REDIS_REFUSED, text), StoreUnavailable(Code.UNREACHABLE, text)):
        assert faults(str(error) + error.reason) == []


@settings(max_examples=40)
@given(text=HOSTILE, other=HOSTILE)
def test_no_screen_leaves_its_lines_and_its_width(text: str, other: str) -> None:
    """`status`, `watch`, the wait and its verdict, with the text in every place that Redis fills."""
    worker = member(
        text, engine=other, mode=text, code=other, rung=text, version=other, orders=(text, other), sinks=(text,)
    )
    lost = replace(worker, known=False)
    where = {"actor": text, "why": other, "via": text, "reason": other}
    for switch in (state(text=text, **where), engaged(text, **where), state(recorded=False, **where)):
        picture = status(
            switch=switch,
            scopes=(state(scope=text, text=other, **where), engaged(other, scope=other, **where)),
            members=(worker, lost),
            server=text,
            run_id=other,
            trouble=(Code.REDIS_REFUSED, text),
        )
        lines = [*status_lines(picture, "1.0", PLAIN), *pending_lines(worker), *pending_lines(lost)]
        outcome = Outcome(
            Verdict.UNCERTAIN, 3, text, other, text, other, text, members=(worker,), pending=(worker, lost)
        )
        lines += verdict_lines(replace(outcome, note=other), PLAIN)
        assert [line for line in lines if width(line) > COLUMNS] == []
        told = [*changes.opening(picture), *changes.between(status(), picture), *changes.between(picture, status())]
        assert faults("\n".join([*lines, *told])) == []
        assert all("\n" not in line for line in [*lines, *told])


@given(cells=st.lists(HOSTILE, min_size=3, max_size=6))
def test_columns_of_a_table_stay_where_they_are(cells: list[str]) -> None:
    """What is in one cell moves nothing in another."""
    columns = (Column("A", least=8), Column("B", least=8, middle=True), Column("C"))
    lines = table(columns, [(clean(f"a{cell}"), clean(f"b{cell}"), "here") for cell in cells], PLAIN, 60)
    assert {width(line) for line in lines[1:]} == {width(lines[0]) + 3}
    assert all(line.endswith("  here") for line in lines[1:])


@given(text=HOSTILE)
def test_trouble_is_told_as_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning quotes what it is about, and cannot be made to draw."""
    console.begin()
    console.trouble("warning", text)
    assert faults(capsys.readouterr().err) == []


def test_the_corpus_would_be_noticed() -> None:
    """Each of the texts breaks something where it is printed as it is, but those that are only long or quoted."""
    assert sum(bool(faults(text.replace("\n", "\x0a"))) or "\n" in text for text in CORPUS) >= len(CORPUS) - 5
    assert Mode.SAFE == "SAFE"
