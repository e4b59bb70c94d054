"""What a running job may use of the worker around it, and how the worker tells the job to stop.

A job function is a plain function named in a queue, so it cannot be handed objects. It asks `current()` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

from killswitch import Agent
from workers import logs
from workers.agents import AgentHolder
from workers.cleanups import Cleanups
from workers.notices.desk import Desk
from workers.ownership import Lease
from workers.wiring import Venues

__all__ = ["JobRuntime", "StopReason", "current"]


_log = logs.get()


class StopReason(StrEnum):
    """Why a job was told to stop before its end."""

    DRAIN = "drain"
    """The worker leaves: the job goes back to the front of its queue."""
    OPERATOR = "operator"
    """Somebody sent RQ's stop command: the job ends as STOPPED."""
    OWNERSHIP_LOST = "ownership_lost"
    """Another worker may run this engine now: nothing more is sent or recorded."""


class JobRuntime:
    """One execution of one job. `stop` may be called from any thread; the job sees it through what it registered."""

    def __init__(
        self,
        job_id: str,
        agents: AgentHolder,
        lease: Lease | None = None,
        *,
        venues: Venues | None = None,
        cleanups: Cleanups | None = None,
    ) -> None:
        self.job_id = job_id
        self.desk: Desk | None = None
        """Where notices are delivered from."""
        self.tries_left = 0
        """How often RQ will try this job again after this time."""
        self.lease = lease
        self.venues = venues or Venues()
        self.cleanups = cleanups
        self.interrupted = False
        """Set by the job: it ended early because it was told to, so its work is not done."""
        self._agents = agents
        self._reason: StopReason | None = None
        self._stoppers: list[Callable[[str], None]] = []
        self._lock = threading.Lock()
        self._told = threading.Event()

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the job was told to stop, or None. The first reason stays, except that a lost ownership overrides it."""
        return self._reason

    @property
    def agent(self) -> Agent:
        """The agent of this process."""
        return self._agents.current

    def owns(self) -> bool:
        """Whether this process may act for the engine of this job: one clock comparison."""
        return self.lease is None or self.lease.owns()

    def alone(self) -> bool:
        """Waits until no former owner of the engine can act any more; False when told to stop before that.

        Nothing to wait for when the engine was given back; otherwise at most one life of an ownership.
        """
        wait_s = self.lease.wait_s() if self.lease else 0.0
        if self.lease is None or not wait_s:
            return True
        _log.warning("engine_not_given_back", engine=self.lease.engine, job=self.job_id, wait_s=round(wait_s, 3))
        while wait_s:
            if self._told.wait(wait_s):
                self.interrupted = True
                return False
            wait_s = self.lease.wait_s()
        return True

    @contextmanager
    def agent_for(self, engine: str, scopes: tuple[str, ...]) -> Iterator[Agent]:
        """The agent of this process, following also `scopes`, while the block runs. See `AgentHolder`."""
        with self._agents.serving(engine, scopes, **self.venues.said(engine)) as agent:
            yield agent

    def agent_sending_to(self, account: str) -> Agent:
        """The agent of this process, with the place of `account` in its entry. Raises NotDrained."""
        return self._agents.saying(**self.venues.said(account))

    def on_stop(self, stopper: Callable[[str], None]) -> None:
        """`stopper(reason)` is called once when the job is to stop, at once if it was told already; from any thread."""
        with self._lock:
            reason = self._reason
            if reason is None:
                self._stoppers.append(stopper)
        if reason is not None:
            stopper(str(reason))

    def stop(self, reason: StopReason) -> None:
        """Tells the job to stop. Only the first call reaches it; a lost ownership still changes its outcome."""
        with self._lock:
            first = self._reason is None
            if first or reason is StopReason.OWNERSHIP_LOST:
                self._reason = reason
            stoppers = self._stoppers if first else []
        self._told.set()
        for stopper in stoppers:
            stopper(str(reason))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes this the runtime that `current()` gives while the block runs."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[JobRuntime] = ContextVar("job_runtime")


def current() -> JobRuntime:
    """The runtime of the job that runs here. Raises LookupError outside of a job."""
    return _CURRENT.get()
