"""Quiescence is proved, not assumed (P6), and an order in flight is never lost from sight (P7)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from killswitch import Agent, Code, Member, Outcome, Verdict, clock
from tests.support.agents import (
    CALM,
    blocked_code,
    closes_with,
    frozen,
    hold_permit,
    open_epoch,
    release,
    stays_closed,
)
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

LONG_S = 20.0


@contextmanager
def engaging(switch: Switch, wait_s: float = LONG_S, scope: str | None = None) -> Iterator[Future[Outcome]]:
    """An `engage` with wait, under way on another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(switch.control.engage, "stop", scope=scope, wait_s=wait_s)


def member(switch: Switch, worker_id: str) -> Member:
    """What the membership says of one worker now."""
    return next(m for m in switch.control.status().members if m.worker_id == worker_id)


def ghost(switch: Switch, worker_id: str, in_flight: int) -> None:
    """A worker that registered, with its gate open and orders in flight, and never spoke again."""
    words = ("FCALL", "ks_beat", 1, STATE, "1", worker_id, 0, 0, in_flight, 60_000, 60_000, "life", "orders", '["c-9"]')
    switch.raw(*words)


def sees_in_flight(switch: Switch, agent: Agent, future: Future[Outcome]) -> None:
    """Waits until the worker said that it is closed with an order in flight; the proof must still be missing."""

    def said() -> bool:
        seen = member(switch, agent.worker_id)
        return seen.closed and seen.in_flight == 1 and seen.quiet_epoch == 0

    eventually(said, why="the worker reports its order in flight")
    assert not future.done()


def test_a_fleet_of_processes_and_agents_is_proved_quiet(switch: Switch) -> None:
    """P6: QUIET means that every member said closed and nothing in flight at this epoch; each is heard of once."""
    agents = [switch.agent(**CALM), switch.agent(**CALM)]
    workers = [switch.worker(main="signal"), switch.worker(main="order")]
    ids = {agent.worker_id for agent in agents} | {worker.ask("view")["worker_id"] for worker in workers}
    for worker in workers:
        worker.passes_again()
    for agent in agents:
        open_epoch(agent)
    heard: list[str] = []
    outcome = switch.control.engage("stop", wait_s=LONG_S, on_member=lambda seen, quiet: heard.append(seen.worker_id))
    returned_ns = clock.now_ns()
    assert outcome.verdict is Verdict.QUIET
    assert (outcome.pending, outcome.note) == ((), "")
    assert {m.worker_id for m in outcome.members} == ids
    assert all(m.quiet_epoch >= outcome.epoch and m.closed and m.in_flight == 0 for m in outcome.members)
    assert sorted(heard) == sorted(ids)
    for worker in workers:
        worker.checked_after(returned_ns)
        assert worker.last_pass() <= returned_ns
    for agent in agents:
        assert blocked_code(agent) is Code.ENGAGED


def test_an_engaged_fleet_is_proved_quiet_again(switch: Switch) -> None:
    """P8: engaging twice is fine; the second proof is for the second epoch."""
    agent = switch.agent()
    open_epoch(agent)
    first = switch.control.engage("one", wait_s=LONG_S)
    second = switch.control.engage("two", wait_s=LONG_S)
    assert (first.verdict, second.verdict) == (Verdict.QUIET, Verdict.QUIET)
    assert second.epoch > first.epoch
    assert second.members[0].quiet_epoch >= second.epoch


def test_an_order_in_flight_delays_the_proof_until_it_is_released(switch: Switch) -> None:
    """P7: with a permit held across the engagement there is no QUIET; the release brings it, not the next beat."""
    agent = switch.agent(beat_ms=60_000)
    permit = hold_permit(agent, "c-17")
    with engaging(switch) as future:
        sees_in_flight(switch, agent, future)
        assert member(switch, agent.worker_id).orders == ("c-17",)
        release(permit)
        outcome = future.result()
    assert outcome.verdict is Verdict.QUIET
    assert outcome.waited_ms < LONG_S * 1000  # beats come once a minute: the wake-up brought it


