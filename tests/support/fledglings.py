"""Python children from the nursery: processes like any other, without the second that loading takes.

For programs of the tests and for workers. What is about starting itself (the shell, its exit codes and streams, what is
loaded when) starts an interpreter of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from killswitch import local
from tests.support.nursery import PR_SET_CHILD_SUBREAPER, REQUEST_MAX, prctl

__all__ = ["ROOT", "Running", "spawn"]

ROOT = Path(__file__).resolve().parents[2]


_LOADS = {"workers": [f"workers.commands.{verb}" for verb in ("serve", "venue", "gateway")]}
"""What a module loads only when it runs, and what is loaded for it all the same."""


class Fledgling:
    """A running child of the nursery; what `subprocess.Popen` has and the tests use."""

    def __init__(self, pid: int, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Its exit code, a signal below zero; None while it runs."""
        with self._lock:
            if self.returncode is None:
                found, status = os.waitpid(self.pid, os.WNOHANG)
                if found:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end. Raises subprocess.TimeoutExpired."""
        if self.poll() is None:
            end = os.pidfd_open(self.pid)
            try:
                waiting = select.poll()
                waiting.register(end, select.POLLIN)
                if not waiting.poll(None if timeout is None else timeout * 1000):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            finally:
                os.close(end)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(9)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(15)


Running = Fledgling | subprocess.Popen[bytes]


class _Nursery:
    """The one of this process."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*local.leash(), sys.executable, "-m", "tests.support.nursery"]
        with theirs:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
        atexit.register(self._close)

    def _close(self) -> None:
        self._line.close()  # which it sees
        self._process.wait()

    def fork(self, request: bytes, streams: Sequence[int]) -> int:
        """The pid of a new child of this process. Raises RuntimeError where the nursery has ended."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            socket.send_fds(self._line, [request], streams)
            answer = self._line.recv(20)
        finally:
            prctl(PR_SET_CHILD_SUBREAPER, 0)
        if not answer:
            raise RuntimeError(f"the nursery ended with {self._process.wait()}; its words are on stderr")
        return int(answer)


_nurseries: dict[int, _Nursery] = {}
_LOCK = threading.Lock()


def spawn(
    module: str,
    arguments: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: IO[bytes],
) -> Running:
    """Starts `python -u -m MODULE ARGUMENTS...` at the root of the tree; `env` is all of its environment, and without
    it that of this process.

    `stdin` and `stdout` are subprocess.PIPE, or nothing; `stdout` may be a file.
    """
    environment = dict(os.environ if env is None else env)
    if sys.platform != "linux" or not local.leash():
        return subprocess.Popen(
            [*local.leash(), sys.executable, "-u", "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=stderr,
        )
    asked = {"module": module, "loads": _LOADS.get(module, [module]), "arguments": list(arguments), "env": environment}
    request = json.dumps({**asked, "cwd": str(ROOT), "parent": os.getpid()}).encode()
    assert len(request) < REQUEST_MAX
    opened: list[Any] = []

    def pipe(inward: bool) -> tuple[int, IO[bytes]]:
        ends = os.pipe()
        child, own = ends if inward else reversed(ends)
        opened.append(os.fdopen(child, "rb" if inward else "wb"))
        return child, os.fdopen(own, "wb" if inward else "rb")

    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        source, fed = pipe(True) if stdin == subprocess.PIPE else (nothing, None)
        sink, heard = pipe(False) if stdout == subprocess.PIPE else (nothing, None)
        if stdout is not None and not isinstance(stdout, int):
            sink = stdout.fileno()
        with _LOCK:
            nursery = _nurseries.get(os.getpid()) or _nurseries.setdefault(os.getpid(), _Nursery())
            pid = nursery.fork(request, [source, sink, stderr.fileno()])
        return Fledgling(pid, fed, heard)
    finally:
        os.close(nothing)
        for end in opened:
            end.close()
