"""Reading an answer: what is not exactly as agreed permits nothing."""

from __future__ import annotations

import pytest

from killswitch.core.answer import BadAnswer, StateRow, decide, parse_answer, read_state
from killswitch.core.modes import MAX_EPOCH, Mode
from killswitch.core.reasons import Code
from tests.support.fakes import VERSION, answer, row

GOOD_ROW = [b"value", b"SAFE", 4, -1, b"3", 1]
GOOD = [1, b"17", b"r1", 1, b"3", [GOOD_ROW]]


def test_agreed_form_is_read_field_by_field() -> None:
    """Every field of the form arrives under its name."""
    found = parse_answer(GOOD, 1)
    assert (found.version, found.nonce, found.run_id, found.confirmed, found.counter) == (1, "17", "r1", True, 3)
    assert found.rows == (StateRow("value", "SAFE", 4, -1, 3, True),)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"OK",
        [],
        {},
        GOOD[:5],
        [*GOOD, 1],
        [1, b"17", b"r1", 1, b"3", b"rows"],
        [1, b"17", b"r1", 1, b"3", []],
        [1, b"17", b"r1", 1, b"3", [GOOD_ROW, GOOD_ROW]],
        [1, b"17", b"r1", 1, b"3", [GOOD_ROW[:5]]],
        [1, b"17", b"r1", 1, b"3", [{}]],
        [1, b"17", b"r1", 1, b"3", [[b"hash", *GOOD_ROW[1:]]]],
        [1, b"17", b"r1", 1, b"3", [[None, *GOOD_ROW[1:]]]],
        [1, b"17", b"r1", 1, b"3", [[b"value", None, *GOOD_ROW[2:]]]],
        [1, b"17", b"r1", 1, b"3", [[b"value", b"SAFE", 4, -1, b"-1", 1]]],
        [1, b"17", b"r1", 1, b"3", [[b"value", b"SAFE", 4, -1, str(MAX_EPOCH + 1), 1]]],
        [1, b"17", b"r1", 1, b"3", [[b"value", b"SAFE", 4, 1.5, b"3", 1]]],
        [True, b"17", b"r1", 1, b"3", [GOOD_ROW]],
        [1.0, b"17", b"r1", 1, b"3", [GOOD_ROW]],
        [1, 17, b"r1", 1, b"3", [GOOD_ROW]],
        [1, b"17", None, 1, b"3", [GOOD_ROW]],
        [1, b"17", b"r1", True, b"3", [GOOD_ROW]],
        [1, b"17", b"r1", 1, b"many", [GOOD_ROW]],
        [1, b"17", b"r1", 1, b"9" * 5000, [GOOD_ROW]],
    ],
)
def test_any_other_form_is_a_bad_answer(value: object) -> None:
    """Nothing is guessed from an answer of another form, type or range."""
    with pytest.raises(BadAnswer):
        parse_answer(value, 1)


@pytest.mark.parametrize(
    ("item", "scope", "mode", "code"),
    [
        (row("SAFE"), None, Mode.SAFE, Code.OPEN),
        (row("REDUCING"), None, Mode.REDUCING, Code.REDUCING),
        (row("ENGAGED"), None, Mode.ENGAGED, Code.ENGAGED),
        (row("ENGAGED why"), None, Mode.ENGAGED, Code.ENGAGED),
        (row("ENGAGED why"), "a:b", Mode.ENGAGED, Code.SCOPE_ENGAGED),
        (row("ENGAGEDwhy"), None, Mode.ENGAGED, Code.STATE_UNRECOGNISED),
        (row("SAFE\n"), None, Mode.ENGAGED, Code.STATE_UNRECOGNISED),
        (row(" SAFE"), None, Mode.ENGAGED, Code.STATE_UNRECOGNISED),
        (row(""), "a:b", Mode.ENGAGED, Code.STATE_UNRECOGNISED),
        (row(None), None, Mode.ENGAGED, Code.STATE_MISSING),
        (row(None), "a:b", Mode.SAFE, Code.OPEN),
        (StateRow("wrong-type", "list", 4, -1, 1, True), None, Mode.ENGAGED, Code.STATE_WRONG_TYPE),
        (StateRow("wrong-type", "SAFE", 4, -1, 1, True), None, Mode.ENGAGED, Code.STATE_WRONG_TYPE),
        (StateRow("value", "SAFE", 257, -1, 1, True), None, Mode.ENGAGED, Code.STATE_UNRECOGNISED),
        (StateRow("value", "REDUCING", 9, -1, 1, True), None, Mode.ENGAGED, Code.STATE_UNRECOGNISED),
    ],
)
def test_each_content_of_a_state_key_has_its_mode_and_code(
    item: StateRow, scope: str | None, mode: Mode, code: Code
) -> None:
    """Only the exact texts permit; every other content is ENGAGED with the code that says why."""
    assert read_state(item, scope)[:2] == (mode, code)


