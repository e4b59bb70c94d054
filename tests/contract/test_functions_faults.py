"""The function library on real servers in trouble: what refuses a SET refuses a renewal, and engaging goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killswitch.core.endpoint import parse_url
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.wire import connect
from tests.conftest import MakeServer
from tests.support.library import Library
from tests.support.server import RealServer
from tests.support.waiting import eventually

NOBODY = "18446744073709551615-18446744073709551615"


@pytest.fixture
def second(make_server: MakeServer) -> Iterator[Library]:
    """Another server with the library."""
    server = make_server()
    wire = connect(parse_url(server.unix_url), 5.0)
    yield Library(wire)
    wire.close()


def refused(library: Library) -> Code:
    """The code under which a renewal is refused."""
    with pytest.raises(StoreRefused) as caught:
        library.read()
    return caught.value.code


def follow(library: Library, master: Library) -> None:
    """REPLICAOF, and wait until the link stands."""
    master.raw("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    library.raw("REPLICAOF", "127.0.0.1", int(master.raw("CONFIG", "GET", "port")[b"port"]))
    eventually(lambda: b"master_link_status:up" in library.raw("INFO", "replication"), why="the link stands")


def promote(library: Library) -> None:
    """Makes it a master."""
    library.raw("REPLICAOF", "NO", "ONE")


def test_full_memory_refuses_renewals_and_beats_but_not_engaging(
    real_library: Library, real_server: RealServer
) -> None:
    """Out of memory, a fleet stops by itself and may be stopped on record; it cannot be permitted."""
    permitted = real_library.permit()
    real_server.config_set("maxmemory", "1")
    assert refused(real_library) is Code.REDIS_OOM
    with pytest.raises(StoreRefused, match="OOM"):
        real_library.beat()
    with pytest.raises(StoreRefused, match="OOM"):
        real_library.raw("SET", real_library.keys.state, "ENGAGED")
    assert real_library.engage().epoch == permitted + 1
    with pytest.raises(StoreRefused, match="OOM"):
        real_library.reset(permitted + 1)
    real_server.config_set("maxmemory", "0")
    assert real_library.verdict().code is Code.ENGAGED


def test_missing_replicas_refuse_everything_that_writes(real_library: Library, real_server: RealServer) -> None:
    """Where the operator's SET would be refused, so is the renewal."""
    real_library.permit()
    real_server.config_set("min-replicas-to-write", "1")
    assert refused(real_library) is Code.REDIS_NOREPLICAS
    with pytest.raises(StoreRefused) as caught:
        real_library.engage()
    assert caught.value.code is Code.REDIS_NOREPLICAS
    real_server.config_set("min-replicas-to-write", "0")
    assert real_library.verdict().mode is Mode.SAFE


def test_failing_disk_refuses_renewals(make_server: MakeServer) -> None:
    """A server that cannot save stops the fleet."""
    server = make_server(save="3600 1", dbfilename="x")
    wire = connect(parse_url(server.unix_url), 5.0)
    library = Library(wire)
    library.permit()
    blocker = server.socket_path.parent / "x"
    blocker.mkdir()
    try:
        library.raw("BGSAVE")
        eventually(lambda: b"rdb_last_bgsave_status:err" in library.raw("INFO", "persistence"), why="saving fails")
        assert refused(library) is Code.REDIS_MISCONF
        with pytest.raises(StoreRefused) as caught:
            library.engage()
        assert caught.value.code is Code.REDIS_MISCONF
    finally:
        blocker.rmdir()
        wire.close()


def test_replica_refuses_renewals_and_its_promotion_changes_the_incarnation(
    real_library: Library, second: Library
) -> None:
    """A stale copy never confirms SAFE, and the copy that becomes master asks for a new permission."""
    epoch = real_library.permit()
    follow(second, real_library)
    assert refused(second) is Code.REDIS_READONLY
    assert real_library.verdict().mode is Mode.SAFE, "attaching the first replica closes nothing"
    real_library.beat()
    assert real_library.verdict().mode is Mode.SAFE
    assert real_library.verdict().epoch == epoch
    promote(second)
    assert second.verdict().code is Code.INCARNATION_CHANGED
    second.beat(seen=epoch)
    assert (second.get() or "").startswith("ENGAGED Redis restarted, failed over")
    assert second.audit()[-1]["via"] == "incarnation"
    found = second.verdict(seen=epoch)
    assert found.code is Code.ENGAGED
    second.reset(found.epoch)
    assert second.verdict(seen=found.epoch, stopped=found.epoch).mode is Mode.SAFE


def test_master_that_followed_another_for_a_while_is_another_incarnation(
    real_library: Library, second: Library
) -> None:
    """Same process, other history: what it says was permitted elsewhere."""
    second.permit()
    here = real_library.permit()
    follow(real_library, second)
    promote(real_library)
    assert real_library.verdict().code is Code.INCARNATION_CHANGED
    real_library.beat(seen=here)
    assert real_library.verdict().mode is Mode.ENGAGED


def test_master_that_was_demoted_and_promoted_again_is_another_incarnation(
    real_library: Library, second: Library
) -> None:
    """Its run id is still the recorded one, but what happened elsewhere meanwhile may be lost."""
    epoch = real_library.permit()
    follow(second, real_library)
    promote(second)
    follow(real_library, second)
    promote(real_library)
    assert not real_library.beat(seen=epoch).rows[0].text.startswith("SAFE")
    assert real_library.audit()[-1]["via"] == "incarnation"


