"""What a world's own records say about a stretch of time, and the row of evidence that is made of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from killswitch import Code, clock
from killswitch.clock import NS_PER_MS
from tests.evidence.record import record
from tests.faults.world import World
from tests.history.events import Event
from tests.support.waiting import InLine, beside

__all__ = ["Lateness", "closures", "codes", "last_pass", "late_sends", "lateness", "row", "sound"]

_NAP_S = 0.005
_NAPS = 10
"""Times that what is timed waits to be woken, each at most as late as the worst nap beside it."""


def _passes(world: World) -> list[Event]:
    return [event for event in world.everything() if event["kind"] in ("pass1", "pass2")]


def last_pass(world: World, before_ns: int) -> int:
    """When the last check before `before_ns` that passed, of all gates, was started; 0 where none did."""
    return max((int(event["start"]) for event in _passes(world) if event["start"] < before_ns), default=0)


def late_sends(world: World, after_ns: int, before_ns: int) -> int:
    """Orders whose check at gate 2 began between the two moments and passed."""
    return sum(event["kind"] == "pass2" and after_ns < event["start"] < before_ns for event in _passes(world))


def closures(world: World, since_ns: int = 0) -> int:
    """How often a gate was found closed, or closed for another reason than before."""
    return sum(e["kind"] == "view" and not e["open"] and e["t"] > since_ns for e in world.everything())


def codes(world: World, since_ns: int) -> frozenset[Code]:
    """Every reason that a gate gave after `since_ns`."""
    views = [e for e in world.everything() if e["kind"] == "view" and not e["open"] and e["t"] > since_ns]
    said = {str(event["code"]) for event in views}
    return frozenset(code for code in Code if code in said)


def sound(world: World) -> None:
    """Asserts that the judge finds nothing wrong with what happened since it was asked last."""
    violations = world.judge()
    assert violations == [], "\n".join(map(str, violations))


def row(
    world: World,
    fault: str,
    properties: tuple[str, ...] | str,
    *,
    closed_ns: int | None = None,
    bound_ns: int | None = None,
    sends_after: int = 0,
    recovered_ns: int | None = None,
    spurious: int = 0,
    timed_ms: dict[str, tuple[float, float]] | None = None,
    note: str = "",
) -> None:
    """One row of evidence; durations in ns, None where the fault has none. `timed_ms`: by property, what else was
    promised within a time, how long that took and how long it might take."""
    record(
        "faults",
        fault=fault,
        properties=properties if isinstance(properties, str) else " ".join(properties),
        server=world.switch.kind,
        closed_ms=None if closed_ns is None else round(max(0, closed_ns) / NS_PER_MS, 3),
        bound_ms=None if bound_ns is None else round(bound_ns / NS_PER_MS, 3),
        sends_after=sends_after,
        recovered_ms=None if recovered_ns is None else round(recovered_ns / NS_PER_MS, 1),
        spurious=spurious,
        timed_ms=timed_ms or {},
        note=note or f"{len(world.traders)} traders, {len(world.engines)} engines on {world.ticks}",
    )


class Lateness:
    """How late this machine lets a sleeper wake, and keeps those with `pids` in line for a processor: what a promise in
    ms is allowed on top, because it is not ours."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self.worst_ns = 0
        self._in_line = InLine(pids)

    def watch(self, ended: threading.Event) -> None:
        """Naps until told to end."""
        while not ended.is_set():
            begun = clock.now_ns()
            clock.sleep(_NAP_S)
            self.note(clock.now_ns() - begun - int(_NAP_S * 1e9))

    def note(self, late_ns: int) -> None:
        """A sleeper, here or in another process, was that late."""
        self.worst_ns = max(self.worst_ns, late_ns)

    @property
    def allowed_ns(self) -> int:
        """On top, for what happened so far."""
        return _NAPS * self.worst_ns + self._in_line.worst_ns


@contextmanager
def lateness(pids: Callable[[], Iterable[int]] = tuple) -> Iterator[Lateness]:
    """Measures while the block runs."""
    found = Lateness(pids)
    with beside(found.watch, "lateness"):
        yield found
