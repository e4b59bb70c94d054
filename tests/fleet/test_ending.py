"""How a worker ends, or wakes up too late: the engine is never lost and never runs twice."""

from __future__ import annotations

import os
import signal

import pytest

from killswitch import clock
from tests.fleet.world import ENDLESS, PATIENCE_S, SOON, Fleet
from tests.support.waiting import eventually

pytestmark = [pytest.mark.fleet, pytest.mark.real]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_puts_the_engine_back_in_front_and_leaves_the_fleet(fleet: Fleet, number: signal.Signals) -> None:
    """After one signal: exit 0 in bounded time, the engine first in its queue, its tries untouched, no member left."""
    first = fleet.place(ENDLESS)
    second = fleet.place(ENDLESS, name="e2")
    fleet.queue.hset(first.key, "retries_left", 2)
    worker = fleet.worker()
    eventually(lambda: fleet.orders("e1"), timeout_s=PATIENCE_S, why="the engine trades")
    worker.child.send(number)
    assert worker.child.wait(PATIENCE_S) == 0, worker.child.output
    assert fleet.waiting() == [first.id, second.id]
    assert fleet.untouched(first)
    first.refresh()
    assert first.retries_left == 2
    assert fleet.control.status().members == ()
    assert fleet.queue.keys("workers:owner:*") == []
    assert worker.saw("worker_ended")["drained"] is True


def test_second_signal_does_not_lose_the_engine(fleet: Fleet) -> None:
    """An impatient operator gets a quick end, and still the engine is first in its queue."""
    job = fleet.place(ENDLESS)
    worker = fleet.worker()
    worker.saw("job_started")
    for _ in range(3):
        worker.child.send(signal.SIGTERM)
    assert worker.child.wait(PATIENCE_S) == 0, worker.child.output
    assert fleet.waiting() == [job.id]
    assert fleet.untouched(job)


def test_idle_worker_ends_at_once(fleet: Fleet) -> None:
    """Nothing to drain: gone from both registries."""
    worker = fleet.worker()
    name = worker.name
    eventually(lambda: fleet.member(worker) is not None, timeout_s=PATIENCE_S, why="the worker joined")
    worker.child.send(signal.SIGTERM)
    assert worker.child.wait(PATIENCE_S) == 0
    assert fleet.control.status().members == ()
    assert not fleet.queue.sismember("rq:workers", f"rq:worker:{name}")


def test_engine_of_a_killed_worker_goes_on_elsewhere_after_its_lease(fleet: Fleet) -> None:
    """kill -9: another worker takes over under a higher token, not before the lease, and cancels in its place."""
    job = fleet.place(ENDLESS)
    doomed = fleet.worker(**SOON)
    token = doomed.saw("job_started")["token"]
    heir = fleet.worker(**SOON)
    heir.saw("worker_gate", open=True)
    killed_ns = clock.now_ns()
    os.kill(doomed.child.pid, signal.SIGKILL)
    taken = heir.saw("job_started", job=job.id)
    assert taken["token"] > token
    assert clock.now_ns() - killed_ns > 0
    heir.saw("engine_recovered", engine="e1", dead_worker=doomed.name)
    heir.saw("orders_cancelled", engine="e1", owner=token)
    assert fleet.queue.keys("workers:cleanup*") == []
    heir.child.send(signal.SIGTERM)
    assert heir.child.wait(PATIENCE_S) == 0


def test_worker_that_wakes_up_after_a_takeover_sends_nothing(fleet: Fleet) -> None:
    """A frozen worker thought dead: when it wakes its engine is another's, so it stops and records nothing."""
    job = fleet.place(ENDLESS)
    sleeper = fleet.worker(**SOON)
    eventually(lambda: fleet.orders("e1"), timeout_s=PATIENCE_S, why="the engine trades")
    token = sleeper.saw("job_started")["token"]
    os.kill(sleeper.child.pid, signal.SIGSTOP)
    os.waitpid(sleeper.child.pid, os.WUNTRACED)
    before = len(fleet.orders("e1"))
    heir = fleet.worker(**SOON)
    heir.saw("job_started", job=job.id)
    os.kill(sleeper.child.pid, signal.SIGCONT)
    sleeper.saw("engine_ownership_lost", engine="e1")
    sleeper.saw("job_superseded", job=job.id)
    eventually(lambda: len(fleet.orders("e1")) > before, timeout_s=PATIENCE_S, why="the heir trades")
    late = [order for order in fleet.orders("e1")[before:] if order["order_id"].startswith(f"e1-{token}-")]
    assert late == []
    assert job.get_status().value == "started"


def test_engine_placed_twice_runs_once(fleet: Fleet) -> None:
    """The second placement waits in the queue, is reported, and starts when the engine is free."""
    first = fleet.place(ENDLESS)
    one = fleet.worker()
    one.saw("job_started", job=first.id)
    second = fleet.place(ENDLESS)
    other = fleet.worker()
    assert other.saw("engine_owned_elsewhere", job=second.id)["owner"] == one.name
    assert fleet.untouched(second)
    one.child.send(signal.SIGTERM)
    assert one.child.wait(PATIENCE_S) == 0
    other.saw("job_started")
    assert len(fleet.queue.keys("workers:owner:*")) == 1


def test_engine_stops_when_the_queue_is_lost_and_comes_back_with_it(fleet: Fleet) -> None:
    """Without the queue's Redis nobody knows who owns the engine, so it stops; the worker waits and starts it again."""
    job = fleet.place(ENDLESS)
    worker = fleet.worker(**SOON)
    first = worker.saw("job_started")["token"]
    fleet.queue_server.kill9()
    worker.saw("engine_ownership_lost", engine="e1")
    fleet.queue_server.restart()

    def started_again() -> bool:
        return any(line["event"] == "job_started" and line["token"] > first for line in worker.events)

    eventually(started_again, timeout_s=PATIENCE_S, why=f"engine starts again:\n{worker.child.output}")
    assert job.id not in fleet.waiting()
