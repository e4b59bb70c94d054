"""What happened, as JSON lines: one event a line, times in ns on one clock.

On one machine the clock is `killswitch.clock.now_ns`, which all its processes share; in the simulation it is the true
virtual time, which no process there can see. The kinds and their fields stand in `KINDS`; `t` and `kind` belong to all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "Event", "History", "HistoryError"]

Event = dict[str, Any]

KINDS: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        # The run: its bounds in ms. `p2`: the server writes announcements before replies.
        "meta": "source seed lease_ms renew_ms rate_error split_ms p2",
        # One life of an agent, from before its first check to its end.
        "worker": "worker scopes lease_ms sinks",
        "gone": "worker",
        "end": "worker in_flight",
        # Checks that passed: `start` is when they began, `t` when they returned.
        "pass1": "worker epoch start",
        "pass2": "worker epoch start order reduces",
        # An order: handed to the venue's line, permit returned, at the venue.
        "send": "worker order epoch",
        "release": "worker order",
        "arrive": "sink session worker order token accepted fence",
        "fence": "sink session epoch fence",
        # The switch or a scope of one server: took effect between `from_t` and `t`. Epoch 0: by hand, not recorded.
        "state": "server scope mode epoch via looked from_t",
        # Bytes that announce the change of `changed` reached the worker's host (on one host: the operator read +OK).
        "announced": "worker changed",
        "lost": "server why",
        # An operator's command and its end.
        "op": "op action scope wait_s",
        "op_end": "op result epoch members pending leases_out",
        # What the run did to them, and when it stopped doing so.
        "fault": "name phase target",
        "phase": "name",
        # What a worker believed.
        "view": "worker open code epoch",
        # It, or "" for a server, was kept from running for so long, until then.
        "gap": "worker lasted",
        "answer": "worker sent",
    }.items()
}


class HistoryError(ValueError):
    """An event of an unknown kind or without its fields: a judge would look past it."""


class History:
    """A growing list of events. `events` may be read at any time."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: list[Event] = list(events)

    def add(self, kind: str, t: int, /, **values: Any) -> None:
        """Appends one event of `kind` at `t` ns."""
        self.events.append({"kind": kind, "t": t, **values})

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def validate(self) -> None:
        """Raises HistoryError for the first event that no check would understand."""
        for number, event in enumerate(self.events, 1):
            needed = KINDS.get(event.get("kind", ""))
            if needed is None:
                raise HistoryError(f"event {number} is of an unknown kind: {event}")
            if missing := needed - event.keys():
                raise HistoryError(f"event {number} lacks {', '.join(sorted(missing))}: {event}")
            if not isinstance(event.get("t"), int):
                raise HistoryError(f"event {number} has no time: {event}")

    def write(self, path: Path) -> None:
        """Writes one JSON object a line, in the order of their addition."""
        with path.open("w", encoding="utf-8") as file:
            for event in self.events:
                file.write(json.dumps(event, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path, *, growing: bool = False) -> History:
        """Reads what `write` wrote; where the file is `growing`, what is written so far of its last line is left out.
        Raises HistoryError for a line that is none."""
        data = path.read_bytes()
        if growing:
            data = data[: data.rfind(b"\n") + 1]
        found = []
        for number, line in enumerate(data.splitlines(), 1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise HistoryError(f"line {number} of {path.name} is no JSON: {error}") from None
        history = cls(found)
        history.validate()
        return history
