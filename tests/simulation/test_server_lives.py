"""Restarts and failovers of the simulated server: what goes over and what is lost, as with a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hypothesis import given, settings

from killswitch.store.functions import library_source
from tests.conftest import MakeServer
from tests.simulation.differential import Inconclusive, Line, Moment, Pair, attempts, identity, outcome, twin
from tests.simulation.server import SimRedis
from tests.simulation.steps import STATE, Words, resolved, sequences
from tests.support.server import RealServer
from tests.support.waiting import eventually

SOURCE = library_source()
LIVED: list[Words] = [
    ("FCALL", "ks_engage", 1, STATE, "why", "al", "o1", "test"),
    ("FCALL", "ks_engage", 1, STATE + ":a:1", "why", "al", "o1", "test"),
    ("FCALL", "ks_reset", 1, STATE, 1, "why", "al", 100_000, "o2", "test"),
    ("FCALL", "ks_beat", 2, STATE, STATE + ":a:1", 1, "w1", 0, 0, 0, 60_000, 60_000, "i1"),
    ("FCALL", "ks_admit", 1, STATE, "j", "w1", 3, 0, "c1", "buy"),
    ("SET", "k:text", b"\0\xff"),
    ("ZADD", "k:zset", "1.5", "a", "inf", "b"),
    ("RPUSH", "k:list", "a", "b"),
    ("SADD", "k:set", "a", "b"),
]
AFTERWARDS: list[Words] = [
    ("FCALL", "ks_read", 2, STATE, STATE + ":a:1", "n"),
    ("FCALL", "ks_admit", 1, STATE, "j", "w1", 3, 0, "c2", "buy"),
    ("FCALL", "ks_reset", 1, STATE, 3, "why", "al", 0, "o2", "test"),
    ("FCALL", "ks_reset", 1, STATE, 3, "why", "al", 0, "o3", "test"),
    ("FCALL", "ks_beat", 2, STATE, STATE + ":a:1", 2, "w1", 3, 1, 0, 60_000, 60_000, "i1"),
    ("FCALL", "ks_read", 2, STATE, STATE + ":a:1", "n"),
    ("FCALL", "ks_reset", 1, STATE, 5, "why", "al", 0, "o4", "test"),
    ("FCALL", "ks_read", 1, STATE, "n"),
]


def _until_conclusive(make: MakeServer, action: Callable[[RealServer], None]) -> None:
    for _ in attempts():
        server = make(appendonly=True)
        with contextlib.suppress(Inconclusive):
            action(server)
            return
        server.stop()
    raise AssertionError("no run was conclusive")


@contextlib.contextmanager
def _lived(server: RealServer) -> Iterator[Pair]:
    """A pair with a past; closed at the end."""
    with contextlib.closing(twin(server.socket_path, SOURCE, STATE)) as pair:
        for words in LIVED:
            pair.run(words)
        yield pair


def _go_on(server: RealServer, born: SimRedis, moment: Moment) -> None:
    with contextlib.closing(Pair(server.socket_path, born, moment, STATE)) as pair:
        for words in AFTERWARDS:
            pair.run(words)
        pair.compare_contents()


def _identity(server: RealServer) -> dict[str, str]:
    with contextlib.closing(Line(server.socket_path)) as line:
        return identity(line)


def test_a_restarted_server_is_another_incarnation_with_the_same_data(make_server: MakeServer) -> None:
    """After a restart from disk the simulated server answers, settles and records as a real one does."""

    def action(server: RealServer) -> None:
        with _lived(server) as pair:
            kept = pair.server.snapshot()
        server.kill9()
        server.restart()
        who = _identity(server)
        assert who["run_id"] != pair.server.run_id
        _go_on(server, pair.server.reborn(**who, data=kept), pair.moment)

    _until_conclusive(make_server, action)


def test_a_promoted_replica_is_another_incarnation_with_its_masters_history(make_server: MakeServer) -> None:
    """After a promotion the second replication id is the old master's first, and the first beat engages in writing."""

    def action(master: RealServer) -> None:
        replica = make_server()
        with _lived(master) as pair:
            kept = pair.server.snapshot()
        master.config_set("repl-diskless-sync-delay", "0")
        replica.cli("REPLICAOF", "127.0.0.1", str(master.port))
        eventually(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), why="the link stands")
        replica.cli("REPLICAOF", "NO", "ONE")
        who = _identity(replica)
        # The first replica to attach made the master begin a new history; that is the one it goes on with.
        assert who["replid2"] == _identity(master)["replid"]
        _go_on(replica, pair.server.reborn(**who, data=kept), pair.moment)

    _until_conclusive(make_server, action)


def test_a_server_that_begins_a_new_history_by_itself_stays_the_same_incarnation(make_server: MakeServer) -> None:
    """The first replica changes the replication id and nothing else: what was permitted stays permitted."""

    def action(master: RealServer) -> None:
        replica = make_server()
        with _lived(master) as pair:
            before = _identity(master)
            master.config_set("repl-diskless-sync-delay", "0")
            replica.cli("REPLICAOF", "127.0.0.1", str(master.port))
            eventually(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), why="the link stands")
            who = _identity(master)
            assert who["replid"] != before["replid"]
            pair.server.replid, pair.server.replid2 = who["replid"], who["replid2"]
            for words in AFTERWARDS:
                pair.run(words)
            pair.compare_contents()

    _until_conclusive(make_server, action)


def test_a_server_reborn_without_data_has_nothing_and_no_functions() -> None:
    """Lost is lost, the function library too; connections to the old process have ended."""
    server = SimRedis(run_id="a" * 40, replid="b" * 40, now_ms=lambda: 1_700_000_000_000, library=SOURCE)
    session = server.session()
    server.execute(session, ("SET", STATE, "SAFE"))
    born = server.reborn(run_id="c" * 40, replid="d" * 40, data=None)
    assert not session.is_open
    fresh = born.session()
    assert fresh.id > session.id
    assert born.execute(fresh, ("GET", STATE)) is None
    assert outcome(born, fresh, ("FCALL", "ks_read", 1, STATE, "n")) == ("error", "ERR Function not found")


@settings(max_examples=100)
@given(steps=sequences(), later=sequences())
def test_a_snapshot_does_not_change_with_the_server_it_was_taken_from(steps: list[Words], later: list[Words]) -> None:
    """Whatever happens after it was taken, restoring it brings back every value, end of life and function."""
    clock = [1_700_000_000_000]
    server = SimRedis(run_id="a" * 40, replid="b" * 40, now_ms=lambda: clock[0], library=SOURCE)
    session = server.session()

    def run(sequence: list[Words]) -> list[object]:
        replies = []
        for words in sequence:
            clock[0] += int(words[1]) if words[0] == "sleep" else 1
            if words[0] != "sleep":
                replies.append(outcome(server, session, resolved(server, words)))
        return replies

    run(steps)
    kept, moment = server.snapshot(), clock[0]
    first = run(later)
    held = server.snapshot()
    server.restore(kept)
    clock[0] = moment
    assert run(later) == first
    again = server.snapshot()
    assert again.library == held.library
    for number, database in held.databases.items():
        assert again.databases[number].values == database.values
        assert again.databases[number].ends == database.ends
