"""The parts that run beside the main thread: the drain's clock, the stop of a job, the change of agents."""

from __future__ import annotations

import threading

import pytest

from killswitch import Mode
from tests.unit.workers_rq.doubles import Switch, holder
from workers.drain import Drain
from workers.runtime import JobRuntime, StopReason, current

PATIENCE_S = 5.0


class Calls:
    """What a drain called."""

    def __init__(self, drain_s: float) -> None:
        self.begun: list[str] = []
        self.woken = 0
        self.overrun = threading.Event()
        self.drain = Drain(drain_s, wake=self._wake, begin=self.begun.append, overrun=self.overrun.set)
        self.drain._thread.start()

    def _wake(self) -> None:
        self.woken += 1

    def join(self) -> None:
        self.drain._thread.join(PATIENCE_S)
        assert not self.drain._thread.is_alive()


def test_drain_that_takes_too_long_is_overrun() -> None:
    """The process ends in bounded time whatever the main thread does."""
    calls = Calls(0.01)
    calls.drain.request()
    assert calls.overrun.wait(PATIENCE_S)
    assert (calls.begun, calls.woken, calls.drain.requested) == (["SIGTERM"], 1, True)


def test_drain_that_is_done_in_time_is_not_overrun() -> None:
    """A clean end stays clean."""
    calls = Calls(3600)
    calls.drain.request()
    calls.drain.done()
    calls.join()
    assert not calls.overrun.is_set()


def test_second_signal_shortens_the_time_that_is_left() -> None:
    """Impatience speeds the end up; it does not kill half-way."""
    calls = Calls(3600)
    calls.drain.request()
    calls.drain.request()
    assert calls.overrun.wait(PATIENCE_S)
    assert calls.begun == ["SIGTERM"]


def test_worker_that_ends_by_itself_stops_watching_the_clock() -> None:
    """No signal, no drain."""
    calls = Calls(0.01)
    calls.drain.done()
    calls.join()
    assert calls.begun == []


def test_job_is_told_to_stop_once_and_for_the_first_reason() -> None:
    """Drain and stop command may cross; what comes of the job is what was asked first."""
    runtime = JobRuntime("j", holder(Switch()))
    heard: list[str] = []
    runtime.on_stop(heard.append)
    runtime.stop(StopReason.OPERATOR)
    runtime.stop(StopReason.DRAIN)
    assert heard == ["operator"]
    assert runtime.stop_reason is StopReason.OPERATOR


def test_lost_ownership_outranks_every_other_reason() -> None:
    """Whatever was asked first: a job that may run elsewhere is not recorded here."""
    runtime = JobRuntime("j", holder(Switch()))
    runtime.stop(StopReason.DRAIN)
    runtime.stop(StopReason.OWNERSHIP_LOST)
    assert runtime.stop_reason is StopReason.OWNERSHIP_LOST


def test_stop_before_the_job_listens_is_heard() -> None:
    """A stop between the start and the first line of the engine is not missed."""
    runtime = JobRuntime("j", holder(Switch()))
    runtime.stop(StopReason.DRAIN)
    heard: list[str] = []
    runtime.on_stop(heard.append)
    assert heard == ["drain"]


def test_runtime_belongs_to_the_running_job_alone() -> None:
    """A job function called outside of a worker has no agent to borrow."""
    runtime = JobRuntime("j", holder(Switch()))
    with runtime.active():
        assert current() is runtime
    with pytest.raises(LookupError):
        current()


def test_agents_follow_one_another_and_never_overlap() -> None:
    """One process is one member of the fleet at any time, with the scopes of what it runs."""
    switch = Switch()
    agents = holder(switch, ("host:a",))
    agents.start()
    with agents.serving("e1", ("symbol:X", "host:a")) as agent:
        assert agents.current is agent
        assert [made.running for made in switch.made] == [False, True]
        assert switch.made[1].scopes == ("host:a", "symbol:X")
    assert [made.running for made in switch.made] == [False, False, True]
    assert agents.close()
    assert not agents.open()


def test_agent_with_an_order_in_flight_is_not_followed_by_another() -> None:
    """A successor would overwrite the record of an order that is still on its way."""
    switch = Switch()
    agents = holder(switch)
    agents.start()
    with agents.serving("e1", ()):
        switch.made[1].in_flight = 1
    assert len(switch.made) == 2
    assert (agents.undrained, agents.leaving) == (True, True)


def test_leaving_worker_starts_no_agent_any_more() -> None:
    """A drained worker leaves the registry once and for all."""
    switch = Switch()
    agents = holder(switch)
    agents.start()
    with agents.serving("e1", ()):
        agents.leaving = True
    assert not any(made.running for made in switch.made)


def test_gate_is_open_to_starts_under_reducing() -> None:
    """An engine that may only reduce still has to run to do it."""
    switch = Switch(mode=Mode.REDUCING)
    agents = holder(switch)
    assert not agents.open()
    agents.start()
    assert agents.open()
    switch.engage()
    assert not agents.open()
