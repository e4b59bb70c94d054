"""A lost engagement cannot reopen the fleet (P9): SAFE is valid only for the Redis it was given in."""

from __future__ import annotations

import pytest

from killswitch import Code, EpochConflict, Mode, View, clock
from tests.conftest import MakeServer
from tests.support.agents import blocked_code, closes_with, open_epoch, stays_closed
from tests.support.proxy import Proxy
from tests.support.server import RealServer
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults


def test_a_restart_that_remembers_safe_is_closed_until_somebody_permits(durable_switch: Switch) -> None:
    """P9: SAFE comes back from disk under a new run id: no check passes, the key itself says why, a reset opens."""
    worker = durable_switch.worker(main="signal")
    agent = durable_switch.agent()
    open_epoch(agent)
    worker.passes_again()
    durable_switch.server.kill9()
    killed_ns = clock.now_ns()
    closes_with(agent, Code.DISCONNECTED, Code.UNREACHABLE)
    worker.checked_after(killed_ns)
    durable_switch.server.restart()
    assert "permit again" in closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)
    status = durable_switch.control.status()
    assert status.switch.mode is Mode.ENGAGED
    assert status.switch.text == "ENGAGED Redis restarted, failed over or lost its record; permit again"
    entry = durable_switch.control.audit()[-1]
    assert (entry.before, entry.via, entry.epoch) == ("SAFE", "incarnation", status.switch.epoch)
    now_ns = clock.now_ns()
    worker.checked_after(now_ns)
    assert worker.last_pass() <= killed_ns + 300_000_000  # its lease
    epoch = durable_switch.permit()
    assert open_epoch(agent) == epoch
    worker.passes_again()


def test_a_restart_nobody_beat_at_is_closed_for_the_first_who_comes(durable_switch: Switch) -> None:
    """P9: also a worker that never knew the old server is closed, by the very first answer."""
    durable_switch.server.restart()
    agent = durable_switch.agent()
    assert "permit again" in closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)


def test_a_reset_looked_at_before_the_restart_is_refused_after_it(durable_switch: Switch) -> None:
    """P8 and P9: the restart counts as a change since the operator looked."""
    looked_at = durable_switch.control.status().switch.epoch
    durable_switch.server.restart()
    with pytest.raises(EpochConflict, match="epoch now"):
        durable_switch.control.reset(looked_at, "checked")
    assert durable_switch.server.cli("GET", STATE).startswith("ENGAGED")


def test_an_engagement_survives_the_restart(durable_switch: Switch) -> None:
    """An acknowledged ENGAGED is on disk: after kill -9 it is still there, with its reason."""
    agent = durable_switch.agent()
    open_epoch(agent)
    outcome = durable_switch.control.engage("stop")
    assert outcome.durability is not None
    assert outcome.durability.durable
    durable_switch.server.restart()
    closes_with(agent, Code.ENGAGED)
    assert durable_switch.control.status().switch.text == "ENGAGED stop"
    stays_closed(agent)


def test_a_restart_that_forgot_everything_is_closed(switch: Switch) -> None:
    """P5 and P9: an empty Redis has neither state nor library: closed, naming the command, until init and reset."""
    agent = switch.agent()
    seen = open_epoch(agent)
    switch.server.restart(wipe=True)
    assert "killswitch init" in closes_with(agent, Code.LIBRARY_MISSING)
    switch.control.init()
    closes_with(agent, Code.ENGAGED)
    eventually(lambda: switch.control.status().epoch >= seen, why="the worker's epoch is known again")
    assert switch.permit() > seen
    assert open_epoch(agent) > seen


def replica_of(master: RealServer, replica: RealServer) -> None:
    """Attaches `replica` to `master` and waits until it has caught up."""
    master.config_set("repl-diskless-sync-delay", "0")
    with replica.line() as line:
        line.call("REPLICAOF", "127.0.0.1", master.port)
    eventually(
        lambda: replica.cli("GET", STATE) == "SAFE" and "master_link_status:up" in replica.cli("INFO", "replication"),
        timeout_s=20.0,
        why="the replica has caught up",
    )


