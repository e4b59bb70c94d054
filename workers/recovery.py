"""Engines and claims that dead workers left behind go back to the front of their queue.

An engine is started only after its ownership was taken, and its ownership is given back only after it left the
registry of started jobs. So a started engine without an owner is one whose worker died, froze or lost its
connection for longer than the lease: it may run elsewhere. RQ by itself would mark it failed after its own, longer
time. Every worker looks, one wins. What the dead worker left at the venue is cancelled by a job of the cleanup queue,
also where its engine lies on a queue that this worker does not serve.
"""

from __future__ import annotations

from typing import cast

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.utils import as_text

from killswitch import InvalidInput, clock
from workers import logs, queues
from workers.allow import engine_of
from workers.cleanups import Cleanups
from workers.ownership import Ownership
from workers.placement import Placement
from workers.scripts import script

__all__ = ["Recovery"]

_NS_PER_MS = 1_000_000


class Recovery:
    """Looks through `watched` queues, and at the `cleanups` that are due, which become jobs of the cleanup queue."""

    def __init__(self, connection: Redis, watched: list[Queue], ownership: Ownership, cleanups: Cleanups) -> None:
        self._connection = connection
        self._queues = watched
        self._ownership = ownership
        self._placement = Placement(connection)
        self._cleanups = cleanups
        self._claims: dict[str, int] = {}
        self._retry = script(connection, "retry_due")
        self._log = logs.get()

    def run(self) -> int:
        """One look at everything; how many jobs were put back. Raises redis.RedisError when Redis does not answer."""
        returned = sum(self._abandoned(queue) + self._stale_claims(queue) for queue in self._queues)
        for queue in self._queues:  # RQ leaves this to a scheduler, a process of its own
            self._retry([queue.scheduled_job_registry.key, queue.key], [queue.job_class.redis_job_namespace_prefix])
        self._cleanups.add_dead(self._ownership)
        self._clean_up()
        return returned

    def _abandoned(self, queue: Queue) -> int:
        found = cast("list[bytes]", self._connection.zrange(queue.started_job_registry.key, 0, -1))
        returned = 0
        for member in found:
            execution = Execution.from_composite_key(as_text(member), self._connection)
            job = self._fetch(queue, execution.job_id)
            engine = engine_of(job) if job else None
            if job is None or engine is None:
                continue  # other jobs are left to RQ: it marks them failed when their time is over
            dead = self._connection.hget(execution.key, "worker_name") or job.worker_name or ""
            execution.worker_name = as_text(dead)
            put = self._placement.requeue_abandoned(queue, job, execution, self._ownership, self._cleanups, engine)
            if put == 1:
                returned += 1
                self._log.warning(
                    "engine_recovered", engine=engine, job=job.id, queue=queue.name, dead_worker=execution.worker_name
                )
        return returned

    def _clean_up(self) -> None:
        for due in self._cleanups.claim():
            if due.last_job and self._waits(due.last_job):
                continue  # nobody serves the cleanup queue just now: one job is enough
            spec = {"engine": due.engine, "owner": due.token}
            job_id = f"cancel-{due.engine}-{due.token}-{due.number}"
            try:
                queues.cancel_orders(self._connection, spec, job_id=job_id)
            except InvalidInput as error:  # no engine can have this name, so none has sent anything under it
                self._cleanups.done(due.engine, due.token)
                self._log.error("cleanup_refused", engine=due.engine, owner=due.token, reason=str(error))
                continue
            self._cleanups.enqueued(due, job_id)
            self._log.info("cleanup_enqueued", engine=due.engine, owner=due.token, job=job_id)

    def _waits(self, job_id: str) -> bool:
        found = self._fetch(queues.open_queue(self._connection, queues.CLEANUP), job_id)
        return found is not None and found.get_status(refresh=False) is JobStatus.QUEUED

    def _stale_claims(self, queue: Queue) -> int:
        """Claims seen for longer than an ownership lasts, by this process's clock: the worker died before the start."""
        ids = set(map(as_text, self._connection.lrange(queue.intermediate_queue_key, 0, -1)))
        now_ns = clock.now_ns()
        mine = {f"{queue.name} {job_id}": job_id for job_id in ids}
        for key in [key for key in self._claims if key.startswith(f"{queue.name} ") and key not in mine]:
            del self._claims[key]
        returned = 0
        for key, job_id in mine.items():
            age_ms = (now_ns - self._claims.setdefault(key, now_ns)) // _NS_PER_MS
            if age_ms > self._ownership.life_ms and self._placement.put_back(queue, job_id):
                returned += 1
                self._log.warning("job_claim_recovered", job=job_id, queue=queue.name, age_ms=age_ms)
        return returned

    def _fetch(self, queue: Queue, job_id: str) -> Job | None:
        try:
            return queue.job_class.fetch(job_id, connection=self._connection, serializer=queue.serializer)
        except NoSuchJobError:
            return None
        except Exception:  # a record that cannot be read is no engine we started
            return None
