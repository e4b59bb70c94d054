"""The function library: permitting is conditional, on every backend."""

from __future__ import annotations

import contextlib

import pytest

from killswitch.core.endpoint import parse_url
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import EpochConflict, StoreRefused
from killswitch.store.wire import connect
from tests.support.library import Library
from tests.support.server import RealServer

# A changed text needs a new LIBRARY_VERSION from the first release on; until then only this line changes.


def test_reset_at_the_current_epoch_permits(library: Library) -> None:
    """SAFE with a new epoch, confirmed for this incarnation."""
    engaged = library.engage()
    change = library.reset(engaged.epoch)
    assert (change.epoch, change.was, change.state) == (2, "ENGAGED stop", "SAFE")
    verdict = library.verdict()
    assert (verdict.mode, verdict.epoch, verdict.ttl_ms) == (Mode.SAFE, 2, None)


@pytest.mark.parametrize("given", [0, 1, 3, -2, 2**60])
def test_reset_at_another_epoch_changes_nothing_and_tells_the_current_one(library: Library, given: int) -> None:
    """A reset can never undo an engagement that its operator has not seen."""
    library.engage()
    library.engage("newer")
    with pytest.raises(EpochConflict) as caught:
        library.reset(given)
    assert (caught.value.current, caught.value.given) == (2, given)
    assert str(caught.value).startswith("2 is the epoch now")
    assert library.get() == "ENGAGED newer"
    assert len(library.changes()) == 2


def test_reset_after_a_raw_change_sees_the_change_first(library: Library) -> None:
    """A SET by hand counts as a change between the look and the reset, also when nobody has beaten since."""
    epoch = library.engage().epoch
    library.set_raw("ENGAGED by hand")
    with pytest.raises(EpochConflict) as caught:
        library.reset(epoch)
    assert caught.value.current == 2
    assert library.get() == "ENGAGED by hand"
    assert library.changes()[-1]["via"] == "raw"


def test_reset_for_a_while_is_bounded_by_the_key(library: Library) -> None:
    """The permission ends by itself, and its end is part of the record."""
    change = library.reset(library.engage().epoch, ttl_ms=60_000)
    assert change.state == "SAFE (for 60 s)"
    verdict = library.verdict()
    assert verdict.mode is Mode.SAFE
    assert verdict.ttl_ms is not None
    assert 55_000 < verdict.ttl_ms <= 60_000
    library.raw("PERSIST", library.keys.state)
    assert library.verdict().code is Code.UNRECORDED, "an end that was taken away is a change by hand"
    assert library.beat().rows[0].epoch == change.epoch + 1


def test_permission_that_ran_out_is_recorded_as_that(library: Library) -> None:
    """Expiry closes, and the first beat says why."""
    library.reset(library.engage().epoch, ttl_ms=1)
    while library.raw("EXISTS", library.keys.state):
        pass
    assert library.verdict().code is Code.STATE_MISSING
    library.beat()
    assert library.audit()[-1].items() >= {"via": "expiry", "to": "(absent)", "actor": "killswitch"}.items()


def test_scope_takes_no_time_limit(library: Library) -> None:
    """An expired scope follows the switch, so its end would loosen."""
    epoch = library.engage(scope="a:1").epoch
    with pytest.raises(StoreRefused, match="for the switch only"):
        library.reset(epoch, scope="a:1", ttl_ms=1000)
    assert library.get("a:1") == "ENGAGED stop"


def test_scope_reset_does_not_open_a_closed_switch(library: Library) -> None:
    """The strictest of the switch and the scopes holds, for those who follow the scope and for nobody else."""
    library.permit()
    stopped = library.engage(scope="a:1")
    library.beat(scopes=["a:1"])
    assert library.verdict("a:1").code is Code.SCOPE_ENGAGED
    assert library.verdict().mode is Mode.SAFE
    library.engage()
    library.reset(stopped.epoch, scope="a:1")
    assert library.verdict("a:1").code is Code.ENGAGED


