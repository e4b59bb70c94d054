"""Waiting and measuring in tests: always bounded, always with the reason. Pure rules need none of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from killswitch import clock

T = TypeVar("T")

_TASKS = Path("/proc/self/task")


def eventually(predicate: Callable[[], T], *, timeout_s: float = 20.0, why: str) -> T:
    """The first true value of `predicate`, asked every 5 ms; an AssertionError that says `why` after `timeout_s`.

    What is promised within a time is measured; this limit is no promise, only the end of a test that fails.
    """
    deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
    while not (value := predicate()):
        assert clock.now_ns() < deadline_ns, f"not within {timeout_s:g} s: {why} (last value {value!r})"
        clock.sleep(0.005)
    return value


def _in_line_ns() -> int:
    """For how long the threads of this process have stood in line for a processor; 0 where the kernel does not tell."""
    found = 0
    for task in _TASKS.glob("*/schedstat"):
        try:
            found += int(task.read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return found


class Stopwatch:
    """The time since it was made, or since `begin`, less the time for which this process stood in line for a processor.
    A promise in seconds is about the product, and not about what else a machine has to do meanwhile."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Counts from now on."""
        self._began_ns, self._in_line_ns = clock.now_ns(), _in_line_ns()

    @property
    def took_s(self) -> float:
        """Seconds."""
        waited_ns = max(0, _in_line_ns() - self._in_line_ns)  # threads that ended have taken theirs along
        return (clock.now_ns() - self._began_ns - waited_ns) / 1e9
