"""What `status` and the audit list show: the same on fakeredis and on both real servers."""

from __future__ import annotations

import pytest

from killswitch.core.fleet import MEMBER_FIELDS
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.fleet import FleetStore
from killswitch.store.functions import LIBRARY_VERSION
from tests.support.library import Library, Scripted


@pytest.fixture
def fleet(library: Library) -> FleetStore:
    """The fleet as `status` reads it."""
    return FleetStore(library.caller, library.keys)


# -- initialising ---------------------------------------------------------------------------------------------------


def test_initialising_nothing_engages_and_is_on_record(library: Library) -> None:
    """A new switch is closed, and says why."""
    library.raw("FUNCTION", "FLUSH")
    change = library.switch.initialise("alice", "op1", "command")
    assert change is not None
    assert (change.epoch, change.state) == (1, "ENGAGED initialised")
    assert library.audit()[0]["via"] == "command"


@pytest.mark.parametrize("text", ["SAFE", "ENGAGED x", "junk", ""])
def test_initialising_leaves_an_existing_state_as_it_is(library: Library, text: str) -> None:
    """Init may be run at any time; it only loads the library."""
    library.set_raw(text)
    library.raw("FUNCTION", "FLUSH")
    assert library.switch.initialise("alice", "op1", "command") is None
    assert library.get() == text
    library.read()


# -- status ---------------------------------------------------------------------------------------------------------


def test_status_of_nothing_is_engaged_with_the_reason(fleet: FleetStore, library: Library) -> None:
    """An empty Redis is a closed switch."""
    found = fleet.status()
    assert (found.switch.mode, found.switch.code) == (Mode.ENGAGED, Code.STATE_MISSING)
    assert (found.members, found.scopes, found.epoch, found.confirmed) == ((), (), 0, False)
    assert found.at_ms > 0


def test_status_shows_switch_scopes_members_and_record(fleet: FleetStore, library: Library) -> None:
    """One picture of one moment: who changed what, who follows, and whether a worker would be answered."""
    library.permit()
    library.engage("scope stop", scope="a:1")
    library.beat("w2", closed=False, scopes=["a:1", "b:2"], engine="e2")
    library.beat("w1", engine="e1")
    found = fleet.status()
    assert (found.switch.mode, found.switch.epoch, found.switch.actor, found.switch.recorded) == (
        Mode.SAFE,
        2,
        "alice",
        True,
    )
    assert [(scope.scope, scope.mode, scope.text) for scope in found.scopes] == [
        ("a:1", Mode.ENGAGED, "ENGAGED scope stop"),
        ("b:2", Mode.SAFE, "(absent)"),
    ]
    assert [(member.worker_id, member.engine) for member in found.members] == [("w1", "e1"), ("w2", "e2")]
    assert found.trouble is None
    assert found.confirmed
    assert len(found.run_id) == 40
    assert found.server.split()[0] in ("Redis", "Valkey")


def test_status_shows_a_time_limit_and_a_change_by_hand(fleet: FleetStore, library: Library) -> None:
    """The rest of a permission, and that nobody has recorded it yet."""
    library.engage()
    library.set_raw("SAFE", None, "PX", 60_000)
    found = fleet.status().switch
    assert found.ttl_ms is not None
    assert 0 < found.ttl_ms <= 60_000
    assert not found.recorded


def test_looking_goes_on_without_the_library(fleet: FleetStore, library: Library) -> None:
    """Without functions plain reads show the state, and the trouble that a worker would meet."""
    library.permit()
    library.engage("scope stop", scope="a:1")
    library.raw("FUNCTION", "FLUSH")
    try:
        found = fleet.status()
        assert found.trouble is not None
        assert found.trouble[0] is Code.LIBRARY_MISSING
        assert (found.switch.mode, found.switch.epoch, found.switch.recorded) == (Mode.SAFE, 2, True)
        assert (found.scopes[0].text, found.scopes[0].recorded) == ("ENGAGED scope stop", True)
        for text, options in (("SAFE", ("PX", 50_000)), ("ENGAGED by hand", ()), ("SAFE@1", ())):
            library.set_raw(text, None, *options)
            assert not fleet.status().switch.recorded
        library.raw("DEL", library.keys.state)
        assert fleet.status().switch.code is Code.STATE_MISSING
        library.raw("RPUSH", library.keys.state, "x")
        assert fleet.status().switch.code is Code.STATE_WRONG_TYPE
        assert not fleet.status().switch.recorded
    finally:
        Library(library.caller)


