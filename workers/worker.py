"""An RQ worker for engines: jobs run in this process under one agent, and gated queues wait during a halt.

RQ's own worker forks for each job, which a watcher thread and its sockets do not survive, and kills the fork to
stop it, which gives an engine no chance to cancel its orders. RQ's in-process worker sends no heartbeat while a job
runs and ignores the stop command. Here the main thread runs the engine; `heart` keeps the records alive; `drain`
ends the process.

A closed gate leaves jobs where they are: nothing is popped. If the gate closes between the claim and the start, the
claim is put back to the front of the queue. Once started, an engine is held by its gates, not by its queue.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import redis
from redis import Redis
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.timeouts import JobTimeoutException
from rq.worker import WorkerStatus

from killswitch import clock
from workers.agents import AgentHolder
from workers.allow import engine_of
from workers.claims import Claims
from workers.cleanups import Cleanups
from workers.drain import Drain
from workers.heart import Heart, Running
from workers.jobs import WorkerJob
from workers.notices.desk import Desk
from workers.notices.outbox import Outbox
from workers.outcomes import Claimed, Ended, leave, settle
from workers.ownership import Holder, Lease, Ownership
from workers.placement import Placement
from workers.record import RecordedWorker
from workers.recovery import Recovery
from workers.runtime import JobRuntime, StopReason
from workers.settings import WorkerSettings
from workers.wiring import Venues

__all__ = ["EngineWorker"]

_FIRST_ANSWER_S = 2.0
_ROUND_MS = 1000
_RETRY_FIRST_S = 0.25
_RETRY_LONGEST_S = 5.0
_SETTLE_S = 30.0
_NS_PER_MS = 1_000_000
_EXIT_IN_FLIGHT = 75
"""EX_TEMPFAIL: the process had to end before its orders in flight did."""


class EngineWorker(RecordedWorker):
    """One worker process. `run` is called once, on the main thread; `connection` and `heart_connection` are its own."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        name: str,
        connection: Redis,
        heart_connection: Redis,
        agents: AgentHolder,
    ) -> None:
        super().__init__(settings, name, connection, WorkerJob)
        self.agents = agents
        self.ownership = Ownership(heart_connection, name, prefix=settings.prefix, life_ms=settings.ownership_ms)
        self._heart_connection = heart_connection
        self.venues = Venues(settings.venue_url, settings.venue_name, settings.admission_journal)
        self._placement = Placement(connection)
        self._claims = Claims(connection, self.queues, self._placement, self._may_serve)
        self._cleanups = Cleanups(connection, settings.prefix)
        self._desk = Desk(settings.webhooks_by_name, Outbox(connection, name, settings.prefix))
        self._recovery = Recovery(connection, self.queues, self.ownership, self._cleanups)
        self._heart = Heart(
            heart_connection,
            self,
            heartbeat_ms=settings.heartbeat_ms,
            record_ttl_s=settings.record_ttl_s,
            ownership_ms=settings.ownership_ms,
            look=partial(Cleanups(heart_connection, settings.prefix).add_dead, self.ownership),
        )
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._drain = Drain(settings.drain_s, wake=self._wake, begin=self._begin_drain, overrun=self._overrun)
        self._claimed: Claimed | None = None
        self._gate_open: bool | None = None
        self._next_round_ns = 0
        agents.on_open(lambda _view: self._wake())

    # ---- the loop, on the main thread ----

    def run(self, *, burst: bool = False) -> int:
        """Serves until a signal, or with `burst` until no job can be started; the exit code of the process."""
        self._drain.install()
        try:
            self.bootstrap()
            self.agents.start()
            self._heart.start()
            if burst:
                self.agents.current.wait_open(timeout_s=_FIRST_ANSWER_S)
            self._serve(burst)
        except StopRequested:
            self._events.info("worker_suspended")
        finally:
            self._end()
        return _EXIT_IN_FLIGHT if self.agents.undrained else 0

    def _serve(self, burst: bool) -> None:
        retry_s = _RETRY_FIRST_S
        while not (self._drain.requested or self.agents.leaving):
            try:
                self._round(burst)
                claimed = self._claims.next()
                if claimed is not None:
                    self.execute_job(*claimed)
                elif burst and not self._opens_soon():
                    self._events.info("worker_burst_done", waiting={q.name: q.count for q in self.queues})
                    return
                else:
                    self._pause(self.settings.poll_ms / 1000)
                retry_s = _RETRY_FIRST_S
            except redis.RedisError as error:
                self._events.error("queue_error", reason=str(error), retry_s=retry_s)
                self._pause(retry_s)
                retry_s = min(retry_s * 2, _RETRY_LONGEST_S)

    def _opens_soon(self) -> bool:
        """Whether a gate that closed for a moment opens again: a stall of this host is not the end of a burst."""
        return not self.agents.open() and self.agents.current.wait_open(timeout_s=_FIRST_ANSWER_S)

    def _round(self, burst: bool) -> None:
        """Once a second: `rq suspend`, RQ's own maintenance, and what dead workers left behind."""
        now_ns = clock.now_ns()
        if now_ns < self._next_round_ns:
            return
        self._next_round_ns = now_ns + min(_ROUND_MS, self.settings.ownership_ms // 3) * _NS_PER_MS
        self.check_for_suspension(burst)
        self.venues.settle()
        self._recovery.run()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def _may_serve(self, queue: str) -> bool:
        if not self.settings.gated(queue):
            return True
        is_open = self.agents.open()
        if is_open is not self._gate_open:
            self._gate_open = is_open
            view = self.agents.current.view
            self._events.info("worker_gate", open=is_open, code=view.code, epoch=view.epoch)
        return is_open and self.venues.settled  # first it must be known what became of the last order

    # ---- one job ----

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Starts a claimed job and runs it to its end, or puts it back untouched."""
        if self._drain.requested or not self._may_serve(queue.name):
            self._claims.put_back(queue, job)  # the gate closed, or the end came, between the claim and the start
            self._events.info("job_put_back", job=job.id, queue=queue.name)
            return
        lease: Lease | None = None
        if (engine := engine_of(job)) is not None:
            held = self.ownership.acquire(engine)
            if isinstance(held, Holder):
                self._claims.pause(queue, job, held)
                return
            lease = held
        execution = self._placement.start(queue, job, self.name, self.settings.record_ttl_s)
        if execution is None:
            self._events.warning("job_claim_lost", job=job.id, queue=queue.name)
            self._release(lease)
            return
        runtime = JobRuntime(job.id, self.agents, lease, venues=self.venues, cleanups=self._cleanups)
        runtime.desk, runtime.tries_left = self._desk, job.retries_left or 0
        self._run_started(Claimed(job, queue, execution, runtime))

    def _run_started(self, claimed: Claimed) -> None:
        runtime, job = claimed.runtime, claimed.job
        self._claims.forget(job)
        self._stopped_job_id = None
        self._claimed = claimed
        self.executions[claimed.execution.id] = claimed.execution
        self._heart.watch(
            Running(job, claimed.execution, runtime.lease, lambda: runtime.stop(StopReason.OWNERSHIP_LOST))
        )
        self.show_state(WorkerStatus.BUSY)
        lease = runtime.lease
        engine, token = (lease.engine, lease.token) if lease else (None, None)
        self._events.info("job_started", job=job.id, queue=claimed.queue.name, engine=engine, token=token)
        if self._drain.requested:  # the drain may have looked for a job just before this one was there
            runtime.stop(StopReason.DRAIN)
        try:
            self._settle(claimed, self._perform(claimed) if runtime.alone() else Ended())
        finally:
            self._heart.watch(None)
            self._claimed = None
            self.show_state(WorkerStatus.IDLE)
            self._release(runtime.lease)

    def _perform(self, claimed: Claimed) -> Ended:
        job = claimed.job
        limit = job.timeout if job.timeout and job.timeout > 0 else None
        penalty = self.death_penalty_class(limit, JobTimeoutException, job_id=job.id) if limit else nullcontext()
        try:
            with claimed.runtime.active(), penalty:
                return Ended(value=job.perform())
        except BaseException as error:  # also SystemExit: a job does not end the worker
            return Ended(error=error)

    def _settle(self, claimed: Claimed, ended: Ended) -> None:
        """Records the outcome, for a while also against an unreachable Redis; what is not recorded is recovered."""
        deadline_ns = clock.now_ns() + int(_SETTLE_S * 1e9)
        while True:
            try:
                settle(self, self._placement, self.ownership, claimed, ended)
                return
            except redis.RedisError as error:
                if clock.now_ns() > deadline_ns:
                    self._events.error("job_unsettled", job=claimed.job.id, reason=str(error))
                    return
                self._pause(_RETRY_FIRST_S)
            except Exception as error:  # a result that JSON cannot hold, for one
                if ended.error is not None:
                    raise
                ended = Ended(error=error)

    def _release(self, lease: Lease | None) -> None:
        if lease is None:
            return
        try:
            lease.release()
        except redis.RedisError as error:
            self._events.warning("engine_not_released", engine=lease.engine, reason=str(error))

    # ---- the end ----

    def _begin_drain(self, signal_name: str) -> None:
        """On the drain's thread."""
        self._stop_requested = True
        self.agents.leaving = True
        claimed = self._claimed
        job_id = claimed.job.id if claimed else None
        self._events.info("worker_draining", signal=signal_name, job=job_id, limit_s=self.settings.drain_s)
        if claimed is not None:
            claimed.runtime.stop(StopReason.DRAIN)

    def _overrun(self) -> None:
        """On the drain's thread: the main thread did not end in time, so the process ends without it.

        The registry entry stays, so `--wait` sees what was in flight, and the ownership is left to run out.
        """
        claimed = self._claimed
        self._events.error("worker_drain_overrun", job=claimed.job.id if claimed else None)
        try:
            if claimed is not None:
                connection = self._heart_connection
                leave(Placement(connection), Cleanups(connection, self.settings.prefix), claimed)
        except redis.RedisError as error:
            self._events.error("job_unsettled", job=claimed.job.id if claimed else None, reason=str(error))
        sys.stdout.flush()
        os._exit(_EXIT_IN_FLIGHT)

    def _end(self) -> None:
        self.agents.leaving = True
        self.agents.close()
        self.venues.hang_up()
        self._heart.stop()
        try:
            self.teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            self._events.warning("worker_not_unregistered", reason=str(error))
        self._drain.done()
        self._events.info("worker_ended", drained=not self.agents.undrained)

    def _wake(self) -> None:
        self._wakes.put(None)

    def _pause(self, seconds: float) -> None:
        with suppress(Empty):
            self._wakes.get(timeout=seconds)

    def clean_registries(self) -> None:
        """RQ's maintenance, after ours: what RQ would call abandoned may be an engine that can go on elsewhere."""
        self._recovery.run()
        super().clean_registries()  # type: ignore[no-untyped-call]

    def kill_horse(self, *_: Any, **__: Any) -> None:
        """RQ's stop command, on its pubsub thread. There is no process to kill: the job is told to stop."""
        claimed = self._claimed
        if claimed is not None and claimed.job.id == self._stopped_job_id:
            self._events.info("job_stop_requested", job=claimed.job.id)
            claimed.runtime.stop(StopReason.OPERATOR)