def test_an_order_that_never_ends_is_named_to_the_operator(switch: Switch) -> None:
    """P6: UNCERTAIN names the worker, its count and its order ids, and says whether all leases have run out."""
    agent, other = switch.agent(), switch.agent()
    permit = hold_permit(agent, "c-17")
    open_epoch(other)
    try:
        outcome = switch.control.engage("stop", wait_s=3.0)
    finally:
        release(permit)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [(m.worker_id, m.in_flight, m.orders) for m in outcome.pending] == [(agent.worker_id, 1, ("c-17",))]
    assert outcome.leases_out  # three seconds are more than a lease of 300 ms, whatever the clocks
    assert {m.worker_id for m in outcome.members} == {agent.worker_id, other.worker_id}


def test_a_permit_is_asked_for_and_refused_after_the_engagement(switch: Switch) -> None:
    """P7: while the proof is awaited nothing new comes into flight, however often it is tried."""
    agent = switch.agent()
    epoch = open_epoch(agent)
    permit = hold_permit(agent)
    with engaging(switch) as future:
        sees_in_flight(switch, agent, future)
        for _ in range(1000):
            assert _order_code(agent, epoch) is not None
        assert agent.in_flight == 1
        release(permit)
        assert future.result().verdict is Verdict.QUIET


def _order_code(agent: Agent, epoch: int) -> Code | None:
    try:
        with agent.gate.order(epoch):
            return None
    except Exception as error:
        return getattr(error, "code", None)


@pytest.mark.faults
def test_a_frozen_worker_is_uncertain_and_named(switch: Switch) -> None:
    """P6: a process that is stopped between two instructions can not be proved quiet, and is not called so."""
    worker = switch.worker(main="signal", worker_id="w-frozen", engine="eurusd-1")
    agent = switch.agent()
    worker.passes_again()
    open_epoch(agent)
    eventually(lambda: {m.worker_id for m in switch.control.status().members} >= {"w-frozen"}, why="it has registered")
    frozen(worker)
    outcome = switch.control.engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [(m.worker_id, m.engine) for m in outcome.pending] == [("w-frozen", "eurusd-1")]
    worker.send(signal.SIGCONT)
    assert switch.control.engage("again", wait_s=LONG_S).verdict is Verdict.QUIET


