"""Worker processes of a rehearsal: each started as on any host, `python -m workers`, and ended by its own id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from killswitch import local
from killswitch.clock import now_ns
from ops.rehearsal.places import Places
from ops.rehearsal.plan import RehearsalError
from ops.render import clean

__all__ = ["WorkerProcesses", "deaf_to_signals", "ended_by_signals"]

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 8.0
_SHOWN_LINES = 5


class WorkerProcesses:
    """`count` workers with their logs in `folder`. A context manager; leaving it ends them all.

    They are in sessions of their own, so that Ctrl-C reaches the rehearsal alone, which then ends them in order; and
    the kernel ends them should the rehearsal be killed (Linux).
    """

    def __init__(self, count: int, places: Places, folder: Path) -> None:
        self._count = count
        self._places = places
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> WorkerProcesses:
        """Starts them all, which takes them some time after this returns."""
        try:
            for number in range(1, self._count + 1):
                self._processes.append(self._start(number))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends them; see `stop`."""
        self.stop()

    @property
    def pids(self) -> Sequence[int]:
        """Their process ids, in order."""
        return [process.pid for process in self._processes]

    def check(self) -> None:
        """Raises RehearsalError with the end of the log when one of them has ended."""
        for number, process in enumerate(self._processes, 1):
            if (status := process.poll()) is not None:
                text = f"worker {number} ended with status {status}; its log ends:"
                raise RehearsalError(text, details=self._tail(number))

    def stop(self) -> None:
        """SIGTERM to each, and SIGKILL to those that have not ended after a while. May be repeated."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        deadline_ns = now_ns() + int(_PATIENCE_S * 1e9)
        for process in self._processes:
            try:
                process.wait(max(0.05, (deadline_ns - now_ns()) / 1e9))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        places = self._places
        named = ",".join((places.gated, places.ungated, places.cleanup))
        command = [*local.leash(), sys.executable, "-m", "workers", "--queues", named]
        command += ["--ungated", f"{places.ungated},{places.cleanup}"]
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with self._log(number).open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,  # without an .env file: the environment alone decides
                env={**places.environment, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def _tail(self, number: int) -> list[str]:
        lines = self._log(number).read_text(errors="replace").splitlines()
        return [clean(line) for line in lines[-_SHOWN_LINES:]]


class _Ended(SystemExit):
    """A signal asked the rehearsal to end."""


def _end(number: int, _frame: FrameType | None) -> None:
    raise _Ended(128 + number)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the block as an exception, so that everything started is stopped."""
    numbers = [signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deaf_to_signals() -> Iterator[None]:
    """While the block runs, which must be bounded in time, an impatient second Ctrl-C does not leave things behind."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
