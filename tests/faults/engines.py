"""Engine workers as production runs them: RQ jobs in processes of their own, replaying recorded ticks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from killswitch import clock
from tests.faults.trader import PATIENCE_S, TIMING, Tail
from tests.fleet.world import Worker
from tests.history.events import Event
from tests.support.processes import ROOT, Children
from tests.support.server import RealServer
from tests.support.waiting import eventually
from workers import queues

__all__ = ["SCOPE", "SYNTHETIC", "Engine", "feed", "recorded_days", "start_worker"]

SCOPE = "strategy:meanrev"
"""A part of the fleet that every engine here belongs to."""

SYNTHETIC = "synthetic ticks"
_SPEED = 600  # the recorded days have one to three ticks a second: about a thousand a second


def recorded_days() -> list[str]:
    """Files of recorded EUR/USD quotes; none where this machine has no recorded data."""
    folder = Path(os.environ.get("KILLSWITCH_TEST_DATA", ROOT / "../shared/data")) / "fxcm-eurusd-2014-05"
    return [str(path.resolve()) for path in sorted(folder.glob("*_quote.zip")) if path.stat().st_size > 200_000]


def feed(number: int) -> tuple[dict[str, Any], str]:
    """The feed of engine `number`, and what to call it in a row of evidence."""
    days = recorded_days()
    if not days:
        return {"kind": "synthetic", "seed": number, "speed": 100, "lead": 500}, SYNTHETIC
    turned = days[number % len(days) :] + days[: number % len(days)]
    return {"kind": "replay", "files": turned * 5, "speed": _SPEED, "lead": 500}, "recorded ticks"


def start_worker(children: Children, switch: str, queue: RealServer, queues_served: str, **env: str) -> Worker:
    """A worker process that serves `queues_served`."""
    variables = {
        "KILLSWITCH_REDIS_URL": switch,
        "WORKERS_QUEUE_URL": queue.unix_url,
        "WORKERS_QUEUES": queues_served,
        "WORKERS_POLL_MS": "20",
        "WORKERS_OWNERSHIP_MS": "4000",
        "WORKERS_HEARTBEAT_MS": "200",
        **{f"KILLSWITCH_{name.upper()}": str(value) for name, value in TIMING.items()},
        **env,
    }
    return Worker(children.worker(env=variables))


class Engine:
    """One engine and the worker process that it runs in. It has a queue of its own, so that it is known which."""

    def __init__(
        self, children: Children, folder: Path, switch: str, queue: RealServer, number: int, **env: str
    ) -> None:
        self.name = f"e{number}"
        self.events = Tail(folder / f"{self.name}.jsonl")
        self.feed, self.ticks = feed(number)
        self.worker = start_worker(children, switch, queue, f"{self.name},cleanup", **env)
        self.started_ns = clock.now_ns()
        self.sinks: list[str] = []
        self._told = 0
        self._epoch = 0
        spec = {
            "name": self.name,
            "symbol": "EURUSD",
            "feed": self.feed,
            "scopes": [SCOPE],
            "events": str(self.events.path),
        }
        self.job = queues.place_engine(queue.client(), spec, queue=self.name)

    @property
    def worker_id(self) -> str:
        return self.worker.name

    def turns(self) -> list[Event]:
        """Its gate 1, each time it turned: opened or blocked."""
        return [line for line in self.events.read() if line["event"] in ("opened", "blocked")]

    def is_open(self) -> bool:
        """Whether its last turn was to open."""
        turns = self.turns()
        return bool(turns) and turns[-1]["event"] == "opened"

    def opens(self) -> int:
        """Waits until it trades; when it opened."""
        eventually(self.is_open, timeout_s=PATIENCE_S, why=f"engine {self.name} opens")
        return int(self.turns()[-1]["at_ns"])

    def closes(self) -> None:
        """Waits until it has noticed that it is closed."""
        eventually(lambda: not self.is_open(), timeout_s=PATIENCE_S, why=f"engine {self.name} is blocked")

    def told(self) -> list[Event]:
        """What it did since it was asked last, as lines of the common history."""
        found: list[Event] = []

        def add(kind: str, t: int, **values: Any) -> None:
            found.append({"kind": kind, "t": t, "worker": self.worker_id, **values})

        lines = self.events.read()
        for line in lines[self._told :]:
            match line["event"]:
                case "opened":
                    self._epoch = line["epoch"]
                    add("pass1", line["at_ns"], epoch=self._epoch, start=line["at_ns"])
                    add("view", line["at_ns"], open=True, code="open", epoch=self._epoch)
                case "blocked":
                    if line["passed_ns"]:
                        add("pass1", line["passed_ns"], epoch=self._epoch, start=line["passed_ns"])
                    add("view", line["at_ns"], open=False, code=line["code"], epoch=self._epoch)
                case "order":
                    sent, order, start = line["sent_ns"], line["order_id"], line["check_ns"]
                    add("pass2", start, epoch=line["epoch"], start=start, order=order, reduces=False)
                    add("send", sent, order=order, epoch=line["epoch"])
                    add("release", sent, order=order)
        self._told = len(lines)
        return found
