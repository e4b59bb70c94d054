"""The part of a worker that RQ sees: its entry, its state, its commands. Nothing in here starts or ends a job."""

from __future__ import annotations

from typing import Any

import redis
from redis import Redis
from redis.client import Pipeline
from rq import worker_registration
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker, WorkerStatus

from killswitch import clock
from workers import logs
from workers.settings import WorkerSettings

__all__ = ["RecordedWorker"]

_COMMAND_RETRY_S = 0.25


class RecordedWorker(SimpleWorker):
    """RQ's in-process worker with JSON only, short timeouts, and heartbeats that another thread can send for it."""

    def __init__(self, settings: WorkerSettings, name: str, connection: Redis, job_class: type[Job]) -> None:
        self.settings = settings
        self._events = logs.get()
        super().__init__(
            list(settings.queues),
            name=name,
            connection=connection,
            job_class=job_class,
            serializer=JSONSerializer,
            default_result_ttl=settings.result_ttl_s,
            log_job_description=False,
        )

    def run(self, *, burst: bool = False) -> int:
        """Serves until it is told to end; the exit code of the process."""
        raise NotImplementedError

    def work(self, burst: bool = False, *_: Any, **__: Any) -> bool:
        """RQ's entry point: serves as `run` does, whatever else RQ's own options ask for."""
        return self.run(burst=burst) == 0

    def bootstrap(self, *_: Any, **__: Any) -> None:
        """Registers in RQ and listens for its commands; logging is configured elsewhere."""
        self.register_birth()  # type: ignore[no-untyped-call]
        self.subscribe()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)
        self._events.info("worker_started", queues=self.queue_names(), ungated=list(self.settings.ungated_queues))

    def show_state(self, state: WorkerStatus) -> None:
        """Says busy or idle to RQ with the next heartbeat: no trip of its own, and no failure either."""
        self._state = state

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds that the records of a running job live without heartbeat."""
        return self.settings.record_ttl_s

    def beat(self, pipe: Pipeline, ttl_s: int) -> None:
        """See `heart.WorkerRecord`."""
        self.heartbeat(ttl_s, pipeline=pipe)
        pipe.hset(self.key, "state", self.get_state())

    def revive(self, pipe: Pipeline, ttl_s: int) -> None:
        """See `heart.WorkerRecord`."""
        pipe.hset(self.key, mapping=self.serialize())
        pipe.expire(self.key, ttl_s)
        worker_registration.register(self, pipe)

    def _set_connection(self, connection: Redis) -> Redis:
        """Leaves the timeouts alone: RQ raises them to minutes for blocking pops, which are not used here."""
        return connection

    def _pubsub_exception_handler(self, exc: Exception, *_: Any) -> None:
        """Keeps listening for commands, whatever came in or broke."""
        self._events.warning("queue_commands_error", reason=repr(exc))
        if isinstance(exc, redis.RedisError):
            clock.sleep(_COMMAND_RETRY_S)
