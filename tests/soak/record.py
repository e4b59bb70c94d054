"""What the switch said and when, put together at the end of each window from two sources that check each other.

The audit stream has the order of all recorded changes and the server's milliseconds; operators have when they asked and
when they were answered. A change took effect within both. Changes by hand have an operator's times and, later, a
record. So a command whose answer was lost is known as soon as it was recorded, and one that was answered with an epoch
must have exactly one entry (P10).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from killswitch import clock
from tests.history.checker import Violation
from tests.support.resp import RawLine, ReplyError

__all__ = ["Pressed", "Record"]

_TAG = re.compile(r"#(\d+)\b")
_SLACK_NS = 3_000_000
"""The server's milliseconds and ours are cut off, and the offset of the two clocks is read anew each time."""
_PORTION = 1000


@dataclass(slots=True)
class Pressed:
    """One command and how it ended. `ok_ns` is when its success was read; 0 where there was none."""

    tag: int
    means: str
    action: str
    scope: str
    begin_ns: int
    mode: str
    ok_ns: int = 0
    end_ns: int = 0
    result: str = "unreachable"
    epoch: int = 0
    looked: int | None = None
    members: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    sinks: dict[str, list[str]] = field(default_factory=dict)
    waited_ms: float = 0.0
    leases_out: bool = False
    note: str = ""
    took_ms: float | None = None
    """From its success to its end, less what its thread stood in line for a processor."""


@dataclass(slots=True)
class _State:
    """One `state` event in the making."""

    scope: str
    mode: str
    epoch: int
    via: str
    from_ns: int
    until_ns: int
    tag: int = 0
    looked: int | None = None


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


class Record:
    """Notes of one window."""

    def __init__(self, line: Callable[[], RawLine]) -> None:
        self._line = line
        self._last_entry = "-"
        self._pressed: dict[int, Pressed] = {}
        self._entries: list[_State] = []
        self._ends: list[_State] = []

    def pressed(self, done: Pressed) -> None:
        """A command that begins; it is filled in while it goes on."""
        self._pressed[done.tag] = done

    def ran_out(self, from_ns: int, until_ns: int) -> None:
        """A permission for a while that ended by itself."""
        self._ends.append(_State("switch", "ENGAGED", 0, "expiry", from_ns, until_ns))

    def sync(self) -> None:
        """Takes up new entries of the audit stream: before something destroys it, and at the end of a window.

        Raises OSError where the server is gone.
        """
        while True:
            try:
                with self._line() as line:
                    found = line.call("XRANGE", "killswitch:audit", self._last_entry, "+", "COUNT", _PORTION)
            except ReplyError:  # something else lies there; the next change moves it aside
                return
            to_boot = clock.now_ns() - clock.wall_ms() * 1_000_000
            entries: list[Any] = found if isinstance(found, list) else []
            for entry_id, fields in entries:
                self._last_entry = f"({entry_id}"
                note = dict(zip(fields[::2], map(_text, fields[1::2]), strict=True))
                if "kind" not in note:  # else it is no change, but what came of one
                    self._entries.append(self._entry(note, to_boot))
            if len(entries) < _PORTION:
                return

    def _entry(self, note: dict[str, str], to_boot: int) -> _State:
        at_ns = int(note["at_ms"]) * 1_000_000 + to_boot
        mode = note["to"].split(" (")[0]
        by_hand = note["via"] in ("raw", "expiry", "incarnation")
        tag = _TAG.search(note["to"] if by_hand else note["reason"])
        return _State(
            note["scope"],
            mode if mode in ("SAFE", "REDUCING") else "ENGAGED",
            int(note["epoch"]),
            note["via"],
            at_ns - _SLACK_NS,
            at_ns + _SLACK_NS,
            int(tag[1]) if tag else 0,
        )

    # -- the end of a window -------------------------------------------------------------------------------------

    def settle(self) -> tuple[list[dict[str, Any]], list[Violation]]:
        """The `state` events of the window, and where record and operators contradict each other."""
        commands = {tag: done for tag, done in self._pressed.items() if done.end_ns}
        wrong = list(self._missing(commands.values()))
        for entry in self._entries:
            done = commands.get(entry.tag) if entry.via not in ("raw", "expiry", "incarnation") else None
            if done is not None:
                entry.from_ns, entry.looked = done.begin_ns, done.looked
                entry.until_ns = done.ok_ns or entry.until_ns
        self._tighten(self._entries)
        by_hand = [self._by_hand(done) for done in commands.values() if done.ok_ns and not done.epoch]
        states = [*self._entries, *by_hand, *self._ends]
        self._pressed = {tag: done for tag, done in self._pressed.items() if not done.end_ns}
        self._entries, self._ends = [], []
        return [self._event(state) for state in states], wrong

    def _missing(self, commands: Iterable[Pressed]) -> Iterator[Violation]:
        tags = Counter(entry.tag for entry in self._entries if entry.via not in ("raw", "expiry", "incarnation"))
        epochs = {(entry.tag, entry.epoch) for entry in self._entries}
        for done in commands:
            name = f"{done.action} #{done.tag} by {done.means}, epoch {done.epoch}"
            if done.epoch and (done.tag, done.epoch) not in epochs and done.action != "engage":
                yield Violation("P10", done.end_ns, f"{name} is not in the record")
            if done.epoch and not tags[done.tag]:
                yield Violation("P10", done.end_ns, f"{name} has no entry")
            if tags[done.tag] > 1:
                yield Violation("P10", done.end_ns, f"{name} has {tags[done.tag]} entries")

    @staticmethod
    def _tighten(entries: list[_State]) -> None:
        """Each took effect after the one before it and before the one behind it."""
        until = 1 << 62
        for entry in reversed(entries):
            until = entry.until_ns = min(entry.until_ns, until)
        since = 0
        for entry in entries:
            since = entry.from_ns = max(entry.from_ns, since)
            entry.from_ns = min(entry.from_ns, entry.until_ns)

    def _by_hand(self, done: Pressed) -> _State:
        """A change by hand, which was there before its record was, however late its +OK was read."""
        until = done.ok_ns
        for entry in self._entries:
            same = entry.via == "raw" and entry.scope == done.scope and entry.tag in (0, done.tag)
            if same and entry.until_ns >= done.begin_ns:
                until = min(until, entry.until_ns - 1)
                break
        return _State(done.scope, done.mode, 0, "raw", min(done.begin_ns, until), until)

    @staticmethod
    def _event(state: _State) -> dict[str, Any]:
        return {
            "kind": "state",
            "t": state.until_ns,
            "server": "switch",
            "scope": state.scope,
            "mode": state.mode,
            "epoch": state.epoch,
            "via": state.via,
            "looked": state.looked,
            "from_t": state.from_ns,
        }
