"""What `KILLSWITCH_ON_FAILOVER` other than `halt` means (P9), and the hole that each one leaves, shown as it is."""

from __future__ import annotations

import pytest

from killswitch import Code, Controller, EpochConflict, Mode
from tests.conftest import MakeServer
from tests.integration.test_incarnation import replica_of
from tests.support.agents import closes_with, open_epoch, stays_closed
from tests.support.proxy import Proxy
from tests.support.server import RealServer
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults


def put_on_record(switch: Switch, policy: str, **changes: str) -> Controller:
    """Runs `init` with this policy."""
    switch.control = Controller(switch.settings(on_failover=policy, **changes))
    assert switch.control.init().on_failover == policy
    return switch.control


@pytest.fixture
def replica(switch: Switch, make_server: MakeServer, request: pytest.FixtureRequest) -> RealServer:
    """A replica that was cut off before an engagement, and says SAFE under the policy of the test."""
    put_on_record(switch, request.param)
    made = make_server()
    replica_of(switch.server, made)
    return made


@pytest.mark.parametrize("policy", ["resume", "reassert"])
def test_trading_goes_on_after_a_restart_where_that_is_on_record(durable_switch: Switch, policy: str) -> None:
    """The same permission, at the same epoch, without anybody's reset; the record says that it was so."""
    put_on_record(durable_switch, policy)
    agent = durable_switch.agent()
    epoch = open_epoch(agent)
    durable_switch.server.kill9()
    closes_with(agent, Code.DISCONNECTED, Code.UNREACHABLE)
    durable_switch.server.restart()
    eventually(lambda: agent.view.mode is Mode.SAFE, timeout_s=20, why="the gate opens again")
    assert open_epoch(agent) == epoch
    entry = durable_switch.control.audit()[-1]
    assert (entry.scope, entry.after, entry.via) == ("on_failover", policy, "incarnation")
    assert f"SAFE of epoch {epoch} was carried on" in entry.reason
    assert entry.epoch >= epoch + 1000
    assert durable_switch.control.status().switch.epoch == epoch


def test_an_engagement_that_survived_stays_whatever_the_policy(durable_switch: Switch) -> None:
    """Only a permission is carried on."""
    put_on_record(durable_switch, "resume")
    agent = durable_switch.agent()
    open_epoch(agent)
    durable_switch.control.engage("stop")
    durable_switch.server.restart()
    closes_with(agent, Code.ENGAGED)
    stays_closed(agent)
    assert durable_switch.control.status().switch.mode is Mode.ENGAGED


def test_a_permission_written_behind_the_records_back_is_not_carried_on(durable_switch: Switch) -> None:
    """SAFE by hand, unrecorded when Redis died, is not the permission on record: closed until somebody resets."""
    put_on_record(durable_switch, "resume")
    durable_switch.control.engage("stop")
    durable_switch.raw("SET", STATE, "SAFE")
    durable_switch.server.kill9()
    durable_switch.server.restart()
    agent = durable_switch.agent()
    assert "permit again" in closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)


@pytest.mark.parametrize("replica", ["resume"], indirect=True)
def test_resume_opens_whoever_had_not_heard_of_a_lost_stop_and_nobody_else(switch: Switch, replica: RealServer) -> None:
    """The hole of `resume`: the promoted replica lost a stop. Who saw it stays closed; a newcomer opens."""
    with Proxy(switch.server.port) as proxy:
        witness = switch.agent_at(proxy.url)
        open_epoch(witness)
        replica.cli("REPLICAOF", "NO", "ONE")
        stop = switch.control.engage("stop", wait_s=10)
        closes_with(witness, Code.ENGAGED)
        switch.server.kill9()
        proxy.target = replica.port
        proxy.cut()
        newcomer = switch.agent_at(replica.url)
        assert open_epoch(newcomer) < stop.epoch
        closes_with(witness, Code.EPOCH_BEHIND)
        stays_closed(witness)
        control = Controller(switch.settings(redis_url=replica.url))
        with pytest.raises(EpochConflict):
            control.reset(stop.epoch, "the lost one")
        assert control.reset(control.status().switch.epoch, "checked").epoch > stop.epoch
        assert open_epoch(witness) > stop.epoch


