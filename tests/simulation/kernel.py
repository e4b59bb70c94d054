"""Virtual time and simulated threads: one thing happens at a time, and the seed decides which.

A `Process` has threads (`Task`, a greenlet each) and a clock of its own, which runs fast or slow. A task gives the
processor away only where it calls into the kernel, and the kernel goes on with whatever is due first. Nothing here
reads a real clock, a real socket or chance other than the generator it was given, so a seed is a run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

__all__ = ["MS", "SECOND", "US", "Kernel", "Process", "Task"]

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000
_MILLION = 1_000_000


class Task:
    """One thread. It runs until it parks; `wake` or its time limit makes it run again."""

    __slots__ = (
        "_caught",
        "_caught_when",
        "_greenlet",
        "_kernel",
        "_token",
        "_woken",
        "deferred",
        "is_done",
        "is_stopped",
        "name",
        "process",
        "waiters",
    )

    def __init__(self, kernel: Kernel, process: Process, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self.process = process
        self.is_done = False
        self.is_stopped = False
        self.deferred: list[tuple[Task, int, tuple[Any, ...]]] = []
        self.waiters: list[Task] = []  # who joins it
        self._kernel = kernel
        self._caught: Callable[[], None] | None = None
        self._caught_when: Callable[[], bool] = lambda: True
        self._woken = -1
        self._token = 0  # what wakes an earlier sleep must not end this one
        self._greenlet = greenlet(self._main, kernel.hub)
        kernel.at(kernel.now + kernel.latency(), self._go, 0, run)

    def _main(self, run: Callable[[], None]) -> None:
        run()
        self.finish()

    def finish(self) -> None:
        """It never runs again; whoever joins it goes on."""
        self.is_done = True
        for waiter in self.waiters:
            waiter.wake()

    def wake(self) -> None:
        """Makes a parked task run soon; harmless when it runs, and once is enough."""
        if self._woken != self._token:
            self._woken = self._token
            kernel = self._kernel
            kernel.at(kernel.now + kernel.latency(), self._go, self._token)

    def wake_at(self, t: int) -> None:
        """Makes the park under way end at `t` (true ns) at the latest."""
        self._kernel.at(t, self._go, self._token)

    def _go(self, token: int, *first: Any) -> None:
        if token != self._token or self.is_done:
            return
        if self._caught is not None and self._caught_when():
            caught, self._caught = self._caught, None
            caught()
        if self.process.is_stopped or self.is_stopped:
            (self.deferred if self.is_stopped else self.process.deferred).append((self, token, first))
            return
        self._token += 1
        kernel = self._kernel
        kernel.current = self
        self._greenlet.switch(*first)
        kernel.current = None

    def again(self, token: int, first: tuple[Any, ...]) -> None:
        """Does what was put off while it was stopped."""
        self._go(token, *first)

    def catch(self, caught: Callable[[], None], when: Callable[[], bool] = lambda: True) -> None:
        """Calls `caught`, which may stop it, when it would run next and `when` holds."""
        self._caught, self._caught_when = caught, when

    def let_go(self) -> None:
        """Whoever wanted to catch it has given up."""
        self._caught = None

    def stop(self) -> None:
        """Gets no processor from now on."""
        self.is_stopped = True

    def resume(self) -> None:
        """Gets one again."""
        self.is_stopped = False
        deferred, self.deferred = self.deferred, []
        for task, token, first in deferred:
            self._kernel.at(self._kernel.now + self._kernel.latency(), task.again, token, first)

    def throw_away(self) -> None:
        """At the end of a run: unwinds what it was doing, so that nothing of it outlives the run."""
        if self._greenlet and not self._greenlet.dead:
            self._kernel.current = self
            self._greenlet.throw(GreenletExit)
            self._kernel.current = None


class Process:
    """Threads that share a clock and a fate. `ppm`: how much too fast its clock runs, in millionths."""

    def __init__(self, kernel: Kernel, name: str, ppm: int = 0, offset_ns: int = 0) -> None:
        self.name = name
        self.kernel = kernel
        self.is_stopped = False
        self.is_dead = False
        self.is_held_up = True  # at named points; an operator's tool is not, because it has promised to end in time
        self.deferred: list[tuple[Task, int, tuple[Any, ...]]] = []
        self.tasks: list[Task] = []
        self.on_death: list[Callable[[], None]] = []
        self.on_held_up: Callable[[], None] = lambda: None  # while one of its threads is, where it decides most
        self._ppm = ppm
        self._offset_ns = offset_ns

    def clock(self) -> int:
        """What its clock shows now, in ns."""
        return self._offset_ns + self.kernel.now * (_MILLION + self._ppm) // _MILLION

    def true_time(self, local_ns: int) -> int:
        """When its clock showed `local_ns` (true ns)."""
        return -((self._offset_ns - local_ns) * _MILLION // (_MILLION + self._ppm))

    def true_duration(self, local_ns: int) -> int:
        """How long `local_ns` of its clock last, at least 1 us: a timer always takes some time."""
        found = local_ns * _MILLION // (_MILLION + self._ppm) + 1
        return found if found > US else US

    def spawn(self, name: str, run: Callable[[], None]) -> Task:
        """Starts a thread."""
        task = Task(self.kernel, self, f"{self.name}.{name}", run)
        self.tasks.append(task)
        self.kernel.tasks.append(task)
        return task

    def stop(self) -> None:
        """SIGSTOP."""
        self.is_stopped = True

    def resume(self) -> None:
        """SIGCONT: what was due meanwhile is done now, in any order."""
        self.is_stopped = False
        deferred, self.deferred = self.deferred, []
        self.kernel.rng.shuffle(deferred)
        for task, token, first in deferred:
            self.kernel.at(self.kernel.now + self.kernel.latency(), task.again, token, first)

    def kill(self) -> None:
        """kill -9: no thread runs another line; the kernel closes what it held."""
        if self.is_dead:
            return
        self.is_dead, self.is_stopped = True, False
        for task in self.tasks:
            task.finish()
        for action in self.on_death:
            action()


class Kernel:
    """The heap of what is due. `chances` gives the named points of this run at which a task may be held up."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.now = 0
        self.current: Task | None = None
        self.tasks: list[Task] = []
        self.is_over = False
        self.chances: dict[str, float] = {}
        self.heat = 1.0  # how much likelier that is just now
        self.calm_from = 1 << 62  # from here on nobody is held up
        self.pause_ns: Callable[[], int] = lambda: US
        self._heap: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._number = 0
        self.hub = getcurrent()

    def at(self, t: int, call: Callable[..., object], *args: Any) -> None:
        """Calls `call(*args)` at `t` (true ns), on no task."""
        self._number += 1
        heapq.heappush(self._heap, (t, self._number, call, args))

    def latency(self) -> int:
        """How long a thread that may run waits for a processor and the interpreter: mostly microseconds."""
        chance = self.rng.random()
        return int(chance * 40 * US) if chance < 0.98 else int((chance - 0.98) * 250 * MS)

    def run(self, until: int) -> None:
        """Goes on to `until` (true ns)."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, call, args = pop(heap)
            call(*args)
        self.now = until

    def running(self) -> Task:
        """The task that runs now."""
        if self.current is None:
            raise AssertionError("only a task can wait")
        return self.current

    def park(self, until: int | None = None) -> None:
        """The running task waits until somebody wakes it, or until `until` (true ns)."""
        if self.is_over:
            raise GreenletExit
        task = self.running()
        if until is not None:
            task.wake_at(until if until > self.now else self.now)
        self.hub.switch()

    def sleep(self, duration_ns: int) -> None:
        """The running task waits for `duration_ns` (true ns)."""
        end = self.now + duration_ns
        while self.now < end:
            self.park(end)

    def point(self, name: str) -> None:
        """A place at which the running task may be held up, if the run says so."""
        chance = self.chances.get(name)
        if chance is not None and not self.is_over and self.rng.random() < chance * self.heat and self._may_be_held():
            pause_ns = min(self.pause_ns(), max(self.calm_from - self.now, 0))
            if self.heat > 1.0:
                # What a pause breaks is seen only by others of its process that go on meanwhile.
                moment = self.now + int(self.rng.random() * pause_ns)
                self.at(moment, self.running().process.on_held_up)
            self.sleep(pause_ns)

    def _may_be_held(self) -> bool:
        return self.current is not None and self.current.process.is_held_up

    def end(self) -> None:
        """Unwinds every task. Afterwards nothing of the run is alive."""
        self.is_over = True
        for task in self.tasks:
            task.throw_away()
        self._heap.clear()
