"""A worker that takes an engine whose last owner never gave it back."""

from __future__ import annotations

import threading
from typing import Any

import fakeredis
import pytest
from rq.job import JobStatus

from tests.unit.workers_rq.doubles import SHORT, MakeWorker, step
from workers import queues, wiring
from workers.ownership import Lease, Ownership
from workers.runtime import StopReason

LIFE_MS = 1500
"""Waited for in full, and long enough that the worker which waits renews its own lease in time on a busy machine."""


def lose(store: fakeredis.FakeStrictRedis, life_ms: int) -> Lease:
    """The lease of an owner that still believes in it while its record is gone."""
    ownership = Ownership(store, "before", life_ms=life_ms)
    lease = ownership.acquire("e1")
    assert isinstance(lease, Lease)
    store.delete(ownership.key("e1"))
    return lease


def test_engine_starts_only_when_its_former_owner_cannot_act_any_more(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job waits before its function is called, with its lease renewed, and then runs to its end."""
    worker = make_worker(ownership_ms=LIFE_MS)
    worker._heart.start()
    job = queues.place_engine(store, SHORT)
    former = lose(store, LIFE_MS)
    believed: list[bool] = []
    build = wiring.build_feed

    def built(spec: Any) -> Any:
        believed.append(former.owns())
        return build(spec)

    monkeypatch.setattr(wiring, "build_feed", built)
    try:
        step(worker)
    finally:
        worker._heart.stop()
    assert believed == [False]
    assert job.get_status() is JobStatus.FINISHED


def test_worker_told_to_drain_while_it_waits_puts_the_engine_back(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait does not hold up a drain; and the next worker has to wait as well."""
    worker = make_worker(ownership_ms=600_000)
    job = queues.place_engine(store, SHORT)
    lose(store, 600_000)
    watch = worker._heart.watch

    def drain() -> None:
        assert worker._claimed is not None
        worker._claimed.runtime.stop(StopReason.DRAIN)

    def watched(running: Any) -> None:
        watch(running)
        if running is not None:
            threading.Timer(0.05, drain).start()

    monkeypatch.setattr(worker._heart, "watch", watched)
    step(worker)
    assert queues.open_queue(store).get_job_ids() == [job.id]
    assert worker.ownership.holder("e1") is None
    successor = Ownership(store, "after").acquire("e1")
    assert isinstance(successor, Lease)
    assert not successor.owns()
