"""The function library: what one person does by hand where two have to permit opens nothing; on every backend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from killswitch.core.answer import Decision
from killswitch.core.modes import Mode, Scope
from killswitch.core.reasons import Code
from killswitch.errors import ApprovalPending, Blocked, EpochConflict, PermissionEnded, StoreRefused
from tests.support.library import Library
from tests.support.waiting import eventually

SCOPE = "symbol:EURUSD"
PUT_BACK = "ENGAGED a permission by hand was refused: it takes two persons"
Deed = Callable[[Library], object]


def permit(library: Library, scope: str | None = None, ttl_ms: int = 0) -> int:
    """As two persons do it; the epoch."""
    epoch, where = int(library.ledger()[f"{scope or 'switch'}:epoch"]), Scope.parse(scope) if scope else None
    with pytest.raises(ApprovalPending):
        library.switch.reset(where, epoch, "checked", "alice", ttl_ms, "", "test")
    return library.switch.reset(where, epoch, "checked", "bob", ttl_ms, "", "test").epoch


def verdicts(library: Library, *, beats: int = 2) -> set[tuple[Mode, Code]]:
    """What a worker that follows the scope would make of it: before a beat, and after each of several."""
    found = [library.verdict(SCOPE)]
    for _ in range(beats):
        library.beat(scopes=[SCOPE])
        found.append(library.verdict(SCOPE))
    return {(one.mode, one.code) for one in found}


@pytest.fixture
def guarded(library: Library) -> Library:
    """Two persons have to permit; the switch and a scope are engaged."""
    library.switch.initialise("alice", "", "test", "halt", 2)
    library.engage()
    library.engage(scope=SCOPE)
    return library


def key(library: Library, scope: str | None = None) -> str:
    """Of the switch or of a scope."""
    return library.keys.scope_state(Scope.parse(scope) if scope else None)


LOOSE: dict[str, Deed] = {
    "SAFE": lambda library: library.set_raw("SAFE"),
    "REDUCING": lambda library: library.set_raw("REDUCING"),
    "SAFE for a while": lambda library: library.set_raw("SAFE", None, "PX", 60_000),
}
LOOSE_SCOPE: dict[str, Deed] = {
    "DEL": lambda library: library.raw("DEL", key(library, SCOPE)),
    "SAFE": lambda library: library.set_raw("SAFE", SCOPE),
    "REDUCING": lambda library: library.set_raw("REDUCING", SCOPE),
    "RENAME": lambda library: library.raw("RENAME", key(library, SCOPE), f"{library.keys.prefix}:away"),
}


@pytest.mark.parametrize("deed", LOOSE.values(), ids=LOOSE)
def test_a_stop_that_one_person_lifts_by_hand_is_put_back(guarded: Library, deed: Deed) -> None:
    """S7, P5: no reading before the first beat permits, and none after it; GET shows why; one entry tells of it."""
    permit(guarded, SCOPE)
    before = len(guarded.changes())
    deed(guarded)
    assert all(mode is Mode.ENGAGED for mode, _ in verdicts(guarded))
    assert guarded.get() == PUT_BACK
    assert guarded.raw("PTTL", guarded.keys.state) == -1
    (entry,) = guarded.changes()[before:]
    assert (entry["from"], entry["to"], entry["via"]) == ("ENGAGED stop", PUT_BACK, "raw")
    assert entry["reason"].startswith("by hand, ")
    permit(guarded)
    assert guarded.verdict(SCOPE).mode is Mode.SAFE


@pytest.mark.parametrize("deed", LOOSE_SCOPE.values(), ids=LOOSE_SCOPE)
def test_a_stop_of_a_scope_that_one_person_lifts_by_hand_is_put_back(guarded: Library, deed: Deed) -> None:
    """S7, S14: an absent scope follows the switch, so to delete it is to permit."""
    permit(guarded)
    deed(guarded)
    assert all(mode is Mode.ENGAGED for mode, _ in verdicts(guarded))
    assert guarded.get(SCOPE) == PUT_BACK
    permit(guarded, SCOPE)
    assert guarded.verdict(SCOPE).mode is Mode.SAFE


LONGER: dict[str, Deed] = {
    "no end any more": lambda library: library.raw("PERSIST", library.keys.state),
    "a later end": lambda library: library.raw("PEXPIRE", library.keys.state, 120_000),
    "written anew": lambda library: library.set_raw("SAFE"),
    "reducing without end": lambda library: library.set_raw("REDUCING"),
}


@pytest.mark.parametrize("deed", LONGER.values(), ids=LONGER)
def test_an_end_that_one_person_puts_off_by_hand_ends_it(guarded: Library, deed: Deed) -> None:
    """S7: a permission for longer is another permission."""
    permit(guarded, SCOPE)
    permit(guarded, ttl_ms=60_000)
    assert guarded.verdict(SCOPE).mode is Mode.SAFE
    deed(guarded)
    assert all(mode is Mode.ENGAGED for mode, _ in verdicts(guarded))
    assert guarded.get() == PUT_BACK


def test_a_permission_that_somebody_renews_is_not_freed_of_that_by_hand(guarded: Library) -> None:
    """S7: a change by hand has no dead man's switch, so it would permit without end."""
    permit(guarded, SCOPE)
    guarded.deadman(permit(guarded))
    guarded.set_raw("SAFE", None, "PX", 60_000)
    assert all(mode is Mode.ENGAGED for mode, _ in verdicts(guarded))
    assert guarded.get() == PUT_BACK


