"""What a launch has done so far: what the report tells, whichever way it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killswitch import Settings
from ops.exit_codes import Exit
from ops.launching.findings import Permission
from ops.launching.fleet_file import Loaded
from workers.settings import WorkerSettings

__all__ = ["PHASES", "Asked", "Deployment", "EngineState", "LaunchStopped", "PhaseReport"]

PHASES = ("preflight", "rehearsal", "initialise", "start")


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants: the fleet, both sets of settings, who permits if anybody does, and where the report goes."""

    loaded: Loaded
    switch: Settings
    workers: WorkerSettings
    permission: Permission | None
    strict: bool
    timeout_s: float
    folder: Path

    @property
    def actor(self) -> str:
        """Who is on record for what this launch does."""
        return self.permission.actor if self.permission else self.switch.who


class LaunchStopped(Exception):
    """A phase failed, so the launch ends here. `details` are lines below the text, `exit_code` ends the process."""

    def __init__(self, text: str, exit_code: Exit = Exit.FAILED, details: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.details = tuple(details)


@dataclass(slots=True)
class PhaseReport:
    """One phase: `outcome` is not reached, under way, done, failed or interrupted; `text` says it in a line."""

    name: str
    outcome: str = "not reached"
    text: str = ""
    took_s: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine as it was seen last: `state` is running, queued, starting, finished, failed or gone. `placed` says
    whether this launch put it on the queue; where it runs, `gate` is what its worker last said, and
    `scopes` what it follows."""

    name: str
    state: str
    placed: bool
    job: str
    worker: str = ""
    host: str = ""
    pid: int = 0
    gate: str = ""
    epoch: int = 0
    version: str = ""
    scopes: tuple[str, ...] = ()
    why: str = ""


@dataclass(slots=True)
class Deployment:
    """The whole launch. `undo` are commands that take back what was done, the last thing first; `warnings` tell what a
    launch that is whole leaves to be done."""

    asked: Asked
    begun_ms: int
    ended_ms: int = 0
    server: str = ""
    library: str = ""
    library_current: bool = False
    phases: dict[str, PhaseReport] = field(default_factory=lambda: {name: PhaseReport(name) for name in PHASES})
    engines: tuple[EngineState, ...] = ()
    undo: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exit_code: Exit = Exit.FAILED

    @property
    def ok(self) -> bool:
        """Whether every phase was done."""
        return all(phase.outcome == "done" for phase in self.phases.values())