@pytest.mark.faults
def test_a_killed_worker_stays_in_sight(switch: Switch) -> None:
    """P6: a process that died with an order in flight is in the membership until somebody has looked into it."""
    worker = switch.worker(worker_id="w-dead", beat_ms=50)
    worker.opens()
    assert eventually(lambda: worker.ask("hold", order_id="c-3") == "", why="a permit is granted")
    eventually(lambda: member(switch, "w-dead").in_flight == 1, why="a beat tells of it")
    worker.stop()
    outcome = switch.control.engage("stop", wait_s=2.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [(m.worker_id, m.in_flight, m.orders) for m in outcome.pending] == [("w-dead", 1, ("c-3",))]


def test_a_worker_that_joins_during_the_engagement_is_closed(switch: Switch) -> None:
    """P6: who registers after the write reads the engagement: it never passes, and the proof holds with it."""
    agent = switch.agent()
    permit = hold_permit(agent)
    with engaging(switch) as future:
        sees_in_flight(switch, agent, future)
        late = switch.agent(**CALM)
        closes_with(late, Code.ENGAGED)
        stays_closed(late)
        release(permit)
        outcome = future.result()
    assert outcome.verdict is Verdict.QUIET
    assert blocked_code(late) is Code.ENGAGED


def test_a_worker_that_leaves_properly_is_not_waited_for(switch: Switch) -> None:
    """P6: a worker that closed, drained and said goodbye during the wait does not hold up the proof."""
    agent = switch.agent()
    permit = hold_permit(agent)
    ghost(switch, "w-leaving", in_flight=1)
    with engaging(switch) as future:
        sees_in_flight(switch, agent, future)
        release(permit)
        eventually(lambda: member(switch, agent.worker_id).quiet_epoch > 0, why="the other one is quiet")
        assert not future.done()
        switch.raw("FCALL", "ks_leave", 1, STATE, "w-leaving")
        assert future.result().verdict is Verdict.QUIET


def test_a_worker_whose_hash_is_gone_is_not_proved_quiet(switch: Switch) -> None:
    """P6: a member that can not be asked is pending, not forgotten."""
    ghost(switch, "w-lost", in_flight=0)
    switch.raw("DEL", "killswitch:worker:w-lost")
    outcome = switch.control.engage("stop", wait_s=2.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [(m.worker_id, m.known) for m in outcome.pending] == [("w-lost", False)]


def test_a_flush_during_the_wait_gives_no_quiet(switch: Switch) -> None:
    """P6: members that were known and then wiped away were not proved quiet."""
    agent = switch.agent()
    permit = hold_permit(agent)
    ghost(switch, "w-silent", in_flight=1)
    with engaging(switch, wait_s=3.0) as future:
        sees_in_flight(switch, agent, future)
        switch.raw("FLUSHALL")
        release(permit)
        outcome = future.result()
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "w-silent" in {m.worker_id for m in outcome.pending}


@pytest.mark.parametrize("then", ["nothing", "engaged again"])
def test_a_flush_before_the_members_were_read_gives_no_quiet(switch: Switch, then: str) -> None:
    """P6: where the membership was lost between the write and the look, an empty one proves nothing."""
    ghost(switch, "w-silent", in_flight=1)

    def flush(_: Outcome) -> None:
        switch.raw("FLUSHALL")
        if then == "engaged again":
            switch.control.engage("by somebody else")

    outcome = switch.control.engage("stop", wait_s=0.5, on_engaged=flush)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert outcome.note


def test_a_restart_during_the_wait_gives_no_quiet(switch: Switch) -> None:
    """P6: a server that came back empty knows nobody; that is no proof."""
    ghost(switch, "w-silent", in_flight=1)
    outcome = switch.control.engage("stop", wait_s=0.5, on_engaged=lambda _: switch.server.restart(wipe=True))
    assert outcome.verdict is Verdict.UNCERTAIN
    assert outcome.note


def test_a_reset_during_the_wait_gives_no_quiet(switch: Switch) -> None:
    """P6: when somebody permits trading while the proof is awaited, the outcome says so."""
    agent = switch.agent()
    permit = hold_permit(agent)
    with engaging(switch) as future:
        sees_in_flight(switch, agent, future)
        switch.permit()
        outcome = future.result()
    release(permit)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "SAFE" in outcome.note


def test_an_engagement_without_the_library_is_set_and_not_called_quiet(switch: Switch) -> None:
    """P8: the stop itself needs nothing but SET; what nobody recorded is UNCERTAIN, with the reason."""
    agent = switch.agent()
    open_epoch(agent)
    switch.raw("FUNCTION", "FLUSH")
    outcome = switch.control.engage("stop", wait_s=0.5)
    assert switch.server.cli("GET", STATE) == "ENGAGED stop"
    assert blocked_code(agent) is not None
    assert (outcome.verdict, outcome.epoch) == (Verdict.UNCERTAIN, 0)
    assert outcome.note


def test_a_wait_on_a_scope_counts_those_who_follow_it(switch: Switch) -> None:
    """P6 and scopes: only followers are waited for, and only they are closed."""
    follower, other = switch.agent(["symbol:EURUSD"]), switch.agent(["symbol:GBPUSD"])
    open_epoch(follower)
    permit = hold_permit(other)
    outcome = switch.control.engage("one pair", scope="symbol:EURUSD", wait_s=LONG_S)
    assert outcome.verdict is Verdict.QUIET
    assert [m.worker_id for m in outcome.members] == [follower.worker_id]
    assert blocked_code(follower) is Code.SCOPE_ENGAGED
    open_epoch(other)
    release(permit)