TIGHT: dict[str, tuple[Deed, Mode]] = {
    "ENGAGED": (lambda library: library.set_raw("ENGAGED now"), Mode.ENGAGED),
    "REDUCING": (lambda library: library.set_raw("REDUCING"), Mode.REDUCING),
    "an end": (lambda library: library.raw("PEXPIRE", library.keys.state, 60_000), Mode.SAFE),
    "a scope": (lambda library: library.set_raw("REDUCING", SCOPE), Mode.REDUCING),
    "a scope that is only absent": (lambda library: library.raw("DEL", key(library, SCOPE)), Mode.SAFE),
}


@pytest.mark.parametrize(("deed", "mode"), TIGHT.values(), ids=TIGHT)
def test_what_one_person_tightens_by_hand_stands(guarded: Library, deed: Deed, mode: Mode) -> None:
    """P8: to stop takes one person, by whatever means."""
    permit(guarded)
    permit(guarded, SCOPE)
    deed(guarded)
    guarded.beat(scopes=[SCOPE])
    assert guarded.verdict(SCOPE).mode is mode


def test_a_stop_over_what_was_done_by_hand_is_recorded_as_ever(guarded: Library) -> None:
    """P8, P10: engaging works on it, and both changes have an entry."""
    before = len(guarded.changes())
    guarded.set_raw("SAFE")
    done = guarded.engage("after it")
    assert guarded.get() == "ENGAGED after it"
    first, second = guarded.changes()[before:]
    assert (first["reason"], first["to"]) == ("by hand, and two persons have to permit", "SAFE, not accepted")
    assert (second["to"], int(second["epoch"])) == ("ENGAGED after it", done.epoch)
    answer = guarded.beat()
    assert answer.rows[0].recorded
    assert len(guarded.changes()) == before + 2


LOOKS_LIMITED = "SAFE@99999999999999"
"""A stop, in words like those by which a permission with an end is on record."""


@pytest.mark.parametrize("scope", [None, SCOPE])
@pytest.mark.parametrize("options", [("PXAT", 99999999999999), ("PX", 60_000), ()])
def test_a_stop_in_the_words_of_the_record_is_no_permission(
    guarded: Library, scope: str | None, options: tuple[str | int, ...]
) -> None:
    """S7, P5, P10: what was recorded of a text is never what is recorded of another value."""
    permit(guarded)
    permit(guarded, SCOPE)
    guarded.set_raw(LOOKS_LIMITED, scope)
    guarded.beat(scopes=[SCOPE])
    guarded.set_raw("SAFE", scope, *options)
    assert all(mode is Mode.ENGAGED for mode, _ in verdicts(guarded))


def test_a_permission_of_a_scope_for_a_while_may_end(guarded: Library) -> None:
    """Before and after it the scope follows the switch, so nothing loosens."""
    permit(guarded)
    permit(guarded, SCOPE)
    guarded.set_raw("SAFE", SCOPE, "PX", 40)
    guarded.beat(scopes=[SCOPE])
    eventually(lambda: guarded.get(SCOPE) is None, why="it ends")
    guarded.beat(scopes=[SCOPE])
    assert guarded.verdict(SCOPE).mode is Mode.SAFE
    assert guarded.get(SCOPE) is None


