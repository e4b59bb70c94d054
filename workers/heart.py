"""The thread that keeps a worker's records alive while its main thread trades: RQ heartbeats and the ownership lease.

It has a Redis connection of its own, so neither a slow command of the main thread nor RQ's settings can hold it up.
While a job runs it also looks for owners of engines that died: the main thread does so when it is idle, and may be
busy for days.
It never closes or opens a gate; if it dies or starves, the lease runs out and the engine stops: the safe side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import redis
from rq.executions import Execution
from rq.job import Job
from rq.utils import now

from killswitch import clock
from workers import logs
from workers.ownership import Lease

__all__ = ["Heart", "Running", "WorkerRecord"]

_RENEWALS_PER_LIFE = 3
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Running:
    """The execution to keep alive, and what the heart calls, once, when it is not ours any more."""

    job: Job
    execution: Execution
    lease: Lease | None
    on_lost: Callable[[], None]


class WorkerRecord(Protocol):
    """The worker's own entry in RQ."""

    def beat(self, pipe: redis.client.Pipeline, ttl_s: int) -> None:
        """Adds the heartbeat to `pipe`; the first command answers 1 when the entry was gone."""
        ...

    def revive(self, pipe: redis.client.Pipeline, ttl_s: int) -> None:
        """Adds the commands that write a lost entry anew."""
        ...


class Heart:
    """Beats from `start` to `stop`, on `connection`, which nobody else uses. While a job runs `look` is called once in
    the life of an ownership; it takes one trip on that connection, so that no lease waits for it."""

    def __init__(
        self,
        connection: redis.Redis,
        worker: WorkerRecord,
        *,
        heartbeat_ms: int,
        record_ttl_s: int,
        ownership_ms: int,
        look: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._worker = worker
        self._heartbeat_ms = heartbeat_ms
        self._ttl_s = record_ttl_s
        self._renew_ms = ownership_ms // _RENEWALS_PER_LIFE
        self._look = look
        self._look_ms = ownership_ms
        self._running: Running | None = None
        self._ending = threading.Event()
        self._unheard = False
        self._thread = threading.Thread(target=self._beat, name="worker-heart", daemon=True)
        self._log = logs.get()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it, at most 2 s."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def watch(self, running: Running | None) -> None:
        """From now on keeps `running` alive; None when the worker is idle."""
        self._running = running

    def _beat(self) -> None:
        next_renew_ns = next_beat_ns = next_look_ns = 0
        lost: Running | None = None
        while not self._ending.wait(min(self._renew_ms, self._heartbeat_ms) / 2000):
            running = self._running
            now_ns = clock.now_ns()
            try:
                ours = True
                if running is not None and running.lease is not None and now_ns >= next_renew_ns:
                    next_renew_ns = now_ns + self._renew_ms * _NS_PER_MS
                    ours = running.lease.renew()
                if now_ns >= next_beat_ns:
                    next_beat_ns = now_ns + self._heartbeat_ms * _NS_PER_MS
                    ours = self._heartbeat(running) and ours
                if ours and running is not None and _is_kept(running) and now_ns >= next_look_ns:
                    next_look_ns = now_ns + self._look_ms * _NS_PER_MS
                    self._look()
                self._heard()
            except redis.RedisError as error:
                self._not_heard(error)
                next_renew_ns = next_beat_ns = 0  # at the next turn: a lease does not wait
                ours = running is None or running.lease is None or running.lease.held()
            if not ours and running is not lost and running is self._running and running is not None:
                lost = running
                self._give_up(running)

    def _give_up(self, running: Running) -> None:
        if running.lease is not None:
            running.lease.drop()
        self._log.error(
            "engine_ownership_lost", job=running.job.id, engine=running.lease.engine if running.lease else None
        )
        running.on_lost()

    def _heartbeat(self, running: Running | None) -> bool:
        """Sends the heartbeats in one trip; False when the execution is not on record any more."""
        with self._connection.pipeline() as pipe:
            self._worker.beat(pipe, self._ttl_s)
            at = len(pipe)
            if running is not None:
                registry = running.job.started_job_registry
                pipe.zscore(registry.key, running.execution.composite_key)
                running.job.heartbeat(now(), self._ttl_s, pipeline=pipe, xx=True)
                running.execution.heartbeat(registry, self._ttl_s, pipe)
            results = pipe.execute()
            if results[0] == 1:
                self._worker.revive(pipe, self._ttl_s)
            on_record = running is None or results[at] is not None
            if running is not None and results[at + 1] == 1:  # the write made the key: the job was deleted meanwhile
                pipe.delete(running.job.key)
            if running is not None and not on_record:  # somebody else has the job: leave no trace of our execution
                pipe.delete(running.execution.key)
            if len(pipe):
                pipe.execute()
        return on_record

    def _not_heard(self, error: redis.RedisError) -> None:
        if not self._unheard:
            self._log.warning("queue_unreachable", error=str(error), thread="heart")
        self._unheard = True

    def _heard(self) -> None:
        if self._unheard:
            self._log.info("queue_back", thread="heart")
        self._unheard = False


def _is_kept(running: Running) -> bool:
    """Whether its engine is not lost: who lost one has an end of its own to see to."""
    return running.lease is None or running.lease.held()