def test_time_boxed_record_is_recognised_without_the_library(fleet: FleetStore, library: Library) -> None:
    """A permission with an end of life is still the recorded one."""
    library.reset(library.engage().epoch, ttl_ms=60_000)
    library.raw("FUNCTION", "FLUSH")
    try:
        assert fleet.status().switch.recorded
    finally:
        Library(library.caller)


def test_foreign_library_is_shown_as_trouble(fleet: FleetStore, library: Library) -> None:
    """Another version, and another form of answer, each with its code."""
    library.permit()
    row = "{'value', 'SAFE', 4, -1, '2', 1}"
    for body, code in (
        (f"return {{{LIBRARY_VERSION + 1}, a[1], 'r', 1, '2', {{ {row} }} }}", Code.LIBRARY_MISMATCH),
        ("return 'hello'", Code.BAD_ANSWER),
    ):
        source = f"#!lua name=killswitch\nredis.register_function('ks_read', function(k, a) {body} end)"
        library.raw("FUNCTION", "LOAD", "REPLACE", source)
        found = fleet.status()
        assert found.trouble is not None
        assert found.trouble[0] is code
        assert found.switch.mode is Mode.SAFE
    Library(library.caller)


@pytest.mark.parametrize("key", ["ledger", "audit", "workers", "state"])
@pytest.mark.parametrize("kind", ["SET", "RPUSH"])
def test_looking_goes_on_whatever_lies_under_the_keys(fleet: FleetStore, library: Library, key: str, kind: str) -> None:
    """Nonsense under a key is shown, not raised."""
    library.permit()
    library.beat()
    name = getattr(library.keys, key)
    library.raw("DEL", name)
    library.raw(kind, name, "junk")
    found = fleet.status()
    assert found.switch.mode is (Mode.ENGAGED if key == "state" else Mode.SAFE)


def test_membership_that_cannot_be_read_is_somebody_unknown(fleet: FleetStore, library: Library) -> None:
    """An unreadable membership is never an empty one: nobody is called quiet over it."""
    library.engage()
    library.raw("SET", library.keys.workers, "junk")
    (member,) = fleet.members()
    assert not member.known


@pytest.mark.parametrize("score", ["inf", "-inf", "1e300", "-5", "0.5"])
def test_impossible_heartbeat_time_is_shown_as_very_old_or_now(fleet: FleetStore, library: Library, score: str) -> None:
    """A score by an unknown hand does not break the table."""
    library.beat("w1")
    library.raw("ZADD", library.keys.workers, score, "w1")
    (member,) = fleet.members()
    assert member.beat_age_ms >= 0


def test_member_whose_hash_is_gone_is_still_a_member(fleet: FleetStore, library: Library) -> None:
    """Who cannot be asked is not left out."""
    library.beat("w1")
    library.raw("DEL", library.keys.worker("w1"))
    assert [member.known for member in fleet.members()] == [False]
    library.raw("SET", library.keys.worker("w1"), "junk")
    assert [member.known for member in fleet.members()] == [False]


@pytest.mark.parametrize("answer", [None, b"OK", [], [b"subscribe", b"x", 1], [b"1", b"x"], 5])
def test_replies_out_of_step_are_not_believed(answer: object) -> None:
    """Where TIME is answered with something else, nothing that follows is read as the fleet."""
    library = Library(Scripted(answer), load=False)
    with pytest.raises(StoreUnavailable, match="something else"):
        FleetStore(library.caller, library.keys).members()


def test_pairs_are_read_in_both_protocols() -> None:
    """RESP2 gives pairs as a flat list."""
    values = [{"host": b"h", "in_flight": b"0"}.get(name) for name in MEMBER_FIELDS]
    library = Library(Scripted([b"10", b"0"], [b"w1", b"9000"], values), load=False)
    (member,) = FleetStore(library.caller, library.keys).members()
    assert (member.worker_id, member.host, member.beat_age_ms) == ("w1", "h", 1000)


def test_refusal_that_concerns_the_server_is_passed_on() -> None:
    """A server that is loading shows nothing; an empty fleet would be a lie."""
    library = Library(Scripted([b"1", b"0"], StoreRefused(Code.REDIS_LOADING, "LOADING")), load=False)
    with pytest.raises(StoreRefused, match="LOADING"):
        FleetStore(library.caller, library.keys).status()