def test_a_promoted_replica_that_lost_the_engagement_opens_for_nobody(switch: Switch, make_server: MakeServer) -> None:
    """P9: the master was engaged after the replica was cut off; the replica says SAFE. Neither a worker that moves
    there nor one that is new there opens, until somebody permits, at an epoch above every one that was seen."""
    replica = make_server()
    replica_of(switch.server, replica)
    with Proxy(switch.server.port) as proxy:
        moving = switch.agent_at(proxy.url)
        open_epoch(moving)
        replica.cli("REPLICAOF", "NO", "ONE")
        engaged = switch.control.engage("stop", wait_s=10)
        closes_with(moving, Code.ENGAGED)
        assert replica.cli("GET", STATE) == "SAFE"
        switch.server.kill9()
        proxy.target = replica.port
        proxy.cut()
        newcomer = switch.agent_at(replica.url)
        for agent in (moving, newcomer):
            assert "permit again" in closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
            stays_closed(agent)
        switch.control = type(switch.control)(switch.settings(redis_url=replica.url))
        assert switch.permit() > engaged.epoch
        for agent in (moving, newcomer):
            assert open_epoch(agent) > engaged.epoch


def test_a_promotion_by_hand_of_a_replica_is_closed_also_for_raw_safe_from_before(
    switch: Switch, make_server: MakeServer
) -> None:
    """P9: what was SAFE before the promotion is not; a SET SAFE that somebody makes on the new master is a change."""
    replica = make_server()
    replica_of(switch.server, replica)
    replica.cli("REPLICAOF", "NO", "ONE")
    agent = switch.agent_at(replica.url)
    closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)
    replica.cli("SET", STATE, "SAFE")
    open_epoch(agent)


def test_a_worker_at_a_replica_is_closed(switch: Switch, make_server: MakeServer) -> None:
    """P9: a replica may be stale, so nobody trades on its word."""
    replica = make_server()
    replica_of(switch.server, replica)
    agent = switch.agent_at(replica.url)
    closes_with(agent, Code.REDIS_READONLY)
    assert blocked_code(agent) is not None


def test_the_first_replica_does_not_stop_the_fleet(switch: Switch, make_server: MakeServer) -> None:
    """A server that begins a history because a replica attached is the same incarnation: trading goes on."""
    agent = switch.agent()
    epoch = open_epoch(agent)
    replica = make_server()
    replica_of(switch.server, replica)
    eventually(lambda: agent.view.mode is Mode.SAFE, timeout_s=20, why="it is open, whatever a sync made it wait")
    assert open_epoch(agent) == epoch
    assert switch.control.status().switch.text == "SAFE"


def _replid(server: RealServer) -> str:
    return server.cli("INFO", "replication").partition("master_replid:")[2][:40]


def _in_sync(replica: RealServer, master: RealServer) -> None:
    replica.cli("REPLICAOF", "127.0.0.1", str(master.port))
    eventually(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), why="the link stands")


def test_a_stop_that_was_lost_at_a_server_which_came_back_long_after_reopens_nobody(
    switch: Switch, make_server: MakeServer
) -> None:
    """P9: a master that engaged for itself alone, followed another's data and was promoted again is not believed, also
    when it has forgotten by then that it ever followed anybody."""
    here, there = switch.server, make_server(repl_backlog_ttl="1", repl_diskless_sync_delay="0")
    for name, value in (("repl-backlog-ttl", "1"), ("repl-diskless-sync-delay", "0")):
        here.config_set(name, value)
    _in_sync(there, here)
    before = switch.permit()
    agent = switch.agent()
    open_epoch(agent)
    agent.close()
    eventually(lambda: there.cli("GET", STATE) == "SAFE", why="the other one has the permission")
    there.cli("REPLICAOF", "NO", "ONE")
    assert switch.control.engage("acknowledged here alone").epoch > before
    _in_sync(here, there)
    assert here.cli("GET", STATE) == "SAFE", "the stop is lost"
    here.cli("REPLICAOF", "NO", "ONE")
    eventually(
        lambda: f"master_replid2:{'0' * 40}" in here.cli("INFO", "replication"), why="it forgot whom it followed"
    )
    late = switch.agent()
    assert "permit again" in closes_with(late, Code.ENGAGED)
    stays_closed(late)


def test_a_master_whose_last_replica_left_long_ago_goes_on(switch: Switch, make_server: MakeServer) -> None:
    """L7: a server that gives its backlog back has a new replication id and has lost nothing: no gate closes."""
    for name, value in (("repl-backlog-ttl", "1"), ("repl-diskless-sync-delay", "0")):
        switch.server.config_set(name, value)
    replica = make_server()
    _in_sync(replica, switch.server)
    agent = switch.agent()
    epoch = open_epoch(agent)
    before = _replid(switch.server)
    closings: list[View] = []
    agent.on_close(closings.append)
    replica.stop()
    eventually(lambda: _replid(switch.server) != before, why="it began a new history")
    ledger = f"{STATE.removesuffix(':state')}:ledger"
    eventually(lambda: switch.server.cli("HGET", ledger, "replid") == _replid(switch.server), why="a beat settled it")
    assert (agent.gate.signal(), closings) == (epoch, [])
