"""The agent of a worker when something cuts its changes short."""

from __future__ import annotations

import pytest

from killswitch import InvalidInput
from tests.unit.workers_rq.doubles import AgentDouble, Switch, holder


class TimeUp(BaseException):
    """Stands for the time limit of a job, which may fall anywhere."""


def test_drain_that_is_cut_short_ends_the_process_as_not_drained(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is not lost, no other takes its place, and the worker's loop can still ask it."""
    agents = holder(switch)
    agents.start()

    def cut(_agent: AgentDouble, _drain_s: float = 5.0) -> bool:
        raise TimeUp

    def serve() -> None:
        with agents.serving("e1", ()):
            monkeypatch.setattr(AgentDouble, "close", cut)

    with pytest.raises(TimeUp):
        serve()
    assert (agents.leaving, agents.undrained) == (True, True)
    assert agents.current is switch.made[1]
    assert len(switch.made) == 2


def test_start_that_is_cut_short_ends_the_process(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half started agent stays in hand, so that the end of the process closes it."""
    agents = holder(switch)
    agents.start()

    def cut(agent: AgentDouble) -> AgentDouble:
        agent.running = True
        raise TimeUp

    monkeypatch.setattr(AgentDouble, "start", cut)
    with pytest.raises(TimeUp), agents.serving("e1", ()):
        pass
    assert agents.leaving
    assert agents.close()
    assert not switch.made[1].running


def test_agent_that_cannot_be_made_leaves_the_idle_one_in_its_place(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scope that the switch refuses costs the job and not the worker."""
    agents = holder(switch)
    agents.start()

    def refuse(_self: AgentDouble, *_: object) -> None:
        raise InvalidInput("scope")

    monkeypatch.setattr(AgentDouble, "__init__", refuse)
    with pytest.raises(InvalidInput), agents.serving("e1", ()):
        pass
    assert agents.open()
    assert not agents.leaving


def test_every_agent_knows_what_the_one_before_it_saw(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: each succeeds the one before, also where that could not leave, or after a pause; so no stop is forgotten."""
    agents = holder(switch)
    agents.start()
    with agents.serving("e1", ()):
        agents.saying(venue="paper")
        with monkeypatch.context() as patch:
            patch.setattr(AgentDouble, "close", lambda *_: False)
            agents.saying(venue="paper", session="2")
    agents.close()
    agents.start()
    made = switch.made
    assert len(made) == 6
    assert [one.succeeded for one in made[1:]] == [[(made[at], at == 2)] for at in range(5)]
