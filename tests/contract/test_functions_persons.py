"""The function library: where two persons have to permit, one can not; on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import ApprovalPending, EpochConflict, PermissionEnded, StoreRefused
from tests.support.library import Library
from tests.support.persons import epoch_of, pending, permit, rule

SCOPE = "symbol:EURUSD"
HOUR_MS = 3_600_000


@pytest.fixture
def stopped(library: Library) -> Library:
    """Two persons have to permit, and the switch is engaged."""
    rule(library, 2)
    library.engage()
    return library


def test_the_second_of_two_persons_permits(stopped: Library) -> None:
    """S7: the first approves and nothing is permitted; another person at the same epoch permits; both are on record."""
    epoch = epoch_of(stopped)
    waits = pending(stopped, "Alice@desk1", epoch)
    assert waits.who == "alice"
    assert str(waits).startswith("alice has approved (trading), and nothing is permitted yet: another person has")
    assert epoch_of(stopped) == epoch, "an approval is no change"
    assert stopped.audit()[-1] | {"at_ms": "", "counter": ""} == {
        "kind": "approved", "epoch": str(epoch), "counter": "", "scope": "switch", "at_ms": "", "verb": "reset",
        "what": "SAFE:0", "reason": "checked", "actor": "Alice@desk1", "via": "test", "op": "",
    }  # fmt: skip
    done = permit(stopped, "bob", epoch)
    assert (done.epoch, done.state) == (epoch + 1, "SAFE")
    assert stopped.verdict().mode is Mode.SAFE
    entry = stopped.changes()[-1]
    assert (entry["actor"], entry["reason"]) == ("bob", "approved by alice: checked")


@pytest.mark.parametrize("again", ["alice", "ALICE", "alice@another-host", " alice @x", "Alice@desk1"])
def test_one_person_is_one_under_whatever_spelling(stopped: Library, again: str) -> None:
    """S7: who approves twice, from two hosts or in capitals, has approved once."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice@desk1", epoch)
    for _ in range(3):
        waits = pending(stopped, again, epoch)
        assert (waits.who, "had approved already" in str(waits)) == ("alice", True)


def test_who_approves_something_else_is_told_that_the_first_is_void(stopped: Library) -> None:
    """S7: what a person approved last is what counts, and is not called approved already."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch)
    with pytest.raises(ApprovalPending, match="approves this now, and what was approved before no more"):
        stopped.reset(epoch, ttl_ms=60_000)
    assert "had approved already" not in str(pending(stopped, "alice", epoch))


@pytest.mark.parametrize("actor", ["unattributed", "unknown", "@host", "  @host", ""])
def test_nobody_in_particular_approves_nothing(stopped: Library, actor: str) -> None:
    """S7: two who do not say who they are may be one."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch)
    with pytest.raises(StoreRefused, match="say who you are"):
        permit(stopped, actor, epoch)
    assert stopped.get() == "ENGAGED stop"


def test_names_beyond_plain_letters_are_told_apart(stopped: Library) -> None:
    """S7: two persons whose names have other letters are two, and each of them one."""
    epoch = epoch_of(stopped)
    pending(stopped, "Žofie", epoch)
    pending(stopped, "Žofie@desk", epoch)
    assert permit(stopped, "Šofie", epoch).state == "SAFE"


@pytest.mark.parametrize("between", [
    lambda library: library.engage("again"),
    lambda library: library.set_raw("ENGAGED by hand"),
    lambda library: library.raw("DEL", library.keys.state),
])  # fmt: skip
def test_a_stop_in_between_voids_what_was_approved(stopped: Library, between: Callable[[Library], object]) -> None:
    """S7, P8: neither at the old epoch nor at the new one does the first approval count."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch)
    between(stopped)
    with pytest.raises(EpochConflict):
        permit(stopped, "bob", epoch)
    now = epoch_of(stopped)
    assert now > epoch
    pending(stopped, "bob", now)
    assert permit(stopped, "alice", now).state == "SAFE"


def test_both_have_to_ask_for_the_same(stopped: Library) -> None:
    """S7: a permission for an hour is not one without an end, and one to reduce is none to trade."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch, ttl_ms=HOUR_MS)
    assert "something else than alice, whose approval of trading for 3600 s is void" in str(
        pending(stopped, "bob", epoch)
    )
    with pytest.raises(ApprovalPending):
        stopped.switch.reduce(None, "less", "carol", epoch, "", "test")
    pending(stopped, "alice", epoch, ttl_ms=HOUR_MS)
    assert permit(stopped, "bob", epoch, ttl_ms=HOUR_MS).state == "SAFE (for 3600 s)"


def test_a_scope_takes_two_as_well_and_by_itself(stopped: Library) -> None:
    """S7, S14: what was approved for the switch says nothing about a scope, and the other way round."""
    stopped.engage(scope=SCOPE)
    own, its = epoch_of(stopped), epoch_of(stopped, SCOPE)
    pending(stopped, "alice", own)
    pending(stopped, "bob", its, SCOPE)
    assert permit(stopped, "alice", its, SCOPE).state == "SAFE"
    assert stopped.get() == "ENGAGED stop"