@pytest.mark.parametrize("replica", ["reassert"], indirect=True)
def test_reassert_puts_a_lost_stop_back_for_everybody(switch: Switch, replica: RealServer) -> None:
    """The first witness to arrive engages in writing, under a new epoch, on record; the newcomer closes."""
    with Proxy(switch.server.port) as proxy:
        witness = switch.agent_at(proxy.url)
        open_epoch(witness)
        replica.cli("REPLICAOF", "NO", "ONE")
        stop = switch.control.engage("stop", wait_s=10)
        closes_with(witness, Code.ENGAGED)
        switch.server.kill9()
        newcomer = switch.agent_at(replica.url)
        open_epoch(newcomer)  # nobody who knows has arrived: the hole of `reassert`
        proxy.target = replica.port
        proxy.cut()
        for agent in (newcomer, witness):
            assert f"put back by {witness.worker_id}" in closes_with(agent, Code.ENGAGED)
            stays_closed(agent)
        control = Controller(switch.settings(redis_url=replica.url))
        entry = control.audit()[-1]
        assert (entry.before, entry.via) == ("SAFE", "reassert")
        assert entry.epoch > stop.epoch
        assert control.reset(entry.epoch, "checked").epoch > entry.epoch
        for agent in (newcomer, witness):
            assert open_epoch(agent) > entry.epoch


def test_a_witness_that_may_not_write_the_state_closes_everybody_all_the_same(switch: Switch) -> None:
    """`reassert` with workers that may not SET: the record forgets its incarnation, so no reading confirms."""
    put_on_record(switch, "reassert")
    switch.server.cli("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-set")
    witness = switch.agent_at(switch.server.unix_url.replace("unix://", "unix://worker:pw@"))
    other = switch.agent()
    open_epoch(other)
    with switch.server.client() as client:
        kept = client.hgetall("killswitch:ledger")
        switch.control.engage("stop", wait_s=10)
        closes_with(witness, Code.ENGAGED)
        other.close()
        client.hset("killswitch:ledger", mapping=kept)  # the record as it was before the stop, as a restore has it
        client.set(STATE, "SAFE")
    newcomer = switch.agent()
    closes_with(newcomer, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(newcomer)
    stays_closed(witness)


def test_what_is_on_record_counts_and_not_a_workers_own_setting(durable_switch: Switch) -> None:
    """Workers that disagree would open and close each other: one policy for the whole fleet, `halt` until init."""
    agent = durable_switch.agent(on_failover="resume")
    open_epoch(agent)
    durable_switch.server.restart()
    assert "permit again" in closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)


def test_a_change_of_the_policy_is_on_record_once(switch: Switch) -> None:
    """It may loosen, so it has an epoch and an entry; repeated it is no change. The switch's own epoch stays."""
    epoch = switch.control.status().switch.epoch
    for _ in range(2):
        put_on_record(switch, "resume", actor="alice")
    found = [entry for entry in switch.control.audit() if entry.scope == "on_failover"]
    assert [(entry.before, entry.after, entry.actor) for entry in found] == [("halt", "resume", "alice")]
    assert found[0].epoch > epoch
    assert switch.control.status().switch.epoch == epoch
    assert put_on_record(switch, "halt").status().on_failover == "halt"


def test_nonsense_as_a_policy_is_refused_and_nonsense_on_record_is_halt(durable_switch: Switch) -> None:
    """Only the three words count; whatever else stands there closes."""
    words = ("FCALL", "ks_policy", "1", STATE)
    assert "one of halt, resume and reassert" in durable_switch.server.cli(*words, "open")
    durable_switch.server.cli("HSET", "killswitch:ledger", "on_failover", "open")
    assert durable_switch.control.status().on_failover == "halt"
    agent = durable_switch.agent()
    open_epoch(agent)
    durable_switch.server.restart()
    closes_with(agent, Code.INCARNATION_CHANGED, Code.ENGAGED)
    stays_closed(agent)
