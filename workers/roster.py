"""Where each engine of a queue is, placing one exactly once, and taking it off again: for whoever runs a whole fleet.

    nowhere --place_once--> waiting --(a worker)--> claimed --> running --(its end, a stop)--> nowhere
       ^                       |                                   |
       +------- withdraw ------+----------- ask_to_stop -----------+

A look sees the three places in one step, so an engine on its way from one to the next is never overlooked. Placing and
withdrawing are won only if nothing moved since the look they rest on. RQ's stop command is a message that may be lost,
and a worker that leaves puts its engine back; so whoever wants an engine gone looks and asks again until it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import redis
from redis.client import Pipeline
from redis.exceptions import WatchError
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import as_text
from rq.worker_registration import get_keys

from workers.allow import engine_of
from workers.cleanups import Cleanups
from workers.ownership import Ownership
from workers.placement import Placement
from workers.queues import ENGINE_JOB, ENGINES, open_queue, place_engine
from workers.spec import EngineSpec, parse

__all__ = ["Place", "Placed", "Roster"]

_ATTEMPTS = 50


class Place(StrEnum):
    """Where an engine's job is."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Placed:
    """One job that places an engine. `execution` tells its run from others, where it runs. `spec` is what its record
    says of the engine, as somebody wrote it: to be checked before it is believed."""

    engine: str
    job_id: str
    place: Place
    execution: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


