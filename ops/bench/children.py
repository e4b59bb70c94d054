"""Child programs of a measurement: started with the stage's settings, ended with it, also when the parent is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import ops
from killswitch import Settings
from killswitch.clock import now_ns, sleep
from ops.bench.errors import BenchError

__all__ = ["Children", "live_with_parent"]

_POLL_S = 0.0002
_PATIENCE_S = 30.0
_ROOT = Path(ops.__file__).resolve().parent.parent


def live_with_parent() -> None:
    """In a child: ends this process when the parent lets go of the pipe that is its standard input."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="leash", daemon=True).start()


class Children:
    """The child processes of one stage. A context manager that ends them all."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder = folder
        self._started: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._env = {
            **os.environ,
            "KILLSWITCH_REDIS_URL": settings.redis_url,
            "KILLSWITCH_REDIS_PASSWORD": settings.redis_password,
            "KILLSWITCH_PREFIX": settings.prefix,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", "")))),
        }

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, child in self._started:
            if child.stdin is not None:
                child.stdin.close()
        for _, child in self._started:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def start(self, program: str, *words: str) -> None:
        """Starts `ops.bench.<program>` with `words` as its arguments."""
        log = self._folder / f"{program}-{len(self._started)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", f"ops.bench.{program}", *words],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=self._env,
            )
        self._started.append((str(log), child))

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float = _PATIENCE_S) -> None:
        """Waits until `condition` holds. Raises BenchError when a child ended before, or when it takes too long."""
        deadline = now_ns() + int(timeout_s * 1e9)
        looks = 0
        while not condition():
            looks += 1
            if looks % 64 == 0:
                self._check()
            if now_ns() > deadline:
                raise BenchError(f"{what} did not happen within {timeout_s:g} s")
            sleep(_POLL_S)

    def join(self, timeout_s: float) -> str:
        """Waits until the child started last has ended by itself; what it printed. Raises BenchError if it failed."""
        log, child = self._started[-1]
        try:
            child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"a child program did not end within {timeout_s:g} s") from None
        self._check()
        return Path(log).read_text(encoding="utf-8")

    def _check(self) -> None:
        for log, child in self._started:
            if child.poll():
                tail = Path(log).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise BenchError(f"a child program ended with status {child.returncode}: {''.join(tail)}")