def test_two_persons_permit_over_what_one_did_by_hand_at_the_epoch_that_is_shown(guarded: Library) -> None:
    """S7: also before any beat; the first is told that it was changed since, then two calls are enough."""
    permit(guarded, SCOPE)
    guarded.set_raw("SAFE")
    with pytest.raises(EpochConflict):
        guarded.reset(guarded.ledger_epoch())
    permit(guarded)
    assert guarded.verdict(SCOPE).mode is Mode.SAFE


def unwritable(library: Library) -> Library:
    """By hand, and then this user may not write the state, as a worker may not."""
    library.set_raw("SAFE")
    library.raw("ACL", "SETUSER", "default", "-set")
    return library


@pytest.fixture
def guarded_real(real_library: Library) -> Library:
    """The switch alone, on a server that may be bent."""
    real_library.switch.initialise("alice", "", "test", "halt", 2)
    real_library.engage()
    return real_library


def decided(library: Library) -> Decision:
    """What a worker makes of it after a beat."""
    library.beat()
    return library.verdict()


def test_who_may_not_write_the_state_keeps_it_closed_by_the_record_alone(guarded_real: Library) -> None:
    """S7, P10: one entry, whoever beats and how often; no reading holds; then whoever may puts the stop there."""
    library = guarded_real
    before = len(library.changes())
    unwritable(library)
    assert library.verdict().code is Code.UNRECORDED
    for _ in range(3):
        found = decided(library)
        assert (found.mode, found.code, found.unsettled) == (Mode.ENGAGED, Code.UNAPPROVED, False)
    assert library.get() == "SAFE"
    (entry,) = library.changes()[before:]
    assert (entry["to"], entry["reason"]) == ("SAFE, not accepted", "by hand, and two persons have to permit")
    with pytest.raises(Blocked) as blocked:
        library.admit(library.ledger_epoch())
    assert blocked.value.code is Code.UNAPPROVED
    library.raw("ACL", "SETUSER", "default", "+set")
    assert decided(library).code is Code.ENGAGED
    assert library.get() == PUT_BACK


def test_what_was_not_accepted_is_not_accepted_when_the_rule_is_lifted(guarded_real: Library) -> None:
    """S7: two persons lifted a rule; nobody permitted anything."""
    library = unwritable(guarded_real)
    assert decided(library).code is Code.UNAPPROVED
    library.raw("HSET", library.keys.ledger, "persons", "1")
    assert decided(library).code is Code.UNAPPROVED
    library.raw("ACL", "SETUSER", "default", "+set")
    assert decided(library).code is Code.ENGAGED
    assert library.reset(library.ledger_epoch()).state == "SAFE"


def test_what_is_not_accepted_is_neither_renewed_nor_reduced_by_one(guarded_real: Library) -> None:
    """S7: a state that says SAFE and is none is nothing to tighten, and nothing to put under a dead man's switch."""
    library = unwritable(guarded_real)
    library.beat()
    epoch = library.ledger_epoch()
    with pytest.raises(PermissionEnded):
        library.deadman(epoch)
    with pytest.raises(EpochConflict, match="reducing would loosen"):
        library.reduce()
    with pytest.raises(StoreRefused, match="may not permit as alice"):
        library.reduce(epoch)
    assert library.verdict().mode is Mode.ENGAGED


OF_A_SCOPE: dict[str, Deed] = {
    "engage": lambda library: library.engage("x", scope="a:b"),
    "reduce": lambda library: library.reduce(scope="a:b"),
    "a reset that is refused": lambda library: library.reset(99, scope="a:b"),
}


@pytest.mark.parametrize("persons", [1, 2])
@pytest.mark.parametrize("deed", OF_A_SCOPE.values(), ids=OF_A_SCOPE)
def test_a_permission_from_before_a_restart_is_not_confirmed_by_way_of_a_scope(
    library: Library, deed: Deed, persons: int
) -> None:
    """P9, P10, S7: a stop that lies over it gets its epoch before the new incarnation is believed, so that SAFE written
    over that again is a change by hand, and not the permission that is on record."""
    library.permit()
    library.raw("HSET", library.keys.ledger, "persons", persons, "run_id", "another")
    library.set_raw("ENGAGED")
    with suppress(EpochConflict):
        deed(library)
    library.set_raw("SAFE")
    assert library.verdict().mode is Mode.ENGAGED
    library.beat()
    assert library.verdict().mode is (Mode.SAFE if persons == 1 else Mode.ENGAGED)
    assert [entry["via"] for entry in library.changes() if entry["scope"] == "switch"].count("raw") == 2
