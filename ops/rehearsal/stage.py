"""The fleet on its servers, as an operator and a scheduler have it: place engines, wait, permit, engage, stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from killswitch import AuditEntry, Controller, KillSwitchError, Member, StoreUnavailable
from killswitch.clock import now_ns, sleep
from ops.exit_codes import Exit
from ops.rehearsal.evidence import EventFile
from ops.rehearsal.places import Places
from ops.rehearsal.plan import Plan, RehearsalError
from ops.rehearsal.processes import WorkerProcesses
from ops.rehearsal.screen import Screen
from ops.render import count_of
from workers import queues

__all__ = ["Engine", "Stage"]

_POLL_S = 0.02
_START_S = 45.0
_STOP_S = 20.0
_JOBS_EVERY_NS = 100_000_000
_ENDED = ("finished", "stopped", "failed", "canceled")


@dataclass(slots=True)
class Engine:
    """One engine of a scenario: its job, what it wrote down, and in the end its report."""

    number: int
    name: str
    job: Job
    events: EventFile
    report: dict[str, Any] = field(default_factory=dict)
    ended: bool = False


class Stage:
    """`workers` are running processes; `folder` takes the evidence. Used by one thread."""

    def __init__(self, plan: Plan, places: Places, workers: WorkerProcesses, folder: Path, screen: Screen) -> None:
        self.plan = plan
        self.places = places
        self.screen = screen
        self.control = Controller(places.settings, via="demo")
        self._workers = workers
        self._folder = folder
        self._queue = queues.connect(places.queue_url)
        self._next_jobs_ns = 0
        self._running: list[Engine] = []

    def close(self) -> None:
        """Gives the connections back."""
        self.control.close()
        self._queue.close()

    # ---- the fleet ----

    def members(self) -> Sequence[Member]:
        """The workers of this rehearsal as the switch's registry shows them, in the order they were started."""
        order = {pid: place for place, pid in enumerate(self._workers.pids)}
        try:
            known = [member for member in self.control.status().members if member.pid in order]
        except KillSwitchError as error:
            raise _store_trouble(error) from None
        return sorted(known, key=lambda member: order[member.pid])

    def wait(
        self, what: str, until: Callable[[], bool], timeout_s: float, *, must: bool = False, shown: bool = True
    ) -> bool:
        """Waits until `until()` holds or the time is up, keeps the screen (unless not `shown`) and an eye on the
        processes; returns whether it held. Raises RehearsalError when a worker ended, an engine failed, or it must hold
        and does not."""
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        while not until():
            self._workers.check()
            self._look_at_jobs()
            if shown and self.screen.due():
                self.screen.show(self.members(), what)
            if now_ns() >= deadline_ns:
                if must:
                    raise RehearsalError(f"{what}: not within {timeout_s:g} s")
                return False
            sleep(_POLL_S)
        return True

    def assemble(self) -> None:
        """Waits until every worker is a member of the fleet."""
        count = self.plan.workers
        what = f"waiting for {count_of(count, 'worker')}"
        self.wait(what, lambda: len(self.members()) == count, _START_S, must=True)

    # ---- the switch ----

    def permit(self, reason: str) -> None:
        """Resets the switch under the epoch it has now."""
        try:
            self.control.reset(epoch=self.control.status().epoch, reason=reason, actor="demo")
        except KillSwitchError as error:
            raise _store_trouble(error) from None

    def epoch(self) -> int:
        """The epoch in force."""
        try:
            return self.control.status().epoch
        except KillSwitchError as error:
            raise _store_trouble(error) from None

    def audit(self) -> Sequence[AuditEntry]:
        """The record of changes, oldest first."""
        try:
            return self.control.audit()
        except KillSwitchError as error:
            raise _store_trouble(error) from None

    # ---- the engines ----

    def place(self, scenario: str, queue: str, passes: int = 1) -> list[Engine]:
        """Enqueues an engine for every worker."""
        folder = self._folder / scenario
        folder.mkdir(exist_ok=True)
        found = []
        for number in range(1, self.plan.workers + 1):
            name = f"{scenario}-{number}"
            path = folder / f"engine-{number}.jsonl"
            spec = {
                "name": name,
                "symbol": self.plan.symbol(number),
                "feed": self.plan.feed(number, passes),
                "events": str(path),
            }
            found.append(Engine(number, name, queues.place_engine(self._queue, spec, queue=queue), EventFile(path)))
        return found

    def watch(self, engines: list[Engine]) -> None:
        """From now on a failure of one of these engines ends every wait."""
        self._running = engines

    def started(self, engines: Sequence[Engine]) -> int:
        """How many of the engines are not where they were queued any more."""
        return sum(engine.job.get_status().value != "queued" for engine in engines)

    def all_ended(self) -> bool:
        """Whether every watched engine has ended, as of the last look at the queue."""
        return all(engine.ended for engine in self._running)

    def stop(self, engines: Sequence[Engine]) -> None:
        """Stops the engines as an operator does, by RQ's stop command, and waits for their reports."""
        for engine in engines:
            if not engine.ended:
                try:
                    send_stop_job_command(self._queue, engine.job.id, serializer=JSONSerializer)
                except (InvalidJobOperation, NoSuchJobError):
                    pass  # it has just ended by itself
        self._next_jobs_ns = 0
        self.wait("stopping the engines", self.all_ended, _STOP_S, must=True, shown=False)
        for engine in engines:
            engine.report = self._report(engine)
        self._running = []

    def withdraw(self, engines: Sequence[Engine]) -> None:
        """Takes engines that were never started off their queue."""
        for engine in engines:
            engine.job.delete()

    def _look_at_jobs(self) -> None:
        if now_ns() < self._next_jobs_ns:
            return
        self._next_jobs_ns = now_ns() + _JOBS_EVERY_NS
        for engine in self._running:
            if engine.ended:
                continue
            try:
                status = engine.job.get_status().value
            except redis.RedisError as error:
                raise RehearsalError(f"the queue's Redis does not answer: {error}", Exit.UNREACHABLE) from None
            engine.ended = status in _ENDED
            if status == "failed":
                raise RehearsalError(f"engine {engine.name} failed: {self._reason(engine)}")

    def _reason(self, engine: Engine) -> str:
        result = engine.job.latest_result()
        return str(result.exc_string if result else "no reason was recorded").strip().splitlines()[-1]

    def _report(self, engine: Engine) -> dict[str, Any]:
        engine.job.refresh()  # type: ignore[no-untyped-call]
        report = engine.job.meta.get("report") or engine.job.return_value()
        if not isinstance(report, dict):
            raise RehearsalError(f"engine {engine.name} left no report")
        return report


def _store_trouble(error: KillSwitchError) -> RehearsalError:
    return RehearsalError(
        f"the switch: {error}", Exit.UNREACHABLE if isinstance(error, StoreUnavailable) else Exit.REFUSED
    )
