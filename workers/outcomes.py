"""What becomes of a job once its function has returned or raised. Exactly one of these, and only while the job is
ours:

finished   the function returned, its work done            -> result kept
failed     it raised                                        -> failed registry, the reason first
retried    it raised, and has tries left (RQ's Retry)       -> scheduled, for a while
stopped    somebody sent RQ's stop command                  -> STOPPED, in the failed registry, as RQ does it
requeued   the worker drains, or lost the engine            -> front of the queue, tries untouched, no record
superseded another worker put the job back or runs it now   -> nothing is written
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import redis
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.worker.base import BaseWorker

from killswitch import InvalidInput, KillSwitchError
from workers import logs
from workers.cleanups import Cleanups
from workers.ownership import Ownership
from workers.placement import Placement
from workers.runtime import JobRuntime, StopReason

__all__ = ["Claimed", "Ended", "leave", "settle"]

_REPORT_FIELDS = ("ending", "ticks", "signals", "orders", "fills", "cancelled")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A started job: what RQ calls it, and what we hold for it."""

    job: Job
    queue: Queue
    execution: Execution
    runtime: JobRuntime


@dataclass(frozen=True, slots=True)
class Ended:
    """How the function ended: a value, or the error it raised."""

    value: Any = None
    error: BaseException | None = None


def settle(worker: BaseWorker, placement: Placement, ownership: Ownership, claimed: Claimed, ended: Ended) -> str:
    """Records the outcome in the queue's Redis and says which it was. May be repeated after a lost connection.

    Raises:
        redis.RedisError: Redis did not answer; the outcome may have been recorded.
    """
    job, runtime = claimed.job, claimed.runtime
    log = logs.get(job=job.id, queue=claimed.queue.name, **_numbers(ended.value))
    if not placement.started(job, claimed.execution):
        worker.executions.pop(claimed.execution.id, None)
        log.error("job_superseded")
        return "superseded"
    unfinished = runtime.interrupted or (ended.error is not None and runtime.stop_reason is not None)
    if unfinished and runtime.stop_reason is StopReason.OPERATOR:
        _stopped(worker, claimed, ended)
        _recorded(placement, claimed)
        log.warning("job_stopped", reason=str(StopReason.OPERATOR))
        return "stopped"
    if unfinished or not runtime.owns():
        reason = runtime.stop_reason or StopReason.OWNERSHIP_LOST
        _requeue(worker, placement, ownership, claimed)
        log.warning("job_requeued", reason=str(reason), error=repr(ended.error) if ended.error else None)
        return "requeued"
    if ended.error is not None:
        _failed(worker, claimed, ended.error)
        _recorded(placement, claimed)
        if runtime.tries_left:
            log.warning("job_to_be_tried_again", reason=_reason(ended.error), tries_left=runtime.tries_left)
            return "retried"
        refused = isinstance(ended.error, KillSwitchError | InvalidInput)
        log.error("job_refused" if refused else "job_failed", reason=_reason(ended.error))
        return "failed"
    worker.handle_execution_ended(job, claimed.queue, 0)
    worker.handle_job_success(job, claimed.queue, job.started_job_registry, claimed.execution)
    log.info("job_finished")
    return "finished"


def leave(placement: Placement, cleanups: Cleanups, claimed: Claimed) -> None:
    """The process ends in the middle of the job: it goes back to its queue, its ownership is left to run out, and what
    its engine has at the venue is noted for others to cancel. Raises redis.RedisError."""
    placement.requeue(claimed.queue, claimed.job, claimed.execution, claimed.job.key, "")
    if (lease := claimed.runtime.lease) is not None:
        cleanups.add(lease.engine, lease.token)


def _requeue(worker: BaseWorker, placement: Placement, ownership: Ownership, claimed: Claimed) -> None:
    lease = claimed.runtime.lease
    owner_key, token, released_key = claimed.job.key + ":none", "", ""
    if lease is not None:
        lease.drop()  # from here on the engine may be somebody else's
        owner_key, token = ownership.key(lease.engine), str(lease.token)
        released_key = lease.released_key()
    placement.requeue(claimed.queue, claimed.job, claimed.execution, owner_key, token, released_key)
    worker.executions.pop(claimed.execution.id, None)


def _stopped(worker: BaseWorker, claimed: Claimed, ended: Ended) -> None:
    job = claimed.job
    if isinstance(ended.value, dict):
        job.meta["report"] = ended.value  # RQ keeps no return value of a stopped job
        job.save_meta()  # type: ignore[no-untyped-call]
    worker._stopped_job_id = job.id  # RQ's mark that this is STOPPED and not FAILED
    worker.handle_execution_ended(job, claimed.queue, 0)
    worker.handle_job_failure(job, claimed.queue, exc_string="Job stopped by user.", execution=claimed.execution)


def _failed(worker: BaseWorker, claimed: Claimed, error: BaseException) -> None:
    worker._stopped_job_id = None
    worker.handle_execution_ended(claimed.job, claimed.queue, 0)
    worker.handle_job_failure(claimed.job, claimed.queue, exc_string=_reason(error), execution=claimed.execution)


def _recorded(placement: Placement, claimed: Claimed) -> None:
    """RQ logs and swallows the error when it cannot write down a failure; the registry tells."""
    if placement.started(claimed.job, claimed.execution):
        raise redis.ConnectionError(f"the failure of job {claimed.job.id} was not recorded")


def _reason(error: BaseException) -> str:
    """One line for what was refused, the whole traceback for what was not foreseen."""
    if isinstance(error, KillSwitchError | InvalidInput | OSError):
        return f"{type(error).__name__}: {error}"
    return "".join(traceback.format_exception(error))


def _numbers(value: Any) -> dict[str, Any]:
    return {name: value[name] for name in _REPORT_FIELDS if name in value} if isinstance(value, dict) else {}
