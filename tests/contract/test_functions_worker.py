"""The function library as workers use it: beats, reads, leaving, changes by hand. On every backend."""

from __future__ import annotations

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import LibraryMissing, StoreRefused
from killswitch.store.functions import LIBRARY_VERSION
from tests.support.library import Library

# A changed text needs a new LIBRARY_VERSION from the first release on; until then only this line changes.


@pytest.mark.parametrize(
    ("text", "shown"),
    [("SAFE", "SAFE"), ("ENGAGED x", "ENGAGED x"), ("", "(empty)"), ("a\nb", "a b"), ("REDUCING", "REDUCING")],
)
def test_raw_set_is_recorded_once_by_whoever_beats_first(library: Library, text: str, shown: str) -> None:
    """A change by hand gets an epoch and an entry with an unknown actor; the second beat adds nothing."""
    library.engage()
    library.set_raw(text)
    assert not library.read().rows[0].recorded
    first = library.beat("w1")
    assert library.beat("w2").rows[0].epoch == first.rows[0].epoch == 2
    assert library.audit()[-1].items() >= {
        "epoch": "2", "from": "ENGAGED stop", "to": shown, "actor": "unattributed", "via": "raw",
    }.items()  # fmt: skip
    assert len(library.audit()) == 2


def test_raw_del_and_wrong_type_are_recorded(library: Library) -> None:
    """Also what removes the state is a change with an epoch; a scope that goes away loosens only with a record."""
    library.permit()
    library.raw("DEL", library.keys.state)
    assert library.beat().rows[0].epoch == 3
    library.raw("RPUSH", library.keys.state, "x")
    found = library.beat()
    assert (found.rows[0].kind, found.rows[0].text, found.rows[0].epoch) == ("wrong-type", "list", 4)
    assert [entry["to"] for entry in library.audit()[-2:]] == ["(absent)", "(wrong-type list)"]
    library.engage(scope="a:1")
    library.raw("DEL", library.keys.scope_state(None) + ":a:1")
    assert library.beat(scopes=["a:1"]).rows[1].epoch == 6


def test_safe_by_hand_permits_after_a_beat_and_not_before(library: Library) -> None:
    """Raw redis-cli works, with the record made on the way."""
    library.engage()
    library.beat()
    library.set_raw("SAFE")
    assert library.verdict().code is Code.UNRECORDED
    library.beat()
    assert library.verdict().mode is Mode.SAFE


def test_same_value_set_again_is_no_change(library: Library) -> None:
    """The record follows the content."""
    epoch = library.permit()
    library.set_raw("SAFE")
    assert library.beat().rows[0].epoch == epoch
    assert len(library.audit()) == 2


def test_unused_prefix_is_closed_and_a_beat_makes_no_entry(library: Library) -> None:
    """A Redis that nobody initialised has no history to record."""
    assert library.beat().rows[0].kind == "absent"
    assert library.verdict().code is Code.STATE_MISSING
    assert library.audit() == []


def test_beat_registers_and_tells_every_field(library: Library) -> None:
    """The membership and the worker's own hash, with the life it asked for."""
    library.engage()
    library.beat("w1", seen=1, closed=False, held=0, ttl_ms=5000)
    assert 0 < library.raw("PTTL", library.keys.worker("w1")) <= 5000
    library.beat("w1", seen=1, closed=False, held=3, ttl_ms=5000, engine="e1", orders='["c-1"]')
    assert library.members() == {"w1"}
    found = library.worker()
    assert found.items() >= {
        "engine": "e1", "orders": '["c-1"]', "closed": "0", "in_flight": "3", "seen_epoch": "1", "quiet_epoch": "0",
    }.items()  # fmt: skip
    assert library.raw("PTTL", library.keys.worker("w1")) == -1, "an order in flight is not forgotten by time"


@pytest.mark.parametrize(
    ("closed", "held", "state", "quiet"),
    [
        (True, 0, "ENGAGED x", True), (False, 0, "ENGAGED x", False), (True, 1, "ENGAGED x", False),
        (True, 0, "SAFE", False), (True, 0, "REDUCING", False), (True, 0, "junk", True),
    ],
)  # fmt: skip
def test_quiet_is_closed_with_nothing_in_flight_under_a_stop(
    library: Library, closed: bool, held: int, state: str, quiet: bool
) -> None:
    """The proof is written by the very step that read the stop, and only then."""
    library.engage()
    library.set_raw(state)
    library.beat(closed=closed, held=held)
    epoch = library.beat(closed=closed, held=held).rows[0].epoch
    assert library.worker()["quiet_epoch"] == (str(epoch) if quiet else "0")


