"""The job class of the fleet: a job may only name a function of a closed list, and nothing in it is ever imported.

RQ's JSON serializer does not make a queue safe by itself: the job names its function by a dotted path that RQ
imports, so whoever can write the queue's Redis could call `os.system`. Here the name is looked up in a table. For
the same reason an instance to call a method on, callbacks and webhooks are not honoured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rq.job import Job, JobStatus

from killswitch import KillSwitchError

__all__ = ["CANCEL_ORDERS", "RUN_ENGINE", "SEND_NOTICE", "SUBMIT_ORDER", "FleetJob", "JobRefused", "engine_of"]

RUN_ENGINE = "workers.jobs.run_engine"
CANCEL_ORDERS = "workers.jobs.cancel_orders"
SUBMIT_ORDER = "workers.jobs.submit_order"
SEND_NOTICE = "workers.jobs.send_notice"

JobFunction = Callable[..., Any]


class JobRefused(KillSwitchError):
    """A job is not run, whatever the state of the switch: `reason` says why."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(job_id, reason)
        self.job_id = job_id
        self.reason = reason

    def __str__(self) -> str:
        return f"job {self.job_id} refused: {self.reason}"


class FleetJob(Job):
    """A job as clients and tools see it: it can be read and enqueued, but runs nothing."""

    functions: ClassVar[Mapping[str, JobFunction]] = {}

    def allowed(self) -> JobFunction:
        """The function this job names.

        Raises:
            JobRefused: the job cannot be read, names no function of the list, or brings an instance along.
        """
        try:
            name, instance = self.func_name, self.instance
        except Exception as error:  # whatever a serializer raises on bytes that it did not write
            raise JobRefused(self.id, "its data is not JSON of the form [function, null, args, kwargs]") from error
        if instance is not None:
            raise JobRefused(self.id, "it names an object to call a method on; only functions are run")
        function = self.functions.get(name) if isinstance(name, str) else None
        if function is None:
            listed = ", ".join(sorted(self.functions)) or "none"
            raise JobRefused(self.id, f"function {str(name)[:120]!r} is not on the allow-list ({listed})")
        return function

    @property
    def func(self) -> JobFunction:
        """The function to run. Raises JobRefused, see `allowed`."""
        return self.allowed()

    @property
    def success_callback(self) -> None:
        """None: callbacks are not honoured."""
        return None

    @property
    def failure_callback(self) -> None:
        """None: callbacks are not honoured."""
        return None

    @property
    def stopped_callback(self) -> None:
        """None: callbacks are not honoured."""
        return None

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Sends nothing: a job must not choose addresses that the trading host talks to."""


def engine_of(job: Job) -> str | None:
    """Name of the engine that `job` places, or None if it places none (or cannot be read)."""
    try:
        if job.func_name != RUN_ENGINE or not job.args:
            return None
        spec = job.args[0]
    except Exception:  # unreadable data places no engine; running it is refused later, with the reason
        return None
    name = spec.get("name") if isinstance(spec, dict) else None
    return name if isinstance(name, str) and name else None
