"""Python child processes of a test: leashed to the test run, ended by pid, their output kept for failure messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from killswitch import local
from tests.support.fledglings import ROOT, Running, spawn
from tests.support.waiting import eventually

__all__ = ["ROOT", "Child", "Children"]


class Child:
    """One running child. `output` is everything it printed so far, both streams."""

    def __init__(self, process: Running, log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the child still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, timeout_s: float = 10.0) -> int:
        """The exit status. An AssertionError with the output if the child still runs after `timeout_s`."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:g} s; it printed:\n{self.output}") from None

    def wait_for(self, text: str, timeout_s: float = 10.0) -> str:
        """The output, once `text` is in it. An AssertionError if the child ended or stays silent."""

        def printed() -> bool:
            ended = self.process.poll() is not None
            assert text in self.output or not ended, f"ended with {self.process.returncode}:\n{self.output}"
            return text in self.output

        eventually(printed, timeout_s=timeout_s, why=f"child {self.pid} prints {text!r}")
        return self.output


class Children:
    """Starts children and ends them all when the test is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def python(self, *words: str, env: Mapping[str, str] | None = None) -> Child:
        """Start `python WORDS...` at the root of the tree with `env` added to this process's environment."""
        command = [*local.leash(), sys.executable, *words]
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}

        def start(output: IO[bytes]) -> Running:
            return subprocess.Popen(
                command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

        return self._add(start)

    def worker(self, *words: str, env: Mapping[str, str] | None = None) -> Child:
        """Start `killswitch-worker WORDS...` in the same way, without the second that loading it takes."""
        return self._add(
            lambda output: spawn("workers", words, env={**os.environ, **(env or {})}, stdout=output, stderr=output)
        )

    def _add(self, start: Callable[[IO[bytes]], Running]) -> Child:
        log = self._folder / f"child-{len(self._children)}.log"
        with log.open("wb") as output:
            child = Child(start(output), log)
        self._children.append(child)
        return child

    def stop(self) -> None:
        """End every child, also a frozen one. By pid: nothing else of that name is touched."""
        for child in self._children:
            child.send(signal.SIGKILL)
        for child in self._children:
            child.process.wait()
