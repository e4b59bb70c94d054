"""What a worker does with a job it may, may not or must not start, step by step."""

from __future__ import annotations

import os
from typing import Any

import fakeredis
import pytest
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from tests.unit.workers_rq.doubles import SHORT, MakeWorker, Switch, step
from workers import queues, wiring
from workers.ownership import Lease, Ownership
from workers.runtime import StopReason, current


def waiting(store: fakeredis.FakeStrictRedis, name: str = "engines") -> list[str]:
    """Job ids in the queue, first to run first."""
    return queues.open_queue(store, name).get_job_ids()


def untouched(store: fakeredis.FakeStrictRedis, job: Job) -> bool:
    """Whether the job waits as it did when it was enqueued, with no record of any try."""
    queue = queues.open_queue(store, job.origin)
    return (
        job.get_status() is JobStatus.QUEUED
        and job.latest_result() is None
        and job.id not in StartedJobRegistry(queue=queue).get_job_ids(cleanup=False)
        and job.id not in FailedJobRegistry(queue=queue).get_job_ids(cleanup=False)
        and job.id not in FinishedJobRegistry(queue=queue).get_job_ids(cleanup=False)
        and store.llen(queue.intermediate_queue_key) == 0
    )


def test_engine_runs_and_hands_in_its_report(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """The job's result is the engine's report, the engine is free again, and the agent follows the engine's scopes."""
    job = queues.place_engine(store, SHORT)
    worker = make_worker(scopes="host:web1")
    step(worker)
    assert job.get_status() is JobStatus.FINISHED
    report = job.return_value()
    assert report is not None
    assert (report["engine"], report["ticks"], report["ending"]) == ("e1", 600, "feed_ended")
    assert worker.ownership.holder("e1") is None
    assert [agent.scopes for agent in switch.made] == [
        ("host:web1",),
        ("host:web1", "strategy:meanrev"),
        ("host:web1",),
    ]
    assert [agent.running for agent in switch.made] == [False, False, True]


def test_closed_gate_leaves_gated_jobs_in_the_queue_while_cleanup_runs(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """Stopping never blinds: the engine waits untouched, the cancel does not."""
    switch.engage()
    engine = queues.place_engine(store, SHORT)
    cleanup = queues.cancel_orders(store, {"engine": "e1"})
    worker = make_worker()
    assert step(worker) == cleanup.id
    assert step(worker) is None
    assert waiting(store) == [engine.id]
    assert untouched(store, engine)
    switch.reset()
    assert step(worker) == engine.id
    assert engine.get_status() is JobStatus.FINISHED


def test_gate_that_closes_between_claim_and_start_puts_the_job_back_in_front(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """The claim is no start: the job is where it was, and nothing tells that it was touched."""
    first = queues.place_engine(store, SHORT)
    second = queues.place_engine(store, {**SHORT, "name": "e2"})
    worker = make_worker()
    claimed = worker._claims.next()
    assert claimed is not None
    assert waiting(store) == [second.id]
    switch.engage()
    worker.execute_job(*claimed)
    assert waiting(store) == [first.id, second.id]
    assert untouched(store, first)


def test_engine_owned_elsewhere_keeps_its_place_and_holds_up_nobody(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker
) -> None:
    """One engine runs once: the second placement waits, and the engine behind it starts."""
    lease = Ownership(store, "other").acquire("e1")
    assert isinstance(lease, Lease)
    first = queues.place_engine(store, SHORT)
    second = queues.place_engine(store, {**SHORT, "name": "e2"})
    worker = make_worker()
    assert step(worker) == first.id
    assert untouched(store, first)
    assert step(worker) == second.id
    assert second.get_status() is JobStatus.FINISHED
    assert step(worker) is None
    assert waiting(store) == [first.id]
    lease.release()
    worker._claims._pauses.clear()
    assert step(worker) == first.id
    assert first.get_status() is JobStatus.FINISHED


def interrupt(monkeypatch: pytest.MonkeyPatch, reason: StopReason) -> None:
    """Every engine is told to stop for `reason` as soon as its agent is there."""
    build = wiring.build_engine

    def stopped(*args: Any, **values: Any) -> object:
        current().stop(reason)
        return build(*args, **values)

    monkeypatch.setattr(wiring, "build_engine", stopped)


def test_drained_engine_goes_back_to_the_front_untouched(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next worker finds the engine first in the queue and free to be owned, its tries as they were."""
    interrupt(monkeypatch, StopReason.DRAIN)
    first = queues.place_engine(store, SHORT)
    second = queues.place_engine(store, {**SHORT, "name": "e2"})
    store.hset(first.key, "retries_left", 2)
    worker = make_worker()
    step(worker)
    assert waiting(store) == [first.id, second.id]
    assert untouched(store, first)
    first.refresh()
    assert first.retries_left == 2
    assert first.worker_name is None
    assert worker.ownership.holder("e1") is None


def test_stopped_engine_ends_as_stopped_with_its_report(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop command ends the job as RQ's own workers end it, and what the engine did is not lost."""
    interrupt(monkeypatch, StopReason.OPERATOR)
    job = queues.place_engine(store, SHORT)
    store.hset(job.key, "retries_left", 2)
    step(make_worker())
    assert job.get_status() is JobStatus.STOPPED
    assert job.id in queues.open_queue(store).failed_job_registry.get_job_ids()
    job.refresh()
    assert job.meta["report"]["ending"] == "stopped"
    assert waiting(store) == []


def test_engine_lost_to_another_worker_writes_nothing(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that wakes up after its job was put back leaves the record to its successor."""
    build = wiring.build_engine
    worker = make_worker("sleeper")
    job = queues.place_engine(store, SHORT)

    def asleep(*args: Any, **values: Any) -> object:
        store.delete(worker.ownership.key("e1"))
        assert make_worker("awake")._recovery.run() == 1
        return build(*args, **values)

    monkeypatch.setattr(wiring, "build_engine", asleep)
    step(worker)
    assert waiting(store) == [job.id]
    assert untouched(store, job)
    assert worker.executions == {}


def test_engine_of_a_dead_worker_is_put_back_once_and_its_orders_are_cancelled(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker
) -> None:
    """Many workers look, one puts the job back; a cleanup job does what the dead worker cannot."""
    job = queues.place_engine(store, SHORT)
    dead = make_worker("dead")
    claimed = dead._claims.next()
    assert claimed is not None
    lease = dead.ownership.acquire("e1")
    assert isinstance(lease, Lease)
    assert dead._placement.start(claimed[1], claimed[0], dead.name, 60) is not None
    first, second = make_worker("first"), make_worker("second")
    assert first._recovery.run() == 0
    assert job.get_status() is JobStatus.STARTED
    store.delete(dead.ownership.key("e1"))
    assert (first._recovery.run(), second._recovery.run()) == (1, 0)
    assert waiting(store) == [job.id]
    assert untouched(store, job)
    cleanup = queues.open_queue(store, "cleanup").jobs
    assert [found.args for found in cleanup] == [[{"engine": "e1", "owner": lease.token}]]


def test_claim_of_a_dead_worker_is_put_back(store: fakeredis.FakeStrictRedis, make_worker: MakeWorker) -> None:
    """A worker that dies between claim and start loses no job; the claim of a living one is left alone."""
    job = queues.place_engine(store, SHORT)
    assert make_worker("dead")._claims.next() is not None
    worker = make_worker("alive", ownership_ms=300)
    assert worker._recovery.run() == 0
    assert waiting(store) == []
    worker._recovery._claims = dict.fromkeys(worker._recovery._claims, 0)
    assert worker._recovery.run() == 1
    assert waiting(store) == [job.id]
    assert untouched(store, job)


def test_claim_that_was_put_back_meanwhile_is_not_started(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker
) -> None:
    """The start is won by whoever holds the claim, and the engine is free for that one."""
    job = queues.place_engine(store, SHORT)
    worker = make_worker()
    claimed = worker._claims.next()
    assert claimed is not None
    worker._placement.put_back(claimed[1], job.id)
    worker.execute_job(*claimed)
    assert waiting(store) == [job.id]
    assert untouched(store, job)
    assert worker.ownership.holder("e1") is None


class Ended(BaseException):
    """Stands for the end of the process."""


def test_worker_that_cannot_end_in_time_puts_its_engine_back_and_keeps_its_ownership(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends without its main thread: the job is not lost, and nobody starts it before the lease is over."""

    def leave(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", leave)
    job = queues.place_engine(store, SHORT)
    worker = make_worker()

    def hang(*_: object, **__: object) -> None:
        with pytest.raises(Ended, match="75"):
            worker._overrun()
        assert waiting(store) == [job.id]
        assert untouched(store, job)
        assert worker.ownership.holder("e1") is not None
        raise Ended

    monkeypatch.setattr(wiring, "build_feed", hang)
    step(worker)
    assert untouched(store, job)


def test_wrong_specification_fails_in_one_line(store: fakeredis.FakeStrictRedis, make_worker: MakeWorker) -> None:
    """A mistake in a job is told as a mistake, without a traceback, and the agent does not change for it."""
    job = queues.place_engine(store, {**SHORT, "feed": {"kind": "replay", "files": ["/nowhere/ticks.zip"]}})
    step(make_worker())
    assert job.get_status() is JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert "/nowhere/ticks.zip" in str(result.exc_string)
    assert "Traceback" not in str(result.exc_string)


def test_job_that_exits_does_not_end_the_worker(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SystemExit out of a job is a failed job."""

    def leave(_venues: object, _account: str) -> object:
        raise SystemExit(3)

    monkeypatch.setattr(wiring.Venues, "of", leave)
    job = queues.cancel_orders(store, {"engine": "e1"})
    step(make_worker())
    assert job.get_status() is JobStatus.FAILED
