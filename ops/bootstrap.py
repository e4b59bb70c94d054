"""Makes `.venv` ready, with the standard library alone: a virtual environment, the pinned packages and this project.

`ops/demo` and `ops/test` run it first, by a plain python3 that knows nothing of the project. It does its work once, and
again only when the pinned packages, `pyproject.toml` or the place of the tree change. A file lock makes two runs at
once safe: the second waits, then finds the work done. The kernel drops the lock with its process: none is left behind.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = {"runtime": "requirements.txt", "dev": "requirements-dev.txt"}
"""What each level installs. Everything of `runtime` is also in `dev`, at the same version."""

_CAUSES = (
    ("DO NOT MATCH THE HASHES", "a package differs from the one that was pinned; it was not installed"),
    ("No space left on device", "the disk is full"),
    ("Permission denied", "a file or folder cannot be written"),
    ("is not a supported wheel", "a package has no build for this machine"),
    ("", "the package index cannot be reached, or lacks a pinned package; see that the network works and that pip's "
         "own settings (PIP_INDEX_URL, PIP_PROXY, PIP_CERT) fit it, then run the same command again"),
)  # fmt: skip


class BootstrapError(Exception):
    """The set-up cannot be done; the message says what failed and what to do."""


def say(text: str, *, end: str = "\n") -> None:
    """Tell the person at the terminal; standard output is left to the command itself."""
    print(text, end=end, file=sys.stderr, flush=True)


class Environment:
    """The virtual environment of one tree: what it should hold, what it holds, and how to get there."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.home = root / ".venv"
        self.python = self.home / "bin" / "python"
        self.stamp = self.home / "ready.json"

    def wanted(self) -> str:
        """Checksum of everything that decides what has to be installed."""
        digest = hashlib.sha256(str(self.root).encode())
        for name in ("pyproject.toml", *REQUIREMENTS.values()):
            digest.update(b"\0" + (self.root / name).read_bytes())
        return digest.hexdigest()

    def ready(self, level: str) -> bool:
        """Whether the last set-up that was finished is still the right one."""
        try:
            held = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return False
        fits = isinstance(held, dict) and held.get("sum") == self.wanted()
        return fits and held.get("level") in (level, "dev") and self.python.exists()

    def prepare(self, level: str) -> None:
        """Make it ready for `level`. Raises BootstrapError."""
        if self.ready(level):
            return
        with self._alone():
            if not self.ready(level):
                self._build(level)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the lock; waits if another run has it, which is bounded by that run's own work."""
        try:
            lock = (self.root / ".venv.lock").open("w")
        except OSError as error:
            raise BootstrapError(f"cannot write in {self.root}: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("set-up: another run is setting up; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _build(self, level: str) -> None:
        self.stamp.unlink(missing_ok=True)
        if not self._usable():
            shutil.rmtree(self.home, ignore_errors=True)
            say(f"set-up: making .venv with Python {sys.version.split()[0]} ({sys.executable})")
            self._run([sys.executable, "-m", "venv", str(self.home)], "making the virtual environment")
        file = self.root / REQUIREMENTS[level]
        total = sum(line[:1].isalnum() for line in file.read_text().splitlines())
        say(f"set-up: installing {total} pinned packages from {file.name}, each checked by its hash")
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        self._run(
            [*pip, "--retries", "2", "--progress-bar", "off", "--require-hashes", "--requirement", str(file)],
            f"installing {file.name}",
        )
        say("set-up: installing this project")
        self._run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(self.root)], "installing")
        self.stamp.write_text(json.dumps({"level": level, "sum": self.wanted()}))
        say("set-up: done")

    def _usable(self) -> bool:
        """Whether the environment on disk runs, has a supported version and was made at this place."""
        code = "import pip, sys; print(sys.prefix); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
        try:
            done = subprocess.run([str(self.python), "-c", code], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return False
        script = self.home / "bin" / "pip"
        here = script.exists() and str(self.home) in script.read_text(errors="replace")[:400]
        return done.returncode == 0 and done.stdout.strip() == str(self.home) and here

    def _run(self, command: list[str], what: str) -> None:
        """Run one step; on a terminal show what pip is at. Raises BootstrapError with the end of its output."""
        lines: list[str] = []
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                if sys.stderr.isatty() and line.startswith("Collecting "):
                    say(f"\r\033[K  {line.split()[1].partition('=')[0]}", end="")
        if sys.stderr.isatty():
            say("\r\033[K", end="")
        if process.returncode == 0:
            return
        output = "\n".join(lines)
        cause = next(text for mark, text in _CAUSES if mark in output)
        told = [line for line in lines if line.startswith("ERROR")] or lines[-6:]
        tail = "\n".join(f"    {line}" for line in told)
        raise BootstrapError(f"{what} failed: {cause}\n{tail}")


def main(arguments: list[str]) -> int:
    """`bootstrap.py runtime|dev`: 0 when the environment is ready, 1 with one message when it cannot be made."""
    if len(arguments) != 1 or arguments[0] not in REQUIREMENTS:
        say(f"usage: bootstrap.py {'|'.join(REQUIREMENTS)}")
        return 2
    try:
        Environment().prepare(arguments[0])
    except BootstrapError as error:
        say(f"set-up: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nset-up: interrupted; run the same command again to go on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
