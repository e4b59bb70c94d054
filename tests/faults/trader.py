"""The test's end of a trading process: starts it, reads what it told, stops and wakes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from killswitch import clock
from tests.faults.trader_loop import (
    BLOCKED,
    BLOCKED_AT,
    EXIT,
    PASSED,
    PASSED_AT,
    POINTS,
    SIZE,
    STOP_AT,
    map_slots,
)
from tests.history.events import Event
from tests.support.fledglings import spawn
from tests.support.obeying import ask
from tests.support.waiting import eventually

TIMING = {"lease_ms": 400, "renew_ms": 80, "patience_ms": 200, "beat_ms": 250}
"""Short, so that a fault is over soon; long enough for a watcher that shares two cores with many."""

LEASE_NS = TIMING["lease_ms"] * clock.NS_PER_MS
PATIENCE_S = 20.0


class Tail:
    """A file of JSON lines that grows: each line is read once, and only when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Event] = []
        self._offset = 0

    def read(self) -> list[Event]:
        """All lines so far."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            self.lines += [json.loads(line) for line in whole.splitlines()]
        return self.lines


class Trading:
    """A trading process by what it writes and by its pid, whoever started it."""

    def __init__(self, folder: Path, worker_id: str, name: str) -> None:
        self.worker_id = worker_id
        self.account = Tail(folder / f"{name}.jsonl")
        self.slots_file = folder / f"{name}.slots"
        self.slots_file.write_bytes(bytes(SIZE))
        self.slots = map_slots(self.slots_file)
        self.pid = 0

    # -- what it did ---------------------------------------------------------------------------------------------

    def events(self, kind: str) -> list[Event]:
        """Its lines of this kind so far."""
        return [line for line in self.account.read() if line["kind"] == kind]

    def last_pass(self) -> int:
        """When the last check that passed was started; 0 if none ever did."""
        return int(self.slots[PASSED_AT])

    def checks(self) -> int:
        """How many checks it made."""
        return int(self.slots[PASSED] + self.slots[BLOCKED])

    def passes_again(self) -> int:
        """Waits until one more check has passed; when that one was started, or a later one."""
        before = self.slots[PASSED]
        eventually(lambda: self.slots[PASSED] > before, timeout_s=PATIENCE_S, why=f"{self.worker_id} passes")
        return self.last_pass()

    def first_pass(self, after_ns: int) -> int:
        """Waits until a check that was started after `after_ns` has passed; when the first one of them was started, of
        a gate that was closed until then."""

        def passed() -> int:
            passes = [line["start"] for kind in ("pass1", "pass2") for line in self.events(kind)]
            return min((int(start) for start in passes if start > after_ns), default=0)

        return eventually(passed, timeout_s=PATIENCE_S, why=f"{self.worker_id} passes")

    def checked_after(self, at_ns: int) -> None:
        """Waits until a check that was started after `at_ns` was blocked."""
        eventually(lambda: self.slots[BLOCKED_AT] > at_ns, timeout_s=PATIENCE_S, why=f"{self.worker_id} is blocked")

    def says(self, *codes: str) -> None:
        """Waits until the last reason it gave is one of `codes`."""

        def said() -> bool:
            found = self.events("view")
            return bool(found) and found[-1]["code"] in codes

        views = [(view["open"], view["code"]) for view in self.events("view")[-5:]]
        eventually(said, timeout_s=PATIENCE_S, why=f"{self.worker_id} says {sorted(codes)}; first it said {views}")

    # -- what is done to it --------------------------------------------------------------------------------------

    def is_stopped(self) -> bool:
        """Whether the kernel calls it stopped."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def stop_at(self, point: str) -> int:
        """Has it stop itself at a named point of its order path; returns a time at which it stood there."""
        self.slots[STOP_AT] = POINTS.index(point) + 1
        eventually(self.is_stopped, timeout_s=PATIENCE_S, why=f"{self.worker_id} stops at {point}")
        return clock.now_ns()

    def freeze(self) -> int:
        """Stops it wherever it is; returns a time at which it was stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        eventually(self.is_stopped, why=f"{self.worker_id} is stopped")
        return clock.now_ns()

    def wake(self) -> None:
        """Lets it go on."""
        os.kill(self.pid, signal.SIGCONT)


class Trader(Trading):
    """One trading process of its own. `hot_ms` of checks, one order, `rest_ms` of rest, and again."""

    def __init__(
        self,
        folder: Path,
        url: str,
        worker_id: str,
        *,
        scopes: Sequence[str] = (),
        sinks: Sequence[str] = (),
        venue: str = "",
        hot_ms: float = 1.5,
        rest_ms: float = 3.0,
        **changes: Any,
    ) -> None:
        super().__init__(folder, worker_id, worker_id)
        self.folder = folder
        self.output = folder / f"{worker_id}.log"
        config = {
            "slots": str(self.slots_file),
            "log": str(self.account.path),
            "settings": {"redis_url": url, **TIMING, **changes},
            "scopes": list(scopes),
            "sinks": list(sinks),
            "venue": venue,
            "worker_id": worker_id,
            "hot_ms": hot_ms,
            "rest_ms": rest_ms,
        }
        with self.output.open("wb") as log:
            self.process = spawn(
                "tests.faults.trader_program",
                [json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.pid = self.process.pid

    def ask(self, do: str, **values: Any) -> Any:
        """Has it obey one order; its answer."""
        return ask(self.process, self.output, {"do": do, **values})

    def fork(self) -> Trading:
        """Has it fork; the child trades as a worker of its own until its slot EXIT is set, or for a minute."""
        child = Trading(self.folder, "", f"{self.worker_id}-child")
        child.pid = self.ask("fork", slots=str(child.slots_file), log=str(child.account.path))
        child.worker_id = f"{self.worker_id}-{child.pid}"
        return child

    def leave(self) -> None:
        """Has it close its agent and end by itself."""
        self.slots[EXIT] = 1
        self.process.wait(PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        """Ends it at once, also when it is stopped."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                end.close()
