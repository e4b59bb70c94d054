"""Which job an idle worker claims next: the first of the first queue that may be served now.

Jobs whose engine is owned by a living worker keep their place and are looked at again after a growing pause; the
ones behind them are not held up. A record that cannot be read is set aside as failed, so that it cannot stop worker
after worker.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.utils import current_timestamp

from killswitch import clock
from workers import logs
from workers.ownership import Holder
from workers.placement import Placement

__all__ = ["Claims"]

_FIRST_PAUSE_MS = 250
_LONGEST_PAUSE_MS = 5_000
_NS_PER_MS = 1_000_000
_SET_ASIDE_S = 31_536_000


class Claims:
    """Claims from `queues`; `may_serve(queue name)` says whether a queue may be served now."""

    def __init__(
        self, connection: Redis, queues: list[Queue], placement: Placement, may_serve: Callable[[str], bool]
    ) -> None:
        self._connection = connection
        self._queues = queues
        self._placement = placement
        self._may_serve = may_serve
        self._pauses: dict[str, tuple[int, int]] = {}  # job id -> (until, length in ms)
        self._log = logs.get()

    def next(self) -> tuple[Job, Queue] | None:
        """Claims a job, or None when there is none to serve now. Raises redis.RedisError."""
        now_ns = clock.now_ns()
        paused = [job_id for job_id, (until_ns, _) in self._pauses.items() if now_ns < until_ns]
        for queue in self._queues:
            while self._may_serve(queue.name):
                job_id = self._placement.take(queue, paused)
                if job_id is None:
                    break
                job = self._read(queue, job_id)
                if job is not None:
                    return job, queue
        return None

    def put_back(self, queue: Queue, job: Job) -> None:
        """Returns a claimed job to the front of its queue."""
        self._placement.put_back(queue, job.id)

    def pause(self, queue: Queue, job: Job, holder: Holder) -> None:
        """Returns a claimed job whose engine `holder` has to the front of its queue; skips it for a while."""
        _, last_ms = self._pauses.get(job.id, (0, _FIRST_PAUSE_MS // 2))
        length_ms = min(last_ms * 2, _LONGEST_PAUSE_MS)
        self._pauses[job.id] = (clock.now_ns() + length_ms * _NS_PER_MS, length_ms)
        self._placement.put_back(queue, job.id)
        if length_ms != last_ms:  # said a few times, not for ever
            self._log.warning(
                "engine_owned_elsewhere", job=job.id, owner=holder.owner, left_ms=holder.left_ms, pause_ms=length_ms
            )

    def forget(self, job: Job) -> None:
        """The job was started here: its pauses are over."""
        self._pauses.pop(job.id, None)

    def _read(self, queue: Queue, job_id: str) -> Job | None:
        try:
            return queue.job_class.fetch(job_id, connection=self._connection, serializer=queue.serializer)
        except NoSuchJobError:
            self._placement.drop_claim(queue, job_id)
            self._log.warning("job_vanished", job=job_id, queue=queue.name)
        except redis.RedisError:
            raise
        except Exception as error:  # RQ reads a mangled record with whatever its parsers raise, asserts included
            self._set_aside(queue, job_id)
            self._log.error("job_unreadable", job=job_id, queue=queue.name, reason=repr(error))
        return None

    def _set_aside(self, queue: Queue, job_id: str) -> None:
        with self._connection.pipeline() as pipe:
            pipe.lrem(queue.intermediate_queue_key, 1, job_id)
            pipe.hset(queue.job_class.key_for(job_id), "status", JobStatus.FAILED)
            pipe.zadd(queue.failed_job_registry.key, {job_id: current_timestamp() + _SET_ASIDE_S})
            pipe.execute()