def test_reduce_tightens_without_an_epoch_and_loosens_only_with_the_current_one(library: Library) -> None:
    """From SAFE it needs none; from ENGAGED it is as conditional as a reset."""
    library.permit()
    assert library.reduce().epoch == 3
    assert library.verdict().mode is Mode.REDUCING
    engaged = library.engage()
    for given in (None, engaged.epoch - 1):
        with pytest.raises(EpochConflict) as caught:
            library.reduce(given)
        assert caught.value.current == engaged.epoch
    assert library.get() == "ENGAGED stop"
    assert library.reduce(engaged.epoch).epoch == 5
    assert library.get() == "REDUCING"


@pytest.mark.parametrize("raw", [False, True])
def test_reduce_keeps_the_end_of_a_permission(library: Library, raw: bool) -> None:
    """Of eight hours remains what is left of them: reducing orders do not pass for longer than any would have."""
    if raw:
        library.permit()
        library.set_raw("SAFE", None, "PX", 60_000)
        library.beat()
    else:
        library.reset(library.engage().epoch, ttl_ms=60_000)
    ends = library.raw("PEXPIRETIME", library.keys.state)
    reduced = library.reduce()
    assert library.raw("PEXPIRETIME", library.keys.state) == ends
    assert (library.get(), reduced.state, library.audit()[-1]["to"]) == ("REDUCING", *["REDUCING (for 60 s)"] * 2)
    again = library.reduce(reduced.epoch)
    assert library.raw("PEXPIRETIME", library.keys.state) == ends
    assert library.read().rows[0].recorded
    library.raw("PEXPIRE", library.keys.state, 0)
    library.beat(seen=again.epoch)
    assert library.verdict(seen=again.epoch).mode is Mode.ENGAGED


def test_reduce_of_a_scope_has_no_end(library: Library) -> None:
    """A scope that ended would follow the switch again, which is looser."""
    library.permit()
    library.set_raw("SAFE", "a:1", "PX", 60_000)
    library.beat(scopes=["a:1"])
    library.reduce(scope="a:1")
    assert library.raw("PTTL", f"{library.keys.state}:a:1") == -1


def test_reduce_of_a_stop_with_an_end_is_a_permission_anew(library: Library) -> None:
    """What the stop's end would have brought is a stop as well: only what permitted has an end to keep."""
    library.set_raw("ENGAGED for now", None, "PX", 60_000)
    epoch = library.beat().rows[0].epoch
    assert library.reduce(epoch).state == "REDUCING"
    assert library.raw("PTTL", library.keys.state) == -1


def test_reduce_of_an_unused_scope_tightens(library: Library) -> None:
    """An absent scope follows the switch, so REDUCING can only make it stricter; a missing switch is stopped."""
    assert library.reduce(scope="a:1").epoch == 1
    library.raw("DEL", library.keys.state)
    with pytest.raises(EpochConflict):
        library.reduce()


def test_exhausted_counter_refuses_to_loosen_and_still_engages(library: Library) -> None:
    """Only tampering brings the counter to its end; then nothing opens any more, and the refusal says what to do."""
    library.engage()
    library.raw("HSET", library.keys.ledger, "epoch", 2**53 - 1)
    engaged = library.engage()
    assert engaged.epoch == 2**53 - 1
    with pytest.raises(StoreRefused, match="rename the ledger"):
        library.reset(engaged.epoch)
    with pytest.raises(StoreRefused, match="rename the ledger"):
        library.reduce(engaged.epoch)
    assert library.get() == "ENGAGED stop"


@pytest.mark.parametrize("verb", ["reset", "reduce"])
def test_who_may_write_the_record_and_not_the_state_changes_neither(
    real_library: Library, real_server: RealServer, verb: str
) -> None:
    """P10: no entry tells of a permission that never was."""
    epoch = real_library.engage().epoch
    keys = ("~killswitch:ledger", "~killswitch:audit", "~killswitch:op:*", "%R~killswitch:state")
    rights = (*keys, "(+fcall ~killswitch:state)")
    real_server.cli("ACL", "SETUSER", "half", "reset", "on", ">pw", "&*", "+@all", *rights)
    entries = real_library.audit()
    with contextlib.closing(connect(parse_url(f"unix://half:pw@{real_server.socket_path}"), 5.0)) as wire:
        half = Library(wire, load=False)
        with pytest.raises(StoreRefused) as refused:
            half.reset(epoch) if verb == "reset" else half.reduce(epoch)
    assert refused.value.code is Code.REDIS_DENIED
    assert (real_library.audit(), real_library.get()) == (entries, "ENGAGED stop")