class Roster:
    """The engines of one queue. `prefix` is WORKERS_PREFIX. Every method raises redis.RedisError without an answer."""

    def __init__(self, connection: redis.Redis, *, queue: str = ENGINES, prefix: str = "workers") -> None:
        self._connection = connection
        self._queue = open_queue(connection, queue)
        self._placement = Placement(connection)
        self._ownership = Ownership(connection, "roster", prefix=prefix)
        self._cleanups = Cleanups(connection, prefix)

    # ---- looking ----

    def look(self) -> tuple[Placed, ...]:
        """Every engine on the queue or off it in a worker, in the order of the queue, those that run first."""
        with self._connection.pipeline(transaction=True) as pipe:
            self._read(pipe)
            return self._named(pipe.execute())

    def of(self, engine: str) -> tuple[Placed, ...]:
        """The jobs that place this engine."""
        return tuple(placed for placed in self.look() if placed.engine == engine)

    def known(self, engine: str) -> bool:
        """Whether the engine was ever run by a worker of this fleet."""
        return bool(self._connection.hexists(self._ownership.tokens_key, engine))

    def workers(self) -> int:
        """How many living worker processes serve the queue."""
        keys = get_keys(queue=self._queue)
        return sum(bool(self._connection.exists(key)) for key in keys)

    def outcome(self, job_id: str) -> tuple[str, Mapping[str, Any], str]:
        """How a job ended: RQ's word for it ("gone" without a record), its report, and the reason of a failure."""
        try:
            job = self._queue.job_class.fetch(job_id, connection=self._connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return "gone", {}, ""
        status = job.get_status(refresh=False).value
        result = job.latest_result() if status in ("failed", "finished") else None
        lines = str(result.exc_string or "").strip().splitlines() if result else []
        report = job.meta.get("report") or (result.return_value if result else None)
        return status, report if isinstance(report, dict) else {}, lines[-1] if lines and status == "failed" else ""

    # ---- placing and taking off ----

    def place_once(self, spec: dict[str, Any]) -> tuple[Placed, bool]:
        """Enqueues the engine unless it is somewhere already; where it is, and whether it was placed now.

        Raises:
            InvalidInput: the specification breaks a rule.
        """
        name = parse(EngineSpec, spec).name
        for _ in range(_ATTEMPTS):
            with self._connection.pipeline() as pipe:
                try:
                    pipe.watch(*self._keys)  # type: ignore[no-untyped-call]
                    found = next((one for one in self._seen(pipe) if one.engine == name), None)
                    if found is not None:
                        return found, False
                    pipe.multi()
                    job = place_engine(self._connection, spec, queue=self._queue.name, pipeline=pipe)
                    pipe.execute()
                    return Placed(name, job.id, Place.WAITING), True
                except WatchError:
                    continue  # an engine moved: look again
        raise redis.RedisError(f"engine {name} could not be placed: its queue changed {_ATTEMPTS} times in a row")

    def withdraw(self, placed: Placed) -> bool:
        """Takes an engine off the queue that still waits there; False when it does not wait any more."""
        job = self._fetch(placed.job_id)
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(self._queue.key)  # type: ignore[no-untyped-call]
                if pipe.lpos(self._queue.key, placed.job_id) is None:
                    return False
                pipe.multi()
                pipe.lrem(self._queue.key, 0, placed.job_id)
                if job is not None:
                    job.delete(pipeline=pipe)
                pipe.execute()
                return True
            except WatchError:
                return False

    def ask_to_stop(self, placed: Placed) -> None:
        """Sends RQ's stop command to the worker that runs the engine: it cancels its orders and ends as stopped. Where
        that worker is dead, and its ownership has run out, the engine is put back on its queue instead, as any living
        worker would do, and what it left at its venue is noted to be cancelled."""
        job = self._fetch(placed.job_id)
        if job is None or self._put_back(job, placed):
            return
        try:
            send_stop_job_command(self._connection, placed.job_id, serializer=JSONSerializer)
        except (InvalidJobOperation, NoSuchJobError):
            pass  # it has just ended, or was just put back: the next look tells

    # ---- inside ----

    def _put_back(self, job: Job, placed: Placed) -> bool:
        """Whether the engine was left behind by a dead worker and is back on its queue now."""
        if not self.known(placed.engine):
            return (
                False  # nobody ever owned it under this prefix, so ours is not the fleet's: nothing follows from that
            )
        execution = Execution(placed.execution, placed.job_id, self._connection, job.worker_name or "")
        queue, owned = self._queue, self._ownership
        found = self._placement.requeue_abandoned(queue, job, execution, owned, self._cleanups, placed.engine)
        return found != -1

    @property
    def _keys(self) -> tuple[str, str, str]:
        return self._queue.key, self._queue.intermediate_queue_key, self._queue.started_job_registry.key

    def _read(self, pipe: Pipeline) -> None:
        waiting, claimed, running = self._keys
        pipe.lrange(waiting, 0, -1)
        pipe.lrange(claimed, 0, -1)
        pipe.zrange(running, 0, -1)

    def _seen(self, pipe: Pipeline) -> tuple[Placed, ...]:
        """A look on a watching pipeline, which answers at once."""
        waiting, claimed, running = self._keys
        return self._named([pipe.lrange(waiting, 0, -1), pipe.lrange(claimed, 0, -1), pipe.zrange(running, 0, -1)])

    def _named(self, found: Any) -> tuple[Placed, ...]:
        waiting, claimed, running = cast("list[list[bytes]]", found)
        jobs: list[tuple[str, Place, str]] = []
        for member in running:
            job_id, _, execution = as_text(member).partition(":")
            jobs.append((job_id, Place.RUNNING, execution))
        jobs += [(as_text(one), Place.CLAIMED, "") for one in claimed]
        jobs += [(as_text(one), Place.WAITING, "") for one in waiting]
        placed = []
        for job_id, place, execution in jobs:
            # Others on this queue carry orders, and there may be many of them.
            job = self._fetch(job_id) if job_id.startswith(ENGINE_JOB) else None
            if job is not None and (engine := engine_of(job)) is not None:
                placed.append(Placed(engine, job_id, place, execution, job.args[0]))
        return tuple(placed)

    def _fetch(self, job_id: str) -> Job | None:
        try:
            return self._queue.job_class.fetch(job_id, connection=self._connection, serializer=JSONSerializer)
        except NoSuchJobError:
            return None
        except redis.RedisError:
            raise
        except Exception:  # a record that cannot be read places no engine; a worker sets it aside
            return None
