"""What a process saw of the switch holds for all the agents it has, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killswitch import Agent, Code
from tests.support.agents import PATIENCE_S, closes_with, open_epoch, stays_closed
from tests.support.switch import STATE, Switch
from workers.agents import AgentHolder, switch_agents

SCOPE = "symbol:EURUSD"
RECORD = (STATE, "killswitch:ledger", "killswitch:audit")


@pytest.fixture
def holder(switch: Switch) -> Iterator[AgentHolder]:
    """The agents of a worker process; the switch permits trading."""
    made = AgentHolder(switch_agents(switch.settings(), "w-1"), ())
    made.start()
    yield made
    made.close()


def stopped_and_restored(switch: Switch, agent: Agent) -> None:
    """The agent sees a stop; then the record is what it was before, as after a restore."""
    open_epoch(agent)
    for key in RECORD:
        switch.raw("COPY", key, key, "DB", 1)
    switch.control.engage("fat finger", wait_s=PATIENCE_S)
    closes_with(agent, Code.ENGAGED)
    switch.raw("SWAPDB", 0, 1)
    closes_with(agent, Code.EPOCH_BEHIND)


def test_the_agent_after_an_engine_knows_the_stop_that_the_engines_saw(switch: Switch, holder: AgentHolder) -> None:
    """P9: a record that lost a stop opens no agent of a process that saw it; the next permission opens them all."""
    with holder.serving("e1", (SCOPE,)) as agent:
        stopped_and_restored(switch, agent)
    closes_with(holder.current, Code.EPOCH_BEHIND)
    stays_closed(holder.current)
    with holder.serving("e2", ()) as agent:
        closes_with(agent, Code.EPOCH_BEHIND)
        stays_closed(agent)
        switch.permit()
        open_epoch(agent)
    open_epoch(holder.current)


def test_an_agent_that_is_started_again_knows_the_stop_it_saw(switch: Switch) -> None:
    """P9: closing and starting an agent is no way around what it saw."""
    agent = switch.agent()
    stopped_and_restored(switch, agent)
    agent.close()
    agent.start()
    closes_with(agent, Code.EPOCH_BEHIND)
    stays_closed(agent)
    switch.permit()
    open_epoch(agent)


def test_a_stop_of_the_engines_scope_does_not_hold_the_idle_agent_back(switch: Switch, holder: AgentHolder) -> None:
    """P9 asks for no more than it says: the epochs of a scope mean nothing to an agent that does not follow it."""
    with holder.serving("e1", (SCOPE,)) as agent:
        epoch = open_epoch(agent)
        stop = switch.control.engage("one symbol", scope=SCOPE, wait_s=PATIENCE_S)
        closes_with(agent, Code.SCOPE_ENGAGED)
        switch.control.reset(stop.epoch, "checked", scope=SCOPE)
        assert open_epoch(agent) > epoch
    assert open_epoch(holder.current) == epoch