def test_an_approval_waits_for_an_hour_by_the_servers_clock(stopped: Library) -> None:
    """S7: what was approved yesterday was approved about another day; and after a clock set back nobody knows when."""
    epoch, keys = epoch_of(stopped), stopped.keys
    for by_ms in (HOUR_MS, -60_000):
        pending(stopped, "alice", epoch)
        words = stopped.ledger()["switch:approval"].split()
        aged = " ".join([words[0], str(int(words[1]) - by_ms), *words[2:]])
        stopped.raw("HSET", keys.ledger, "switch:approval", aged)
        stopped.raw("SET", f"{keys.prefix}:approval:alice:switch", aged)
        pending(stopped, "bob", epoch)
        stopped.raw("HDEL", keys.ledger, "switch:approval")


def test_an_approval_that_its_person_did_not_write_does_not_count(stopped: Library) -> None:
    """S7: the ledger is everybody's; the key of a person's name is not."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch)
    forged = stopped.ledger()["switch:approval"].replace("alice", "carol")
    stopped.raw("HSET", stopped.keys.ledger, "switch:approval", forged)
    pending(stopped, "alice", epoch)


def test_two_persons_who_go_through_several_scopes_do_not_lose_one(stopped: Library) -> None:
    """As after a fail-over: the first approves all of them, then the second does."""
    scopes: tuple[str | None, ...] = (None, SCOPE, "host:a")
    for scope in scopes[1:]:
        stopped.engage(scope=scope)
    epochs = {scope: epoch_of(stopped, scope or "switch") for scope in scopes}
    for scope in scopes:
        pending(stopped, "alice", epochs[scope], scope)
    for scope in scopes:
        assert permit(stopped, "bob", epochs[scope], scope).state == "SAFE"


def test_nonsense_where_an_approval_stands_is_none(stopped: Library) -> None:
    """Of another type, or of another form: then the first is the first."""
    epoch, key = epoch_of(stopped), f"{stopped.keys.prefix}:approval:alice:switch"
    pending(stopped, "alice", epoch)
    stopped.raw("DEL", key)
    stopped.raw("RPUSH", key, "x")
    pending(stopped, "bob", epoch)
    for text in ("", "x", "-", f"{epoch} 1e400 SAFE:0 alice", f"{epoch} {'9' * 16} SAFE:0 alice"):
        stopped.raw("HSET", stopped.keys.ledger, "switch:approval", text)
        pending(stopped, "bob", epoch)
        stopped.raw("HSET", stopped.keys.ledger, "switch:approval", "-")


def test_reducing_takes_two_where_it_loosens(stopped: Library) -> None:
    """S7: from ENGAGED; from SAFE anybody may, alone and at once."""
    epoch = epoch_of(stopped)
    with pytest.raises(ApprovalPending):
        stopped.switch.reduce(None, "less", "alice", epoch, "", "test")
    done = stopped.switch.reduce(None, "less", "bob", epoch, "", "test")
    assert (done.state, stopped.changes()[-1]["reason"]) == ("REDUCING", "approved by alice: less")
    pending(stopped, "alice", done.epoch)
    safe = permit(stopped, "bob", done.epoch)
    assert stopped.switch.reduce(None, "less", "carol", None, "", "test").epoch == safe.epoch + 1


def test_a_repeated_command_approves_once_and_permits_once(stopped: Library) -> None:
    """S7: whoever repeats a command whose answer was lost is still one person, and the second gets his answer again."""
    epoch = epoch_of(stopped)
    for _ in range(2):
        with pytest.raises(ApprovalPending):
            permit(stopped, "alice", epoch, op="first")
    assert [entry["kind"] for entry in stopped.audit() if "kind" in entry] == ["approved"]
    done = permit(stopped, "bob", epoch, op="second")
    assert permit(stopped, "bob", epoch, op="second").epoch == done.epoch


def test_a_deadman_does_not_take_a_second_person(stopped: Library) -> None:
    """It only shortens what two have permitted."""
    epoch = epoch_of(stopped)
    pending(stopped, "alice", epoch)
    done = permit(stopped, "bob", epoch)
    assert stopped.deadman(done.epoch).epoch == done.epoch + 1
    assert stopped.verdict().mode is Mode.SAFE
    with pytest.raises(PermissionEnded, match="one can not lengthen it: at most 80000 ms"):
        stopped.deadman(done.epoch + 1, "longer", life_ms=80_001, take_over=True)
    assert stopped.deadman(done.epoch + 1, "other-desk", life_ms=80_000, take_over=True).epoch == done.epoch + 2


def test_nobody_is_asked_for_a_second_person_where_it_is_not_the_rule(library: Library) -> None:
    """Without the rule everything is as it was."""
    assert library.verdict(seen=library.permit()).code is Code.OPEN
    library.set_raw("REDUCING")
    library.beat()
    library.set_raw("SAFE")
    assert library.beat().rows[0].recorded
    assert library.verdict().mode is Mode.SAFE
    with pytest.raises(PermissionEnded):
        library.renew(1)
