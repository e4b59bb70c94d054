"""The operator's command, as a shell runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from killswitch import local
from tests.faults.trader import TIMING
from tests.faults.world import VENUE, World
from tests.support.processes import ROOT

__all__ = ["press", "press_nothing"]


def _run(world: World, user: str, *words: str) -> subprocess.CompletedProcess[str]:
    url = world.switch.unix_url.replace("unix://", f"unix://{user}@") if user else world.switch.unix_url
    settings = {**TIMING, "redis_url": url, "sinks": f"{VENUE}={world.venue_url}", "actor": "operator"}
    variables = {f"KILLSWITCH_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.run(
        [*local.leash(), sys.executable, "-m", "ops.cli", *words],
        cwd=world.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def press(world: World, *words: str, user: str = "") -> dict[str, Any]:
    """`killswitch engage`: its JSON object, and its exit code as `code`."""
    done = _run(world, user, "engage", "--reason", "broken", "--output", "json", *words)
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done
    return {**json.loads(lines[0]), "code": done.returncode}


def press_nothing(world: World) -> None:
    """The same program without anything to do: how long it takes to start."""
    assert _run(world, "", "status", "--output", "json").returncode == 0
