"""Scopes, leases, records, members and codes: the small rules."""

from __future__ import annotations

import pytest

from killswitch.core.audit import parse_entry
from killswitch.core.fleet import Member, followers, lease_bound_ms, not_quiet, parse_member
from killswitch.core.lease import LONGEST_LEASE_MS, closed_by_ms, deadline_ns
from killswitch.core.modes import InvalidInput, Mode, Scope, strictest
from killswitch.core.reasons import Code
from killswitch.core.view import FIRST_PICTURE, Picture, View


def test_no_mode_at_all_is_engaged() -> None:
    """Unknown is closed."""
    assert strictest() is Mode.ENGAGED


@pytest.mark.parametrize("text", ["symbol:EURUSD", "a:7", "host:web-1.example/x@y+z", "s_1-a:" + "x" * 64])
def test_scope_of_the_right_form_reads_back_as_written(text: str) -> None:
    """Parsing and writing a scope lose nothing."""
    scope = Scope.parse(text)
    assert str(scope) == text
    assert Scope.parse(scope) is scope


@pytest.mark.parametrize(
    "text",
    [
        "",
        "symbol",
        "symbol:",
        ":X",
        "Symbol:X",
        "symbol:X Y",
        "symbol:*",
        "symbol:a:b",
        "symbol:X\n",
        "9:x",
        "s:" + "x" * 65,
    ],
)
def test_scope_of_another_form_is_refused_with_value_rule_and_remedy(text: str) -> None:
    """The message names the value and shows how to write it."""
    with pytest.raises(InvalidInput, match="write for example symbol:EURUSD") as caught:
        Scope.parse(text)
    assert repr(text[:80]) in str(caught.value)


def test_lease_counts_from_the_send_and_is_bounded_by_the_key() -> None:
    """deadline = sent + min(lease, time to live)."""
    assert deadline_ns(7, 1000, None) == 7 + 1_000_000_000
    assert deadline_ns(7, 1000, 300) == 7 + 300_000_000
    assert deadline_ns(7, 1000, 5000) == 7 + 1_000_000_000
    assert deadline_ns(7, 1000, 0) == 7


@pytest.mark.parametrize("lease_ms", [50, 300, 900, 1000, 60_000])
def test_outer_bound_allows_for_a_slow_clock_there_and_a_fast_one_here(lease_ms: int) -> None:
    """A worker whose clock runs a tenth slow holds its lease that much longer, and a clock that runs a tenth fast, on
    which an operator waits, gets there sooner; and not a tick is waited that neither explains."""
    held_ms = lease_ms / 0.9
    assert closed_by_ms(lease_ms) / 1.1 > held_ms
    assert (closed_by_ms(lease_ms) - 2) / 1.1 < held_ms


def test_first_picture_is_closed() -> None:
    """Closed is the default."""
    assert not FIRST_PICTURE.is_open
    assert FIRST_PICTURE.mode is Mode.ENGAGED
    with pytest.raises(AttributeError):
        FIRST_PICTURE.signal_until_ns = 1  # type: ignore[misc]
    assert Picture(Mode.SAFE, 1, Code.OPEN, "", 1, 1).is_open


def test_view_for_people_is_frozen() -> None:
    """Nobody opens a gate by writing into what it shows."""
    view = View(Mode.ENGAGED, 1, Code.ENGAGED, "stopped", None, "bcast")
    with pytest.raises(AttributeError):
        view.mode = Mode.SAFE  # type: ignore[misc]


def test_every_code_is_one_stable_word_with_meaning_and_remedy() -> None:
    """The table in the reference is generated from these."""
    for code in Code:
        assert code == code.value == code.name.lower()
        assert code.meaning.endswith((".", "?"))
        assert code.remedy.endswith((".", "?"))


def test_member_of_sound_fields_is_read_back() -> None:
    """What a worker says of itself arrives."""
    found = parse_member(
        "w1",
        {
            "host": "h", "pid": "7", "scopes": "a:1,b:2", "seen_epoch": "5", "quiet_epoch": "5", "closed": "1",
            "in_flight": "0", "orders": '["c-1"]', "info": '{"ticks": 3}', "beat_ms": "1000", "lease_ms": "400",
        },
        9_000,
        10_000,
    )  # fmt: skip
    assert (found.scopes, found.epoch, found.quiet_epoch, found.closed) == (("a:1", "b:2"), 5, 5, True)
    assert (found.orders, found.info, found.beat_age_ms, found.lease_ms) == (("c-1",), {"ticks": 3}, 1000, 400)
    assert not found.silent
    assert not not_quiet((found,), 5)


