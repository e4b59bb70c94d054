"""What everybody saw, collected from many threads and handed over one window at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from killswitch import clock
from tests.history.events import Event

__all__ = ["Log"]

_GAPS_KEPT = 4096


class Log:
    """Events of the window in hand. Memory is bounded: `take` hands them over and keeps what is younger."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self.heard: dict[str, int] = {}
        """Per worker, up to when it has told everything."""
        self.gaps: deque[tuple[int, int]] = deque(maxlen=_GAPS_KEPT)
        """When a process of the soak was kept from running, and for how long (ns): the machine's doing."""
        self.counts: dict[str, int] = {}

    def add(self, kind: str, at_ns: int, /, **values: Any) -> None:
        """One event, by any thread."""
        self.put({"kind": kind, "t": at_ns, **values})

    def put(self, event: Event) -> None:
        """One event that was told by another process, by any thread."""
        with self._lock:
            if event["kind"] == "mark":
                self.heard[event["worker"]] = event["t"]
                self._gap(event["t"], event["gap"])
                return
            self.counts[event["kind"]] = self.counts.get(event["kind"], 0) + 1
            self._events.append(event)

    def note_gap(self, at_ns: int, gap_ns: int) -> None:
        """Notes a time without running that is longer than a nap, by any thread."""
        with self._lock:
            self._gap(at_ns, gap_ns)

    def _gap(self, at_ns: int, gap_ns: int) -> None:
        if gap_ns > 30_000_000:
            self.gaps.append((at_ns, gap_ns))

    def longest_gap(self, from_ns: int, to_ns: int) -> int:
        """The longest time, in ns, that some process was kept from running between two moments."""
        with self._lock:
            found = [gap for at, gap in self.gaps if at >= from_ns and at - gap <= to_ns]
        return max(found, default=0)

    def since(self, at_ns: int, kind: str, worker: str | None = None) -> list[Event]:
        """Events of `kind` from `at_ns` on, as far as they were told."""
        with self._lock:
            return [
                event
                for event in self._events
                if event["kind"] == kind and event["t"] >= at_ns and worker in (None, event["worker"])
            ]

    def all_heard(self, workers: list[str], until_ns: int, timeout_s: float = 5.0) -> bool:
        """Waits until each of `workers` has told everything up to `until_ns`."""
        deadline = clock.now_ns() + int(timeout_s * 1e9)
        while clock.now_ns() < deadline:
            if all(self.heard.get(worker, 0) >= until_ns for worker in workers):
                return True
            clock.sleep(0.005)
        return False

    def take(self, until_ns: int) -> list[Event]:
        """Everything up to `until_ns`, which is then forgotten here."""
        with self._lock:
            taken = [event for event in self._events if event["t"] <= until_ns]
            self._events = [event for event in self._events if event["t"] > until_ns]
        return taken
