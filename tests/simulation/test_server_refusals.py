"""The simulated server refuses what a real one refuses, in each state in which a server refuses writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from killswitch.store.functions import library_source
from tests.conftest import MakeServer
from tests.simulation.differential import Pair, compare
from tests.simulation.server import ReplyError, SimRedis
from tests.simulation.steps import STATE
from tests.support.server import RealServer
from tests.support.waiting import eventually

SOURCE = library_source()
PROBE = """#!lua name=probe
redis.register_function('f_plain', function(keys) return redis.call('GET', keys[1]) end)
redis.register_function{ function_name = 'f_reads', flags = { 'no-writes' },
  callback = function(keys) return redis.call('GET', keys[1]) end }
redis.register_function{ function_name = 'f_forced', flags = { 'allow-oom' },
  callback = function(keys) return redis.call('SET', keys[1], 'x') end }
"""

PREPARED: list[tuple[str | int, ...]] = [
    ("FCALL", "ks_engage", 1, STATE, "why", "al", "o1", "test"),
    ("FCALL", "ks_reset", 1, STATE, 1, "why", "al", 0, "o2", "test"),
    ("FCALL", "ks_beat", 1, STATE, 1, "w1", 0, 0, 0, 60_000, 60_000, "i1"),
    ("SET", "k:text", "x"),
    ("HSET", "k:hash", "a", "1"),
    ("XADD", "k:stream", "5-1", "a", "1"),
    ("RPUSH", "k:list", "a"),
    ("ZADD", "k:zset", 1, "a"),
]
TRIED: list[tuple[str | int, ...]] = [
    ("PING",),
    ("PUBLISH", "channel", "x"),
    ("GET", STATE),
    ("TYPE", STATE),
    ("PTTL", STATE),
    ("EXISTS", STATE),
    ("HGETALL", "k:hash"),
    ("HMGET", "k:hash", "a"),
    ("XREVRANGE", "k:stream", "+", "-"),
    ("ZRANGE", "k:zset", 0, -1),
    ("FCALL", "ks_read", 1, STATE, "n"),
    ("FCALL_RO", "ks_read", 1, STATE, "n"),
    ("FCALL", "ks_beat", 1, STATE, 2, "w1", 0, 0, 0, 60_000, 60_000, "i1"),
    ("FCALL", "ks_reset", 1, STATE, 2, "why"),
    ("FCALL", "ks_reduce", 1, STATE, "why"),
    ("FCALL", "ks_admit", 1, STATE, "j", "w1", 2, 0, "c1", "buy"),
    ("FCALL", "ks_outcome", 1, STATE, "j", 1),
    ("FCALL", "ks_leave", 1, STATE, "w9"),
    ("FCALL", "ks_engage", 1, STATE, "why", "al", "o3", "test"),
    ("FCALL", "nosuch", 0),
    ("SET", STATE, "ENGAGED"),
    ("APPEND", "k:text", "x"),
    ("HSET", "k:hash", "b", "1"),
    ("HDEL", "k:hash", "b"),
    ("XADD", "k:stream", "*", "a", "1"),
    ("LPUSH", "k:list", "x"),
    ("ZADD", "k:zset", 2, "b"),
    ("ZREM", "k:zset", "b"),
    ("SADD", "k:set", "b"),
    ("INCR", "k:number"),
    ("EXPIRE", "k:hash", 1000),
    ("PERSIST", "k:hash"),
    ("RENAME", "k:list", "k:other"),
    ("SET",),
    ("FUNCTION", "LOAD", "REPLACE", SOURCE),
    ("FUNCTION", "LOAD", SOURCE),
    ("DEL", STATE),
    ("UNLINK", "k:text"),
]
LATER: list[tuple[str | int, ...]] = [
    ("FUNCTION", "LOAD", "REPLACE", PROBE),
    *(("FCALL", name, 1, "k:text") for name in ("f_plain", "f_reads", "f_forced")),
    *(("FCALL_RO", name, 1, "k:text") for name in ("f_plain", "f_reads", "f_forced")),
]


def _fail_saving(server: RealServer) -> None:
    server.config_set("save", "3600 1")
    server.config_set("stop-writes-on-bgsave-error", "yes")
    with server.line() as line:
        found = line.call("CONFIG", "GET", "dir")
        assert isinstance(found, list)
        Path(str(found[1]), "dump.rdb").mkdir(exist_ok=True)
        _eventually_saving(server, "rdb_bgsave_in_progress:0")  # one that the server began itself
        line.call("BGSAVE")
    _eventually_saving(server, "rdb_bgsave_in_progress:0", "rdb_last_bgsave_status:err")


def _eventually_saving(server: RealServer, *lines: str) -> None:
    def holds() -> bool:
        told = server.cli("INFO", "persistence")
        return all(line in told for line in lines)

    eventually(holds, why=f"the server says {lines}")


STATES: dict[str, Callable[[RealServer], object]] = {
    "OOM": lambda server: server.config_set("maxmemory", "1"),
    "MISCONF": _fail_saving,
    "NOREPLICAS": lambda server: server.config_set("min-replicas-to-write", "1"),
    "READONLY": lambda server: server.cli("REPLICAOF", "127.0.0.1", "1"),
}
MENDED: dict[str, Callable[[RealServer], object]] = {
    "OOM": lambda server: server.config_set("maxmemory", "0"),
    "MISCONF": lambda server: server.config_set("stop-writes-on-bgsave-error", "no"),
    "NOREPLICAS": lambda server: server.config_set("min-replicas-to-write", "0"),
    "READONLY": lambda server: server.cli("REPLICAOF", "NO", "ONE"),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_refusal_refuses_the_same_commands_with_the_same_words(
    make_server: MakeServer, state: str
) -> None:
    """Which commands and functions go through, and what the others are told, is what the real server does and says."""
    server = make_server()

    def action(pair: Pair) -> None:
        for library, tried in ((None, TRIED), (PROBE, LATER)):
            if library is not None:
                pair.run(("FUNCTION", "FLUSH"))
                pair.run(("FUNCTION", "LOAD", library))
            for words in PREPARED if library is None else ():
                pair.run(words)
            STATES[state](server)
            pair.server.refusing = state
            try:
                for words in tried:
                    pair.run(words)
            finally:
                MENDED[state](server)
                pair.server.refusing = None
        pair.compare_contents()

    assert compare(server.socket_path, SOURCE, "k", action)


@pytest.mark.parametrize("state", STATES)
def test_a_server_without_the_read_gate_answers_renewals_that_it_should_refuse(state: str) -> None:
    """The wrong server on purpose is wrong in this one point, and the right one refuses."""
    server = SimRedis(run_id="a" * 40, replid="b" * 40, now_ms=lambda: 1_700_000_000_000, library=SOURCE)
    session = server.session()
    for words in PREPARED:
        server.execute(session, words)
    server.refusing = state
    with pytest.raises(ReplyError, match=f"^{state} "):
        server.execute(session, ("FCALL", "ks_read", 1, STATE, "n"))
    server.read_gate = True
    reply = server.execute(session, ("FCALL", "ks_read", 1, STATE, "n"))
    assert reply[5][0][:2] == [b"value", b"SAFE"]
    with pytest.raises(ReplyError, match=f"^{state} "):
        server.execute(session, ("FCALL", "ks_reset", 1, STATE, 2))
