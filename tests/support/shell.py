"""The operator's shell under test: in this process where that is enough, else as a process or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from killswitch import clock, local
from ops.cli import main
from tests.support.processes import ROOT


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; an AssertionError if there is more, or none."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self
        return cast(dict[str, Any], json.loads(lines[0]))


class Shell:
    """Runs commands against `url`, in a folder of its own where no `.env` is."""

    def __init__(
        self, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("KILLSWITCH_REDIS_URL", url)
        monkeypatch.setenv("KILLSWITCH_ACTOR", "tester")
        monkeypatch.setenv("KILLSWITCH_SECRETS_DIR", str(folder / "secrets"))

    def run(self, *words: str, **variables: str) -> Done:
        """One command in this process; `variables` are environment variables without their prefix."""
        self._capsys.readouterr()
        with self.monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(f"KILLSWITCH_{name.upper()}", value)
            code = main(words)
        found = self._capsys.readouterr()
        return Done(code, found.out, found.err)

    def spawn(self, *words: str, options: tuple[str, ...] = (), **how: Any) -> subprocess.Popen[str]:
        """One command as a process; its streams are pipes unless `how` says otherwise."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        command = [*local.leash(), sys.executable, *options, "-m", "ops.cli", *words]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(), text=True, **streams)

    @staticmethod
    def environment() -> Mapping[str, str]:
        """What a command's process sees."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TERM": "xterm"}

    @contextlib.contextmanager
    def terminal(self, *words: str, columns: int = 0) -> Iterator[Terminal]:
        """One command on a terminal of so many columns and 30 lines; 0: it does not tell."""
        ours, theirs = pty.openpty()
        if columns:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        process = self.spawn(*words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
            os.close(ours)


class Terminal:
    """A command on a terminal: what it shows, and what is typed."""

    def __init__(self, process: subprocess.Popen[str], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def wait_for(self, text: str, timeout_s: float = 20.0) -> str:
        """What was shown, once `text` is in it."""
        deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
        while text not in self.shown:
            assert clock.now_ns() < deadline_ns, f"{text!r} was not shown within {timeout_s:g} s:\n{self.shown}"
            if not self._read(0.05):
                assert text in self.shown, f"ended without {text!r}:\n{self.shown}"
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def end(self, timeout_s: float = 20.0) -> int:
        """The exit code, once the command has ended and all it showed is read."""
        deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
        while self._read(0.05):
            assert clock.now_ns() < deadline_ns, f"still running after {timeout_s:g} s:\n{self.shown}"
        return self.process.wait(timeout_s)

    def _read(self, timeout_s: float) -> bool:
        """Whether more may come."""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return True
        try:
            found = os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)
