"""A switch on a real server: its server, its operator, and the agents and worker processes that follow it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from killswitch import Agent, Controller, EpochConflict, Settings, clock
from tests.support.agents import Worker, fast_settings
from tests.support.server import RealServer
from tests.support.waiting import eventually

STATE = "killswitch:state"
TIMEOUT_MS = 10_000
"""For whoever operates the switch where nothing measures how long an answer took: a stalled server still answers."""


class Switch:
    """One switch under test. `url` None goes over the unix socket of `server`."""

    def __init__(self, server: RealServer, folder: Path, url: str | None = None) -> None:
        self.server = server
        self.folder = folder
        self.url = url or server.unix_url
        self.control = Controller(self.settings(timeout_ms=TIMEOUT_MS))
        self._ends: list[Agent | Worker] = []

    def settings(self, **changes: Any) -> Settings:
        return fast_settings(self.url, **changes)

    def permit(self) -> int:
        """Initialises where needed and permits trading; the epoch of the permission."""
        self.control.init()
        for _ in range(50):
            # A beat may record what was changed by hand between the look and the reset.
            with contextlib.suppress(EpochConflict):
                return self.control.reset(self.control.status().switch.epoch, "the test begins").epoch
        raise AssertionError("the epoch never stands still")

    def agent(
        self, scopes: Sequence[str] = (), *, engine: str = "", worker_id: str | None = None, **changes: Any
    ) -> Agent:
        """A started agent in this process."""
        return self._start(Agent(self.settings(**changes), scopes, engine=engine, worker_id=worker_id))

    def agent_at(self, url: str, **changes: Any) -> Agent:
        """A started agent in this process that looks for the switch at `url`."""
        return self._start(Agent(fast_settings(url, **changes)))

    def _start(self, agent: Agent) -> Agent:
        self._ends.append(agent)
        return agent.start()

    def worker(self, url: str | None = None, **options: Any) -> Worker:
        """A child process with an agent."""
        worker = Worker(self.folder, url or self.url, **options)
        self._ends.append(worker)
        return worker

    def raw(self, *words: str | bytes | int) -> int:
        """One command on a bare line, as an operator's redis-cli; the time at which its answer was read."""
        with self.server.line() as line:
            line.call(*words)
            return clock.now_ns()

    def engage_raw(self) -> int:
        """SET ENGAGED on a bare line; the time at which +OK was read."""
        return self.server.raw_set(STATE, "ENGAGED by hand")

    def settled(self) -> None:
        """Waits until nothing in this process puts outcomes or seals on record any more, beside what it did."""
        eventually(
            lambda: "killswitch-seal" not in {thread.name for thread in threading.enumerate()},
            why="what is done for the record after a change is over",
        )

    def close(self) -> None:
        for end in self._ends:
            if isinstance(end, Agent):
                end.close(0.0)
            else:
                end.stop()