def test_quiet_of_a_stopped_scope_counts_and_of_an_absent_one_does_not(library: Library) -> None:
    """A worker is quiet when any scope that it follows is stopped."""
    library.permit()
    library.beat(scopes=["a:1"])
    assert library.worker()["quiet_epoch"] == "0"
    epoch = library.engage(scope="a:1").epoch
    library.beat(scopes=["a:1"])
    assert library.worker()["quiet_epoch"] == str(epoch)
    library.beat("w2")
    assert library.worker("w2")["quiet_epoch"] == "0"


def test_epoch_that_a_worker_has_seen_raises_the_counter(library: Library) -> None:
    """After a loss of the record no epoch is given out twice."""
    library.engage()
    library.beat(seen=41)
    assert library.engage().epoch == 42
    library.beat(seen=7)
    assert library.engage().epoch == 43
    for junk in ("x", "-1", "1e400", "", str(2**70)):
        library.raw("FCALL", "ks_beat", 1, library.keys.state, "n", "w", junk, "1", "0", "1000", "60000")
    assert library.engage().epoch == 44


def test_state_that_is_lost_with_the_ledger_is_recorded_as_long_as_the_audit_knows_it(library: Library) -> None:
    """A loss of two of three memories is still a change with an epoch above all before."""
    epoch = library.permit()
    library.raw("DEL", library.keys.state, library.keys.ledger)
    assert library.read().counter == epoch
    assert library.beat().rows[0].epoch == epoch + 1
    assert library.audit()[-1].items() >= {"from": "(nothing)", "to": "(absent)", "via": "raw"}.items()


def test_flushed_record_is_closed_until_somebody_permits_again(library: Library) -> None:
    """FLUSHALL and a SET SAFE by hand do not bring a fleet back by accident."""
    library.permit()
    library.raw("FLUSHALL")
    library.set_raw("SAFE")
    assert library.verdict().code is Code.INCARNATION_CHANGED
    library.beat(seen=2)
    assert library.get() == "ENGAGED Redis restarted, failed over or lost its record; permit again"
    verdict = library.verdict()
    assert verdict.mode is Mode.ENGAGED
    library.reset(verdict.epoch)
    assert library.verdict(seen=3, stopped=3).mode is Mode.SAFE


def test_read_writes_nothing_at_all(library: Library) -> None:
    """Looking changes neither keys nor content."""
    library.permit()
    library.set_raw("ENGAGED by hand", "a:1")
    library.raw("SET", library.keys.ledger + "x", "1")
    before = {name: library.raw("DUMP", name) for name in library.names()}
    library.read("a:1", "b:2")
    library.raw("HSET", library.keys.ledger, "epoch", "junk")
    library.read("a:1")
    library.raw("HSET", library.keys.ledger, "epoch", "2")
    assert {name: library.raw("DUMP", name) for name in library.names()} == before


def test_read_survives_any_type_under_ledger_and_audit(library: Library) -> None:
    """A damaged record reads as unrecorded, never as an error of the function."""
    library.permit()
    library.raw("RENAME", library.keys.ledger, "aside")
    library.raw("RPUSH", library.keys.ledger, "junk")
    library.raw("DEL", library.keys.audit)
    library.raw("SET", library.keys.audit, "junk")
    assert library.verdict().mode is Mode.ENGAGED


def test_every_answer_carries_version_and_nonce(library: Library) -> None:
    """A worker can tell a foreign library and a foreign answer."""
    reply = library.raw("FCALL", "ks_read", 1, library.keys.state, "the-nonce")
    assert reply[:2] == [LIBRARY_VERSION, b"the-nonce"]
    reply = library.raw("FCALL", "ks_beat", 1, library.keys.state, "n2", "w", 0, 1, 0, 9, 9)
    assert reply[:2] == [LIBRARY_VERSION, b"n2"]
    change = library.raw("FCALL", "ks_engage", 1, library.keys.state, "r")
    assert tuple(word.decode() for word in change[::2]) == (
        "version",
        "epoch",
        "was",
        "state",
        "at_ms",
        "repeated",
    )
    assert change[1] == LIBRARY_VERSION