@pytest.mark.parametrize(
    "fields",
    [
        {"quiet_epoch": "9", "in_flight": "none"},
        {"quiet_epoch": "9", "in_flight": "-1"},
        {"quiet_epoch": "9", "in_flight": "1"},
        {"quiet_epoch": "-9", "in_flight": "0"},
        {"quiet_epoch": "9.5", "in_flight": "0"},
        {"quiet_epoch": "\u0669", "in_flight": "0"},
        {"quiet_epoch": "9" * 30, "in_flight": "0"},
        {"in_flight": "0"},
        {},
    ],
)
def test_nonsense_in_a_worker_hash_is_never_read_as_quiet(fields: dict[str, str]) -> None:
    """Whatever is unclear keeps the worker from being called quiet."""
    found = parse_member("w1", {"orders": "[", "info": "[1]", **fields} if fields else {}, 0, 1)
    assert not_quiet((found,), 5) == (found,)
    assert found.orders == ()
    assert found.info == {}


@pytest.mark.parametrize(
    ("refused", "slack", "expected"),
    [
        ('{"engaged": [3, 1], "stale_signal": [0, 2]}', "740", ({"engaged": (3, 1), "stale_signal": (0, 2)}, 740)),
        ('{"engaged": [3]}', "-12", ({}, -12)),
        ('{"engaged": [-1, true], "\\n": [1, 1], "open": 7}', "7.5", ({}, None)),
        ('{"engaged": [1e3, 9007199254740992]}', "\u0669", ({}, None)),
        ("[[]]", "", ({}, None)),
        ("{" * 50_000, "9" * 30, ({}, None)),
    ],
)
def test_counts_in_a_worker_hash_are_sound_or_not_there(refused: str, slack: str, expected: object) -> None:
    """Only codes of the closed list and whole counts come through, whoever wrote them."""
    found = parse_member("w1", {"in_flight": "0", "refused": refused, "slack_ms": slack}, 0, 1)
    assert (dict(found.refused), found.slack_ms) == expected


@pytest.mark.parametrize(
    ("worker", "left_ms"),
    [
        (Member("w", lease_ms=900, beat_ms=900, beat_age_ms=0), 1101),
        (Member("w", lease_ms=900, beat_ms=900, beat_age_ms=1101), 1101),
        (Member("w", lease_ms=900, beat_ms=900, beat_age_ms=1501), 701),
        (Member("w", lease_ms=900, beat_ms=900, beat_age_ms=5000), 0),
        (Member("w", lease_ms=900, beat_ms=900, closed=True), 1101),
        (Member("w", lease_ms=900, beat_ms=900, closed=True, quiet_epoch=4), 0),
        (Member("w", lease_ms=900, beat_ms=900, closed=True, quiet_epoch=4, in_flight=1), 1101),
        (Member("w", lease_ms=900, beat_ms=900, closed=True, quiet_epoch=4, rival=True), 1101),
        (Member("w", lease_ms=900, beat_ms=900, beat_age_ms=5000, rival=True), 1101),
        (Member("w", known=False), 73_334),
        (Member("w", known=False, beat_age_ms=300_000), 0),
    ],
)
def test_lease_left_is_never_told_too_short(worker: Member, left_ms: int) -> None:
    """A worker renews until its next beat is due and its lease runs from there; only proof of quiet ends it at once."""
    assert worker.lease_left_ms == left_ms


def test_member_without_a_hash_is_unknown_silent_and_concerns_every_scope() -> None:
    """Who cannot be asked is counted everywhere."""
    lost = Member("w1", known=False)
    assert lost.silent
    assert followers((lost, Member("w2", scopes=("a:1",)), Member("w3")), "a:1") == (
        lost,
        Member("w2", scopes=("a:1",)),
    )
    assert len(followers((lost, Member("w2")), "switch")) == 2


def test_member_with_a_rival_concerns_every_scope() -> None:
    """Two lives under one name may follow different scopes; the row tells those of the one that spoke last."""
    shared = Member("w1", scopes=("a:1",), rival=True)
    assert followers((shared, Member("w2", scopes=("a:1",))), "b:2") == (shared,)


def test_longest_lease_of_all_bounds_the_wait() -> None:
    """A member with a longer lease than this tool's own setting is waited for."""
    assert lease_bound_ms((Member("a", lease_ms=5000), Member("b", lease_ms=10)), 1000) == 5000
    assert lease_bound_ms((), 1000) == 1000
    assert lease_bound_ms((Member("a", lease_ms=5000), Member("lost", known=False)), 1000) == LONGEST_LEASE_MS


def test_audit_entry_of_any_content_is_read_and_nothing_is_made_up() -> None:
    """A number that is none reads as -1, a field that is missing as empty."""
    found = parse_entry("1-1", {"epoch": "1e400", "from": "a", "to": "b", "at_ms": "-5", "op": "x"})
    assert (found.epoch, found.at_ms, found.before, found.after, found.operation) == (-1, -1, "a", "b", "x")
    assert parse_entry("1-1", {"epoch": "7", "at_ms": "12"}).epoch == 7
    assert parse_entry("1-1", {}).reason == ""
