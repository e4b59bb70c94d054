"""What long runs brought to light, in a second: one process, many agents one after the other."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from killswitch import Agent, Controller, Settings, Verdict, View
from tests.support.agents import FAST, open_epoch
from tests.support.server import RealServer
from tests.support.waiting import eventually
from workers.agents import AgentHolder, switch_agents

LIVES = 12


class Listener:
    """Somebody who listens to an agent and holds it, as an engine does: a circle."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def hear(self, _view: View) -> None:
        """Hears of it."""


@pytest.fixture
def holder(real_server: RealServer) -> Iterator[AgentHolder]:
    """The agents of a worker process, one after the other under one worker id; the switch permits trading."""
    settings = Settings(redis_url=real_server.unix_url, actor="tester", **FAST)
    control = Controller(settings)
    control.init()
    control.reset(control.status().switch.epoch, "the test begins")
    made = AgentHolder(switch_agents(settings, "worker-1"), ())
    made.start()
    yield made
    made.close()


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """What is given back is given back at once, not when the collector comes by, which may be hours."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_garbage_collection")
def test_an_agent_that_was_closed_gives_its_descriptors_back(holder: AgentHolder) -> None:
    """A worker that starts and ends engines for weeks does not run out of descriptors."""

    def one_life() -> int:
        with holder.serving("engine", ()) as agent:
            agent.on_close(Listener(agent).hear)  # an engine listens to its agent and holds it
            open_epoch(agent)
        return len(os.listdir("/proc/self/fd"))

    before = one_life()
    for _ in range(LIVES):
        after = one_life()
    assert after - before < LIVES // 2


def test_an_agent_that_could_not_leave_does_not_keep_the_next_one_from_being_quiet(
    holder: AgentHolder, real_server: RealServer
) -> None:
    """L2: an engine that ends while Redis refuses writes must not make every wait UNCERTAIN for minutes."""
    control = Controller(Settings(redis_url=real_server.unix_url, actor="tester"))
    with holder.serving("engine", ()) as agent:
        open_epoch(agent)
        eventually(lambda: not control.status().members[0].closed, why="a beat says that it trades")
        real_server.config_set("min-replicas-to-write", "1")
    real_server.config_set("min-replicas-to-write", "0")
    open_epoch(holder.current)
    outcome = control.engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.QUIET, outcome.pending