def test_restarted_server_is_engaged_in_writing_by_the_first_beat(durable_server: RealServer) -> None:
    """SAFE from before a restart permits nothing; the ledger, the epochs and the library survive."""
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    library = Library(wire)
    epoch = library.permit()
    wire.close()
    durable_server.kill9()
    durable_server.restart()
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    library = Library(wire, load=False)
    assert library.get() == "SAFE"
    assert library.verdict().code is Code.INCARNATION_CHANGED
    with pytest.raises(Exception, match="is the epoch now"):
        library.reset(epoch)
    assert (library.get() or "").startswith("ENGAGED Redis restarted")
    library.beat()
    found = library.verdict(seen=epoch, stopped=epoch)
    assert found.code is Code.ENGAGED
    assert found.epoch > epoch + 100, "an epoch that was given and lost could be named in a reset"
    library.reset(found.epoch)
    assert library.verdict().mode is Mode.SAFE
    wire.close()


def test_engaged_state_survives_a_restart_with_a_new_epoch(durable_server: RealServer) -> None:
    """An engagement stays what it was, and its proof of quiet is asked for anew."""
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    library = Library(wire)
    epoch = library.engage("before").epoch
    wire.close()
    durable_server.restart()
    wire = connect(parse_url(durable_server.unix_url), 5.0)
    library = Library(wire, load=False)
    library.beat()
    assert library.get() == "ENGAGED before"
    assert int(library.worker()["quiet_epoch"]) > epoch
    wire.close()


# -- rights ---------------------------------------------------------------------------------------------------------


def as_user(server: RealServer, *rules: str) -> Library:
    """The library through a user with these rights."""
    server.cli("ACL", "SETUSER", "limited", "reset", "on", ">pw", *rules)
    return Library(connect(parse_url(f"unix://limited:pw@{server.socket_path}"), 5.0), load=False)


WORKER = ("~killswitch:*", "&killswitch:*", "+@all", "-@admin", "-@dangerous")


def test_user_without_info_is_never_let_in(real_library: Library, real_server: RealServer) -> None:
    """Who cannot tell the incarnation does not trade, and does not permit."""
    real_library.permit()
    # Another server process: the run id is kept once it was read.
    real_server.restart()
    wire = connect(parse_url(real_server.unix_url), 5.0)
    wire.call("FUNCTION", "FLUSH")
    Library(wire).set_raw("SAFE")
    limited = as_user(real_server, *WORKER, "-info")
    assert limited.verdict().code is Code.INCARNATION_UNKNOWN
    with pytest.raises(StoreRefused, match="run id"):
        limited.reset(0)
    limited.engage()
    assert limited.get() == "ENGAGED stop"
    limited.caller.close()  # type: ignore[attr-defined]
    wire.close()


def test_user_who_may_not_write_the_record_moves_nothing_aside(real_library: Library, real_server: RealServer) -> None:
    """A refused bookkeeping command is no damage: the audit stream stays where it is, and the stop is set."""
    real_library.permit()
    limited = as_user(real_server, *WORKER, "+renamenx", "+info", "-xadd")
    change = limited.engage("without record")
    assert change.epoch == 0
    assert real_library.get() == "ENGAGED without record"
    assert not any(":damaged:" in name for name in real_library.names())
    assert len(real_library.audit()) == 2
    real_library.beat()
    assert real_library.audit()[-1]["via"] == "raw"
    limited.caller.close()  # type: ignore[attr-defined]


def test_user_without_the_functions_engages_by_plain_set(real_library: Library, real_server: RealServer) -> None:
    """The stop itself needs nothing but SET; the first beat gives it its epoch."""
    real_library.permit()
    limited = as_user(real_server, *WORKER, "-fcall")
    change = limited.engage("by SET")
    assert (change.epoch, change.state) == (0, "ENGAGED by SET")
    assert real_library.get() == "ENGAGED by SET"
    assert real_library.beat().rows[0].epoch == 3
    limited.caller.close()  # type: ignore[attr-defined]


def test_user_who_may_only_look_is_told_of_the_refusal(real_library: Library, real_server: RealServer) -> None:
    """Where even SET is refused, the function's own refusal is the one that is shown."""
    real_library.permit()
    limited = as_user(real_server, "%R~killswitch:*", "+get", "+fcall")
    with pytest.raises(StoreRefused) as caught:
        limited.engage()
    assert caught.value.code is Code.REDIS_DENIED
    assert refused(limited) is Code.REDIS_DENIED
    assert real_library.get() == "SAFE"
    limited.caller.close()  # type: ignore[attr-defined]


def test_missing_library_does_not_keep_from_engaging(real_library: Library) -> None:
    """A fresh Redis is stopped before it is initialised."""
    real_library.permit()
    real_library.raw("FUNCTION", "FLUSH")
    change = real_library.engage("no library")
    assert (change.epoch, change.state, change.repeated) == (0, "ENGAGED no library", False)
    assert real_library.get() == "ENGAGED no library"


def test_library_of_another_kind_does_not_keep_from_engaging(real_library: Library) -> None:
    """A function of that name that answers something else is not believed; a plain SET follows."""
    source = "#!lua name=killswitch\nredis.register_function('ks_engage', function() return 'done' end)"
    real_library.raw("FUNCTION", "LOAD", "REPLACE", source)
    assert real_library.engage("other").epoch == 0
    assert real_library.get() == "ENGAGED other"


def test_server_that_does_not_answer_is_unavailable_and_not_refused(
    real_library: Library, real_server: RealServer
) -> None:
    """Whether a write was done is then unknown, and no second command is sent for it."""
    wire = connect(parse_url(real_server.unix_url), 0.2)
    quick = Library(wire, load=False)
    real_server.sigstop()
    try:
        with pytest.raises(StoreUnavailable) as caught:
            quick.engage()
    finally:
        real_server.sigcont()
        wire.close()
    assert caught.value.code is Code.NO_ANSWER
