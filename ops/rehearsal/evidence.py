"""What the engines wrote down themselves while they ran, read back line by line.

A line that cannot be read is no small matter here: what it said is unknown, so the count of such lines goes into the
verdict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Event", "EventFile"]

Event = Mapping[str, Any]

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "order": ("check_ns", "sent_ns", "epoch"),
    "refused": ("check_ns",),
    "opened": ("at_ns", "checks"),
    "blocked": ("at_ns", "checks", "passed_ns"),
    "closed": ("at_ns",),
    "cancelled": ("at_ns", "count"),
}


class EventFile:
    """The events of one engine, read as far as they are written; `read` goes on where it left off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.events: list[Event] = []
        self.unreadable = 0
        """Complete lines that are no event."""

    def read(self) -> list[Event]:
        """All events so far."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return self.events
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            event = _event(line)
            if event is None:
                self.unreadable += 1
            else:
                self.events.append(event)
        return self.events

    def count(self, kind: str) -> int:
        """How many events of this kind there are so far."""
        return sum(event["event"] == kind for event in self.read())


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    needed = _NEEDED.get(event["event"], ())
    return event if all(type(event.get(name)) is int for name in needed) else None
