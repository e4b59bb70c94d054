"""The ladder: where pushes of the best kind cannot be had, a lower rung still closes within the lease, and says so."""

from __future__ import annotations

import pytest

from killswitch import Code, Mode, Verdict
from killswitch.clock import NS_PER_MS
from tests.support.agents import FAST, PATIENCE_S, closes_with, last_pass_ns, open_epoch
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

LEASE_NS = FAST["lease_ms"] * NS_PER_MS


@pytest.mark.parametrize("rung", ["bcast", "tracking", "keyspace", "polling"])
def test_on_every_rung_the_gate_closes_within_the_lease_and_the_proof_works(switch: Switch, rung: str) -> None:
    """P3 on each rung: no check passes later than a lease after +OK, again and again; QUIET can be proved."""
    switch.server.config_set("notify-keyspace-events", "KA")
    agent = switch.agent(rung=rung)
    for _ in range(3):
        open_epoch(agent)
        assert agent.view.rung == rung
        ok_ns = switch.engage_raw()
        assert last_pass_ns(agent, ok_ns + LEASE_NS + 20 * NS_PER_MS) <= ok_ns + LEASE_NS
        closes_with(agent, Code.ENGAGED)
        switch.raw("SET", STATE, "SAFE")
    open_epoch(agent)
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    assert [m.rung for m in outcome.members] == [rung]


@pytest.mark.parametrize("rung", ["tracking", "keyspace"])
def test_a_lower_rung_is_pushed_to_and_not_only_polled(switch: Switch, rung: str) -> None:
    """With a renewal only every 19 s the change is heard long before: the push of the rung works, time after time."""
    switch.server.config_set("notify-keyspace-events", "KA")
    agent = switch.agent(rung=rung, lease_ms=60_000, renew_ms=19_000, beat_ms=60_000)
    for _ in range(3):
        open_epoch(agent)
        switch.engage_raw()
        closes_with(agent, Code.ENGAGED)
        switch.raw("SET", STATE, "SAFE")


def test_a_change_that_only_a_renewal_finds_is_recorded_before_it_permits(switch: Switch) -> None:
    """P10 where nothing is pushed: a loosening or tightening by hand acts only once it has an epoch of its own."""
    agent = switch.agent(rung="polling")
    before = open_epoch(agent)
    switch.raw("SET", STATE, "REDUCING")

    def found() -> bool:
        picture = agent.gate.picture
        assert picture.mode is not Mode.REDUCING or picture.epoch > before
        return picture.mode is Mode.REDUCING

    shown: list[tuple[Mode, int]] = []
    agent.on_open(lambda view: shown.append((view.mode, view.epoch)))
    eventually(found, timeout_s=PATIENCE_S, why="the reducing mode is in force")
    assert open_epoch(agent) == before + 1
    assert (Mode.REDUCING, before) not in shown


@pytest.mark.parametrize(("denied", "rung"), [("-client|tracking", "polling"), ("+@all", "bcast")])
def test_the_best_rung_that_is_allowed_is_taken_and_shown(switch: Switch, denied: str, rung: str) -> None:
    """A user who may not track falls down the ladder on its own, and `status` shows the rung in use."""
    with switch.server.line() as line:
        line.call("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", denied)
    path = switch.server.socket_path
    agent = switch.agent_at(f"unix://worker:secret@{path}")
    open_epoch(agent)
    assert agent.view.rung == rung
    eventually(lambda: [m.rung for m in switch.control.status().members] == [rung], why="status shows it")
    ok_ns = switch.engage_raw()
    assert last_pass_ns(agent, ok_ns + LEASE_NS + 20 * NS_PER_MS) <= ok_ns + LEASE_NS


def test_a_rung_that_was_asked_for_and_cannot_be_had_is_a_closed_gate(switch: Switch) -> None:
    """Nobody is moved to a lower rung silently who asked for a higher one."""
    agent = switch.agent(rung="keyspace")
    assert "notify-keyspace-events" in closes_with(agent, Code.REDIS_REFUSED)
