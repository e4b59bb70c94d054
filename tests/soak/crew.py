"""The processes of the soak that trade: burners with an agent each, RQ engine workers, and readers of their words."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from killswitch import clock, local
from tests.soak.log import Log
from tests.support.processes import ROOT
from tests.support.waiting import eventually

__all__ = ["Burner", "EngineFile", "Program", "RqWorker", "Venue", "VenueFile", "environment"]


def environment(**more: str) -> Mapping[str, str]:
    """What the processes of the soak see: nothing of the person's own switch."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILLSWITCH_", "WORKERS_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


class Program:
    """A child process that may be frozen, thawed, killed and ended; by its own pid only."""

    role = "program"

    def __init__(self, words: Sequence[str], folder: Path, env: Mapping[str, str], stdout: Any) -> None:
        self.frozen = False
        with (folder / f"{self.role}.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [*local.leash(), sys.executable, *words],
                cwd=folder,
                env=env,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def freeze(self) -> int:
        """SIGSTOP; returns a time at which it certainly stood still."""
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", why="the process stands still")
        self.frozen = True
        return clock.now_ns()

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def kill(self) -> None:
        """SIGKILL, also of a frozen one."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def end(self, timeout_s: float = 10.0) -> bool:
        """SIGTERM; whether it ended by itself in time. It is gone afterwards in any case."""
        if self.frozen:
            self.thaw()
        if self.alive:
            self.process.terminate()
        try:
            self.process.wait(timeout_s)
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
        self.kill()
        return ended


class Burner(Program):
    """One trading process with its reader. `direct`: nothing stands between it and the server."""

    role = "burner"

    def __init__(self, log: Log, folder: Path, config: dict[str, Any], *, direct: bool) -> None:
        self.config = config
        self.worker: str = config["worker_id"]
        self.scopes: tuple[str, ...] = tuple(config["scopes"])
        self.lease_ms: int = config["settings"]["lease_ms"]
        self.direct = direct
        self.left: bool | None = None
        self._log = log
        words = ("-m", "tests.soak.burner", json.dumps(config))
        super().__init__(words, folder, environment(), subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, name=f"reader-{self.worker}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # cut off by a kill
                    event = json.loads(line)
                    if event["kind"] == "end":
                        self.left = event["left"]
                    self._log.put(event)

    def kill(self) -> None:
        """As for any program; afterwards everything that it told has been read."""
        super().kill()
        self._reader.join(5.0)
        self._log.heard.pop(self.worker, None)


class RqWorker(Program):
    """One `killswitch-worker` process; its log is kept in a file."""

    role = "rq"

    def __init__(self, folder: Path, number: int, env: Mapping[str, str]) -> None:
        self.log_path = folder / f"rq-{number}.log"
        with self.log_path.open("wb") as output:
            super().__init__(("-m", "workers"), folder, environment(**env), output)
        self._name = ""

    @property
    def name(self) -> str:
        """Its worker id; empty until it has told it."""
        if not self._name:
            for event in self.events():
                if event.get("event") == "worker_started":
                    self._name = str(event["worker"])
        return self._name

    def events(self) -> Iterator[dict[str, Any]]:
        """What it logged so far."""
        for line in self.log_path.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)


class Venue(Program):
    """The venue process: it keeps what arrives, and refuses what a fence is above."""

    role = "venue"

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder / 'v'}"
        self.record = folder / "venue.jsonl"
        words = ("-m", "workers", "venue", "--listen", self.url, "--events", str(self.record))
        with (folder / "venue.log").open("ab") as output:
            super().__init__(words, folder, environment(), output)
        eventually((folder / "v").is_socket, timeout_s=20.0, why="the venue listens")


class _Notes:
    """Reads a file of JSON lines while others append to it."""

    def __init__(self, path: Path, log: Log) -> None:
        self.path = path
        self._log = log
        self._offset = 0

    def poll(self) -> None:
        """Takes up the lines that were finished since the last call."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                self._take(json.loads(line))
            except ValueError:
                continue  # a process was killed in the middle of a line, and another one went on behind it

    def _take(self, note: dict[str, Any]) -> None:
        raise NotImplementedError


class VenueFile(_Notes):
    """Reads what the venue noted; it speaks the common history already."""

    def _take(self, note: dict[str, Any]) -> None:
        self._log.put(note)


class EngineFile(_Notes):
    """Reads what an engine notes of itself, and tells it as events of the worker called `engine/NAME`."""

    def __init__(self, path: Path, engine: str, log: Log) -> None:
        super().__init__(path, log)
        self.worker = f"engine/{engine}"
        self._epoch = self._opened_ns = 0
        self.orders = 0

    def _take(self, note: dict[str, Any]) -> None:
        worker, log = self.worker, self._log
        if note["event"] == "order":
            self.orders += 1
            name, epoch, check, sent = note["order_id"], note["epoch"], note["check_ns"], note["sent_ns"]
            log.add("pass2", sent, worker=worker, epoch=epoch, start=check, order=name, reduces=True)
            log.add("send", sent, worker=worker, order=name, epoch=epoch)
            # Noted inside the permit's block, when the venue had it.
            log.add("release", sent, worker=worker, order=name)
        elif note["event"] == "opened":
            # Not told as a pass: of its end nothing is known, and the permission may have come after its beginning.
            self._epoch, self._opened_ns = note["epoch"], note["at_ns"]
        elif note["event"] == "blocked" and note["passed_ns"] > self._opened_ns:
            log.add("pass1", note["passed_ns"], worker=worker, epoch=self._epoch, start=note["passed_ns"])
