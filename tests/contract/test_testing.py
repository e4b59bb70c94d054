"""The helper for embedders: an agent and a controller work on a Redis that is played in this process."""

from __future__ import annotations

import pytest

from killswitch import Agent, Blocked, Code, Controller, Settings, Verdict
from killswitch.testing import fake_redis
from tests.support.agents import closes_with, open_epoch


def test_agent_opens_and_closes_on_a_fake_redis() -> None:
    """Init, reset, trade, engage: everything above the socket is the real thing, on the polling rung."""
    with fake_redis() as url:
        patient = {"lease_ms": 5000, "patience_ms": 3000, "timeout_ms": 10_000}
        settings = Settings(redis_url=url, renew_ms=20, beat_ms=100, **patient)
        control = Controller(settings)
        assert control.init(actor="test").created
        with Agent(settings, engine="e1") as agent:
            control.reset(epoch=control.status().switch.epoch, reason="go", actor="test")
            epoch = open_epoch(agent)
            assert agent.view.rung == "polling"
            with agent.gate.order(epoch) as permit:
                assert permit.epoch == epoch == 2
            assert control.engage(reason="stop", actor="test", wait_s=0.1).verdict is Verdict.UNCERTAIN
            closes_with(agent, Code.ENGAGED)
            with pytest.raises(Blocked, match="stop") as caught:
                agent.gate.signal()
            assert caught.value.code is Code.ENGAGED
        assert control.status().members == ()


def test_two_fakes_are_two_incarnations() -> None:
    """Each has its own run id and its own keys."""
    with fake_redis() as first, fake_redis() as second:
        ids = set()
        for url in (first, second):
            control = Controller(Settings(redis_url=url))
            control.init(actor="test")
            ids.add(control.status().run_id)
            assert control.status().epoch == 1
        assert len(ids) == 2
