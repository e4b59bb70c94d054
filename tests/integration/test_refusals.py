"""If you cannot engage, you cannot trade (P4): where Redis refuses the operator's SET, it refuses the renewal too.

Each state of refusal is brought about on a real server: the gate closes with the code that names it, no check passes
later than a lease after it began, and the gate opens again when it is over.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from killswitch import Code, Controller, Mode, StoreRefused, clock
from killswitch.clock import NS_PER_MS
from killswitch.core.lease import closed_by_ms
from tests.support.agents import FAST, closes_with, last_pass_ns, open_epoch, stays_closed
from tests.support.resp import RawLine, ReplyError, encode
from tests.support.server import RealServer
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

LEASE_NS = FAST["lease_ms"] * NS_PER_MS

pytestmark = pytest.mark.faults


def _answer(server: RealServer, *words: str) -> str:
    try:
        with server.line() as line:
            return str(line.call(*words))
    except ReplyError as error:
        return str(error)


def _break_saving(server: RealServer) -> None:
    """A directory where the snapshot belongs: saving fails, and Redis refuses writes."""
    server.config_set("save", "3600 1")
    with server.line() as line:
        found = line.call("CONFIG", "GET", "dir")
        assert isinstance(found, list)
        Path(str(found[1]), "dump.rdb").mkdir()
        line.call("BGSAVE")
    eventually(lambda: "rdb_last_bgsave_status:err" in server.cli("INFO", "persistence"), why="the save fails")


def _mend_saving(server: RealServer) -> None:
    with server.line() as line:
        found = line.call("CONFIG", "GET", "dir")
        assert isinstance(found, list)
        Path(str(found[1]), "dump.rdb").rmdir()
        line.call("BGSAVE")
    eventually(lambda: "rdb_last_bgsave_status:ok" in server.cli("INFO", "persistence"), why="the save succeeds")


Step = Callable[[RealServer], object]

REFUSALS: dict[str, tuple[Step, Step, set[Code], str]] = {
    "too few replicas": (
        lambda server: server.config_set("min-replicas-to-write", "1"),
        lambda server: server.config_set("min-replicas-to-write", "0"),
        {Code.REDIS_NOREPLICAS},
        "NOREPLICAS",
    ),
    "out of memory": (
        lambda server: server.config_set("maxmemory", "1"),
        lambda server: server.config_set("maxmemory", "0"),
        {Code.REDIS_OOM},
        "OOM",
    ),
    "the disk refuses": (_break_saving, _mend_saving, {Code.REDIS_MISCONF}, "MISCONF"),
    "no right to the keys": (
        lambda server: server.cli("ACL", "SETUSER", "default", "resetkeys"),
        lambda server: server.cli("ACL", "SETUSER", "default", "~*"),
        {Code.REDIS_DENIED},
        "NOPERM",
    ),
}


@pytest.mark.parametrize("state", REFUSALS)
def test_what_refuses_the_set_closes_the_gate_and_names_itself(switch: Switch, state: str) -> None:
    """P4: SET is refused, so is the renewal: closed within the lease, with the right code; open again afterwards."""
    begin, end, codes, word = REFUSALS[state]
    agent = switch.agent(beat_ms=60_000)  # so that it is the renewals which are refused
    open_epoch(agent)
    begin(switch.server)
    begun_ns = clock.now_ns()
    assert word in _answer(switch.server, "SET", STATE, "ENGAGED")
    assert last_pass_ns(agent, begun_ns + LEASE_NS + 200 * NS_PER_MS) <= begun_ns + LEASE_NS
    closes_with(agent, *codes)
    end(switch.server)
    open_epoch(agent)


def test_a_server_turned_replica_closes_and_stays_closed_when_it_is_master_again(switch: Switch) -> None:
    """P4 and P9: READONLY closes; back as a master it is another incarnation, so somebody must permit again."""
    agent = switch.agent()
    open_epoch(agent)
    switch.raw("REPLICAOF", "127.0.0.1", "1")
    closes_with(agent, Code.REDIS_READONLY)
    assert "READONLY" in _answer(switch.server, "SET", STATE, "ENGAGED")
    switch.raw("REPLICAOF", "NO", "ONE")
    assert "permit again" in closes_with(agent, Code.ENGAGED)
    stays_closed(agent)
    switch.permit()
    open_epoch(agent)


def _clients(line: RawLine) -> int:
    return len(str(line.call("CLIENT", "LIST")).splitlines())


def _fill(server: RealServer, line: RawLine) -> int:
    """Lets nobody in but those who are there, and says how many those are; 0 where somebody left meanwhile."""
    there = _clients(line)
    line.call("CONFIG", "SET", "maxclients", there)
    with socket.socket(socket.AF_UNIX) as operator:
        operator.connect(str(server.socket_path))
        operator.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            refused = b"max number of clients" in operator.recv(200)
            clock.sleep(0.05)  # one that was on its way out is out by then
            return there if refused and _clients(line) == there else 0
    return 0


@pytest.mark.parametrize("with_replica", [False, True])
def test_a_server_that_lets_nobody_in_closes_the_gate(
    switch: Switch, make_server: Callable[..., RealServer], with_replica: bool
) -> None:
    """P4: at maxclients no operator gets in, so those who are in trade no more; one place that is free suffices."""
    if with_replica:
        switch.server.config_set("repl-diskless-sync-delay", "0")
        make_server().cli("REPLICAOF", "127.0.0.1", str(switch.server.port))
        eventually(lambda: "connected_slaves:1" in switch.server.cli("INFO", "replication"), why="the replica is there")
    agent = switch.agent(beat_ms=60_000)
    open_epoch(agent)
    with switch.server.line() as line:
        held = eventually(lambda: _fill(switch.server, line), why="nobody gets in any more")
        full_ns = clock.now_ns()
        bound_ns = LEASE_NS + 20 * NS_PER_MS  # for so long it is not asked again
        assert last_pass_ns(agent, full_ns + bound_ns + 200 * NS_PER_MS) <= full_ns + bound_ns
        closes_with(agent, Code.REDIS_MAXCLIENTS)
        with pytest.raises(StoreRefused) as caught:
            switch.control.engage("stop")
        assert caught.value.code is Code.REDIS_MAXCLIENTS
        assert agent.view.mode is Mode.ENGAGED
        line.call("CONFIG", "SET", "maxclients", held + 1)
        open_epoch(agent)
        line.call("CONFIG", "SET", "maxclients", 10_000)


def test_a_paused_server_closes_the_gate_although_reading_works(switch: Switch) -> None:
    """P4: under CLIENT PAUSE WRITE a GET still says SAFE, and no renewal comes back: closed until it is over."""
    agent = switch.agent()
    open_epoch(agent)
    with switch.server.line() as operator:
        operator.call("CLIENT", "PAUSE", 60_000, "WRITE")
        paused_ns = clock.now_ns()
        assert operator.call("GET", STATE) == "SAFE"
        assert last_pass_ns(agent, paused_ns + LEASE_NS + 200 * NS_PER_MS) <= paused_ns + LEASE_NS
        closes_with(agent, Code.NO_ANSWER)
        operator.call("CLIENT", "UNPAUSE")
    open_epoch(agent)


def test_a_server_busy_with_a_script_closes_the_gate(switch: Switch) -> None:
    """P4: while a script runs without end nobody can engage, and nobody trades; killing the script heals it."""
    switch.server.config_set("lua-time-limit", "50")
    agent = switch.agent()
    open_epoch(agent)
    busy = RawLine(switch.server.socket_path)
    busy.socket.sendall(encode("EVAL", "while true do end", 0))
    begun_ns = clock.now_ns()
    assert last_pass_ns(agent, begun_ns + LEASE_NS + 200 * NS_PER_MS) <= begun_ns + LEASE_NS
    closes_with(agent, Code.REDIS_BUSY)
    eventually(lambda: _answer(switch.server, "SCRIPT", "KILL") == "OK", why="the script is killed")
    busy.close()
    open_epoch(agent)


def test_engaging_works_when_redis_is_out_of_memory(switch: Switch) -> None:
    """Stopping needs no memory: where SET is refused for want of it, engage still engages, with epoch and record."""
    before = switch.control.status().epoch
    switch.server.config_set("maxmemory", "1")
    outcome = switch.control.engage("no memory left")
    assert (outcome.epoch, outcome.state) == (before + 1, "ENGAGED no memory left")
    assert switch.server.cli("GET", STATE) == "ENGAGED no memory left"


def test_an_engagement_that_is_refused_says_so_and_by_when_all_is_closed(switch: Switch) -> None:
    """P4: the operator learns the refusal as an error with its code, and the bound by which the leases have ended."""
    agent = switch.agent(lease_ms=900, renew_ms=100)
    open_epoch(agent)
    switch.server.config_set("min-replicas-to-write", "1")
    with pytest.raises(StoreRefused, match="NOREPLICAS") as caught:
        switch.control.engage("stop")
    assert caught.value.code is Code.REDIS_NOREPLICAS
    assert switch.control.lease_bound_ms() == closed_by_ms(900)  # the longest lease of a member
    closes_with(agent, Code.REDIS_NOREPLICAS)


@pytest.mark.parametrize("state", ["too few replicas", "the disk refuses"])
def test_looking_goes_on_while_redis_refuses_writes(switch: Switch, state: str) -> None:
    """P11: status and audit work on a server that refuses writes, and say why no gate can be open."""
    begin, _, codes, _ = REFUSALS[state]
    agent = switch.agent(engine="e1")
    open_epoch(agent)
    begin(switch.server)
    status = Controller(switch.settings()).status()
    assert status.trouble is not None
    assert status.trouble[0] in codes
    assert status.switch.text == "SAFE"
    assert [(member.worker_id, member.engine) for member in status.members] == [(agent.worker_id, "e1")]
    assert switch.control.audit()[-1].after == "SAFE"
