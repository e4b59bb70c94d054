"""The operator's command, as a shell runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from killswitch import local
from tests.faults.trader import TIMING
from tests.faults.world import VENUE, World
from tests.support.processes import ROOT
from tests.support.waiting import eventually, in_line_ns, my_line_ns

__all__ = ["press", "press_nothing"]

_LIMIT_S = 30.0


def _run(world: World, user: str, *words: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """What came of the command, and for how long (ns) it, and before and after it this thread, stood in line for a
    processor."""
    url = world.switch.unix_url.replace("unix://", f"unix://{user}@") if user else world.switch.unix_url
    settings = {**TIMING, "redis_url": url, "sinks": f"{VENUE}={world.venue_url}", "actor": "operator"}
    variables = {f"KILLSWITCH_{name.upper()}": str(value) for name, value in settings.items()}
    command = [*local.leash(), sys.executable, "-m", "ops.cli", *words]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **variables}
    before_ns = my_line_ns()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            command, cwd=world.folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True
        )
        waited_ns = my_line_ns() - before_ns
        try:
            waited_ns += _ended(process.pid)
        finally:
            process.kill()
            code = process.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read()), waited_ns


def _ended(pid: int) -> int:
    """Waits until a child has ended, and leaves it to be waited for; for how long it stood in line for a processor, and
    this thread since it saw it run last."""
    before_ns = my_line_ns()

    def ended() -> bool:
        nonlocal before_ns
        look_ns = my_line_ns()
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if not found:
            before_ns = look_ns
        return found

    eventually(ended, timeout_s=_LIMIT_S, why="the command ends")
    return in_line_ns(pid) + my_line_ns() - before_ns


def press(world: World, *words: str, user: str = "") -> dict[str, Any]:
    """`killswitch engage`: its JSON object, its exit code as `code`, and as `in_line_ns` for how long it was not let
    run."""
    done, waited_ns = _run(world, user, "engage", "--reason", "broken", "--output", "json", *words)
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done
    return {**json.loads(lines[0]), "code": done.returncode, "in_line_ns": waited_ns}


def press_nothing(world: World) -> None:
    """The same program without anything to do: how long it takes to start."""
    assert _run(world, "", "status", "--output", "json")[0].returncode == 0