def test_leave_removes_from_the_membership_and_tells(library: Library) -> None:
    """A worker that left is not waited for; leaving twice is harmless."""
    library.engage()
    library.beat("w1")
    library.beat("w2")
    assert library.leave("w1") == 1
    assert library.leave("w1") == 0
    assert library.members() == {"w2"}
    assert library.worker("w1") == {}
    library.raw("SET", library.keys.workers, "junk")
    assert library.leave("w2") == 0


def test_silent_member_leaves_only_when_its_own_memory_is_over(library: Library) -> None:
    """A worker with a short memory does not take one with a longer off the membership."""
    library.engage()
    library.beat("patient", ttl_ms=60_000, retain_ms=60_000)
    library.beat("brief", ttl_ms=60_000, retain_ms=60_000)
    library.raw("ZADD", library.keys.workers, 5, "patient", 5, "brief")
    library.beat("awake", retain_ms=60_000)
    library.raw("HDEL", library.keys.ledger, "prune_after_ms")
    library.raw("DEL", library.keys.worker("brief"))
    library.beat("awake", retain_ms=10_000)
    assert library.members() == {"patient", "awake"}


def test_clock_that_jumped_takes_nobody_off(library: Library) -> None:
    """When everybody seems to have been silent, it was the clock: nobody goes until all had time to beat."""
    library.engage()
    library.beat("w1")
    library.beat("w2")
    library.raw("ZADD", library.keys.workers, 1, "w1", 2, "w2")
    library.raw("DEL", library.keys.worker("w2"))
    library.beat("w1", retain_ms=10_000)
    library.beat("w1", retain_ms=10_000)
    assert library.members() == {"w1", "w2"}


@pytest.mark.parametrize("key", ["workers", "worker"])
def test_beat_repairs_what_lies_in_its_way(library: Library, key: str) -> None:
    """A wrong type under membership or hash is set aside, and the worker is counted."""
    library.engage()
    name = library.keys.workers if key == "workers" else library.keys.worker("w1")
    library.raw("SET", name, "junk")
    library.beat("w1")
    assert library.members() == {"w1"}
    assert library.worker()["quiet_epoch"] == "1"
    assert any(found.startswith(f"{name}:damaged:") for found in library.names())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "killswitch:stat",
        "state",
        "killswitch:state:",
        ":states",
        "killswitch:state:switch",
        "killswitch:state:x",
    ],
)
def test_key_of_another_form_is_refused(library: Library, key: str) -> None:
    """A typing error in redis-cli is an error, not a switch of its own."""
    for function in ("ks_engage", "ks_read", "ks_reset"):
        with pytest.raises(StoreRefused, match=r"first key must be|^$"):  # fakeredis loses the text
            library.raw("FCALL", function, 1, key, "x", "y")
    assert library.names() == set()


def test_a_beat_that_takes_a_scope_for_the_switch_confirms_nothing(library: Library) -> None:
    """P9: a permission from before a restart does not come back because somebody asked in another order."""
    library.permit()
    library.raw("HSET", library.keys.ledger, "run_id", "another")
    with pytest.raises(StoreRefused, match=r"that of the switch|^$"):
        library.raw("FCALL", "ks_beat", 1, f"{library.keys.state}:a:b", 1, "w1", 0, 1, 0, 60_000, 60_000, "life")
    assert library.verdict().code is Code.INCARNATION_CHANGED


@pytest.mark.parametrize("prefix", ["killswitch", "{killswitch}", "desk.a:eu", "a:b:c:d"])
def test_lua_and_python_name_the_same_keys(library: Library, prefix: str) -> None:
    """The names that Lua derives from the state key are those of store/keys.py."""
    here = Library(library.caller, prefix, load=False)
    here.engage(op="o1")
    here.engage(scope="a:1")
    here.beat("w1")
    keys = here.keys
    assert here.names() == {
        keys.state, f"{keys.state}:a:1", keys.ledger, keys.audit, keys.workers, keys.worker("w1"),
        f"{prefix}:op:engage:switch:o1",
    }  # fmt: skip
    assert {"switch:token", "a:1:token"} <= set(here.ledger())


def test_missing_library_is_told_as_that(library: Library) -> None:
    """The code names the command to run."""
    library.raw("FUNCTION", "FLUSH")
    try:
        with pytest.raises(LibraryMissing, match="killswitch init"):
            library.read()
    finally:
        Library(library.caller)
