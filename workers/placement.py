"""Moving a job between waiting, claimed and started, so that it is in exactly one of these places at any instant.

    queue (list) --take--> intermediate (list) --start--> started registry (zset) --> finished | failed
       ^                        |                             |
       +-------put_back---------+---------requeue-------------+

Each arrow is one script or one transaction, and each is won by one caller: a worker that was paused and wakes up
finds its claim gone and leaves the job alone. RQ's own dequeue pops from several queues at once and loses the job
of a worker that dies right after; and it cannot leave one job where it is while taking the next.
"""

from __future__ import annotations

from collections.abc import Iterable

import redis
from redis import Redis
from redis.exceptions import WatchError
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.queue import Queue
from rq.utils import as_text, now

from workers.cleanups import Cleanups
from workers.ownership import Ownership
from workers.scripts import script

__all__ = ["ABANDONED", "Placement"]

ABANDONED = "abandoned"
"""Given instead of a token: requeue only if nobody owns the engine."""

_DEPTH = 64
_ATTEMPTS = 50


class Placement:
    """The moves, on one connection."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._take = script(connection, "take")
        self._put_back = script(connection, "put_back")
        self._requeue = script(connection, "requeue")

    def take(self, queue: Queue, skip: Iterable[str] = ()) -> str | None:
        """Claims the first job of `queue` that is not in `skip`; its id, or None."""
        found = self._take([queue.key, queue.intermediate_queue_key], [_DEPTH, *skip])
        return None if found is None else as_text(found)

    def drop_claim(self, queue: Queue, job_id: str) -> None:
        """Forgets a claim on a job that no longer exists."""
        self._connection.lrem(queue.intermediate_queue_key, 1, job_id)

    def put_back(self, queue: Queue, job_id: str) -> bool:
        """Returns a claimed job to the front of its queue; False when the claim was gone."""
        return bool(self._put_back([queue.key, queue.intermediate_queue_key], [job_id]))

    def start(self, queue: Queue, job: Job, worker_name: str, ttl_s: int) -> Execution | None:
        """Turns the claim into a started execution with all of RQ's records; None when the claim was gone.

        Raises:
            redis.RedisError: Redis did not answer, or the list changed under us too many times.
        """
        claims = queue.intermediate_queue_key
        for _ in range(_ATTEMPTS):
            with self._connection.pipeline() as pipe:
                try:
                    pipe.watch(claims)  # type: ignore[no-untyped-call]
                    if pipe.lpos(claims, job.id) is None:
                        return None
                    pipe.multi()
                    pipe.lrem(claims, 1, job.id)
                    execution = Execution.create(job, ttl_s, pipe, worker_name=worker_name)
                    job.heartbeat(now(), ttl_s, pipeline=pipe)
                    job.prepare_for_execution(worker_name, pipeline=pipe)
                    pipe.persist(job.key)
                    pipe.execute()
                    return execution
                except WatchError:
                    continue  # another worker claimed or started meanwhile
        raise redis.RedisError(f"job {job.id} could not be started: its queue changed {_ATTEMPTS} times in a row")

    def requeue(
        self, queue: Queue, job: Job, execution: Execution, owner_key: str, token: str, released_key: str = ""
    ) -> int:
        """Returns a started job to the front of its queue, untouched. Answers as `lua/requeue.lua` says.

        `released_key` is where giving back the ownership under `token` is noted; see `Lease.released_key`.
        """
        return self._requeued(queue, job, execution, [owner_key, released_key, "", "", "", ""], [token, ""])

    def requeue_abandoned(
        self, queue: Queue, job: Job, execution: Execution, ownership: Ownership, cleanups: Cleanups, engine: str
    ) -> int:
        """The same for a job whose worker died, provided that nobody owns `engine`; what its last owner left at the
        venue is noted in the same step."""
        notes = [cleanups.due_key, cleanups.key(engine), cleanups.cleaned_key]
        keys = [ownership.key(engine), "", ownership.tokens_key, *notes]
        return self._requeued(queue, job, execution, keys, [ABANDONED, engine])

    def _requeued(self, queue: Queue, job: Job, execution: Execution, more: list[str], args: list[str]) -> int:
        keys = [
            job.started_job_registry.key,
            queue.key,
            job.key,
            execution.key,
            ExecutionRegistry(job.id, self._connection).key,
            execution.worker_executions_key,
            *more,
        ]
        return int(self._requeue(keys, [job.id, execution.id, *args]))

    def started(self, job: Job, execution: Execution) -> bool:
        """Whether the execution is still the one on record: nobody put the job back or gave it up."""
        score = self._connection.zscore(job.started_job_registry.key, execution.composite_key)
        return score is not None