def test_engaged_reason_is_what_the_operator_wrote() -> None:
    """The reason travels in the state itself."""
    assert read_state(row("ENGAGED fat finger"), None)[2] == "the switch is engaged: fat finger"
    assert read_state(row("ENGAGED"), "a:b")[2] == "scope a:b is engaged: no reason given"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": 2}, Code.LIBRARY_MISMATCH),
        ({"run_id": ""}, Code.INCARNATION_UNKNOWN),
        ({"confirmed": False}, Code.INCARNATION_CHANGED),
    ],
)
def test_safe_is_not_believed_from_a_doubtful_source(changed: dict[str, object], code: Code) -> None:
    """The state alone is not enough: library, server and incarnation have to be the known ones."""
    found = decide(answer(**changed), VERSION, (), 0, 0)  # type: ignore[arg-type]
    assert (found.mode, found.code) == (Mode.ENGAGED, code)


@pytest.mark.parametrize(
    ("epoch", "seen", "stopped", "opens"),
    [(5, 0, 0, True), (5, 5, 4, True), (5, 6, 0, False), (5, 5, 5, False), (6, 5, 5, True)],
)
def test_epoch_must_be_above_every_stop_and_not_below_any_seen(
    epoch: int, seen: int, stopped: int, opens: bool
) -> None:
    """A worker never opens at the epoch of a stop it saw, nor below one it has seen."""
    found = decide(answer(row("SAFE", epoch)), VERSION, (), seen, stopped)
    assert (found.mode is Mode.SAFE) is opens
    assert opens or found.code is Code.EPOCH_BEHIND


def test_unrecorded_scope_keeps_closed_and_asks_for_a_beat() -> None:
    """A change by hand anywhere is recorded before anything is permitted."""
    found = decide(answer(row("SAFE", 5), row("SAFE", 0, recorded=False)), VERSION, ("a:b",), 0, 0)
    assert (found.code, found.unsettled) == (Code.UNRECORDED, True)


@pytest.mark.parametrize("number", [0, 2, 3, -1, 7])
def test_only_one_means_recorded(number: int) -> None:
    """S7: 2 says that one person did by hand what takes two; any other number is no record either."""
    found = parse_answer([*GOOD[:5], [[*GOOD_ROW[:5], number]]], 1).rows[0]
    assert (found.recorded, found.unapproved) == (False, number == 2)


def test_what_one_person_permitted_by_hand_stays_closed_and_asks_for_nothing() -> None:
    """S7: no beat will make it better, so none is asked for; another row that is not recorded is still asked about."""
    by_hand = StateRow("value", "SAFE", 4, -1, 5, False, True)
    found = decide(answer(row("SAFE", 5), by_hand), VERSION, ("a:b",), 0, 0)
    assert (found.mode, found.code, found.unsettled) == (Mode.ENGAGED, Code.UNAPPROVED, False)
    stopped = decide(answer(row("ENGAGED x", 5), by_hand), VERSION, ("a:b",), 0, 0)
    assert (stopped.code, stopped.unsettled) == (Code.ENGAGED, False)


@pytest.mark.parametrize(("pttl", "limit"), [(-1, None), (1, 1), (5, 5)])
def test_only_minus_one_means_without_limit(pttl: int, limit: int | None) -> None:
    """What is left of a permission bounds what a worker may believe."""
    found = decide(answer(row("SAFE", 5, pttl_ms=pttl)), VERSION, (), 0, 0)
    assert (found.mode, found.ttl_ms) == (Mode.SAFE, limit)


@pytest.mark.parametrize("pttl", [0, -2, -7])
def test_permission_with_nothing_left_is_closed_and_asks_for_a_beat(pttl: int) -> None:
    """A time to live that makes no sense is no permission for ever; the beat writes down that it ended."""
    found = decide(answer(row("SAFE", 5, pttl_ms=pttl)), VERSION, (), 0, 0)
    assert (found.mode, found.code, found.unsettled) == (Mode.ENGAGED, Code.PERMISSION_EXPIRED, True)
