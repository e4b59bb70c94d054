"""Waiting and measuring in tests: always bounded, always with the reason. Pure rules need none of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from killswitch import clock

T = TypeVar("T")

_PROCESSES = Path("/proc")


def eventually(predicate: Callable[[], T], *, timeout_s: float = 20.0, why: str) -> T:
    """The first true value of `predicate`, asked every 5 ms; an AssertionError that says `why` after `timeout_s`.

    What is promised within a time is measured; this limit is no promise, only the end of a test that fails.
    """
    deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
    while not (value := predicate()):
        assert clock.now_ns() < deadline_ns, f"not within {timeout_s:g} s: {why} (last value {value!r})"
        clock.sleep(0.005)
    return value


def _threads_in_line(pid: int | None = None) -> dict[str, int]:
    """For how long each thread of a process (None: this one) has stood in line for a processor, in ns; nothing where
    the kernel does not tell, or the process is gone."""
    found = {}
    with contextlib.suppress(OSError):
        for task in (_PROCESSES / ("self" if pid is None else str(pid)) / "task").glob("*/schedstat"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                found[task.parent.name] = int(task.read_text().split()[1])
    return found


def in_line_ns(pid: int | None = None) -> int:
    """For how long the threads of a process (None: this one) have stood in line for a processor, all together."""
    return sum(_threads_in_line(pid).values())


def my_line_ns() -> int:
    """For how long this thread has stood in line for a processor; 0 where the kernel does not tell."""
    try:
        return int((_PROCESSES / "thread-self" / "schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


class InLine:
    """For how long processes have stood in line for a processor since this was made. `pids` is asked each time: one
    that came later counts from its start, one that is gone counts no more."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._before = self._threads()

    def _threads(self) -> dict[str, int]:
        return {thread: waited for pid in self._pids() for thread, waited in _threads_in_line(pid).items()}

    @property
    def worst_ns(self) -> int:
        """Of the thread that had to wait the longest: they wait side by side."""
        return max((waited - self._before.get(thread, 0) for thread, waited in self._threads().items()), default=0)


@contextlib.contextmanager
def beside(work: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """Runs `work` on a thread of its own while the block runs; it is to return soon once its event is set."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,), name=name)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Stopwatch:
    """The time since it was made, or since `begin`, less the time for which this process stood in line for a processor.
    A promise in seconds is about the product, and not about what else a machine has to do meanwhile."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Counts from now on."""
        self._began_ns, self._in_line_ns = clock.now_ns(), in_line_ns()

    @property
    def took_s(self) -> float:
        """Seconds."""
        waited_ns = max(0, in_line_ns() - self._in_line_ns)  # threads that ended have taken theirs along
        return (clock.now_ns() - self._began_ns - waited_ns) / 1e9
