"""What the product finds where its operating system would be: clock, sleep, descriptors to wait on, threads, sockets.

`installed` puts these in the place of the real ones for the length of a run, at the outermost names that the product's
modules hold. Everything above those names is the shipped code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import killswitch.clock as clock
from killswitch.control import controller as controller_module
from killswitch.control import fencing
from killswitch.gate import agent as agent_module
from killswitch.gate import gate as gate_module
from killswitch.gate import watcher as watcher_module
from killswitch.store import reach
from tests.simulation.kernel import Kernel, Process, Task
from tests.simulation.network import Network
from tests.simulation.sockets import SimSocket

__all__ = ["PausingBook", "SimReadiness", "SimWaiting", "installed"]

_WALL_MS = 1_760_000_000_000  # what wall clocks show when a run begins


class SimReadiness:
    """The set that every check asks, of one process."""

    def __init__(self, kernel: Kernel, network: Network, process: Process) -> None:
        self._kernel = kernel
        self._sockets = network.sockets.setdefault(process.name, {})
        self._watched: SimSocket | None = None
        self._is_closed = False
        self.ready: Callable[[int, int], object] = self._ready

    def _ready(self, _timeout: int, _limit: int) -> object:
        point = self._kernel.point
        point("before the socket")
        if self._is_closed:
            raise ValueError("I/O operation on closed epoll object")
        watched = self._watched
        # A descriptor that was closed leaves the set by itself.
        found = watched is not None and watched.is_readable and not watched.is_closed
        point("socket-picture")
        return found

    def watch(self, fd: int) -> None:
        if self._watched is not None and not self._watched.is_closed:
            raise FileExistsError(17, "File exists")
        self._watched = self._sockets[fd]
        self._kernel.point("registered")

    def forget(self, fd: int) -> None:
        if self._watched is not None and self._watched.fileno() == fd:
            self._watched = None

    def close(self) -> None:
        self._is_closed = True


class SimWaiting:
    """What a watcher waits with."""

    def __init__(self, kernel: Kernel, network: Network, process: Process) -> None:
        self._kernel = kernel
        self._process = process
        self._sockets = network.sockets.setdefault(process.name, {})
        self._watched: dict[int, SimSocket] = {}
        self._woken = False
        self._is_closed = False
        self._parked: Task | None = None

    def watch(self, fd: int) -> None:
        if fd in self._watched:
            raise KeyError(f"{fd} is registered already")
        found = self._watched[fd] = self._sockets[fd]
        found.readers.append(self)

    def forget_all(self) -> None:
        for found in self._watched.values():
            if self in found.readers:
                found.readers.remove(self)
        self._watched.clear()

    def readable(self) -> None:
        """A watched socket is."""
        if self._parked is not None:
            self._parked.wake()

    def wait(self, timeout_s: float | None) -> tuple[set[int], bool]:
        if self._is_closed:
            raise ValueError("I/O operation on closed epoll object")
        self._kernel.point("select")
        end = None
        if timeout_s is not None:
            end = self._kernel.now + self._process.true_duration(int(timeout_s * 1e9))
        ready = self._ready()
        while not ready and not self._woken and (end is None or self._kernel.now < end):
            self._parked = self._kernel.running()
            self._kernel.park(end)
            self._parked = None
            ready = self._ready()
        woken, self._woken = self._woken, False
        self._kernel.point("selected")
        return ready, woken

    def _ready(self) -> set[int]:
        return {fd for fd, found in self._watched.items() if found.is_readable and not found.is_closed}

    def wake(self) -> None:
        self._woken = True
        self.readable()

    def close(self) -> None:
        self._is_closed = True
        self.forget_all()


class PausingBook(dict[int, tuple[str, int]]):
    """Stands for the dictionary of held permits: each touch of it is a point at which a thread may be held up."""

    def __init__(self, kernel: Kernel, on_release: Callable[[str], None]) -> None:
        super().__init__()
        self._kernel = kernel
        self._on_release = on_release

    def setdefault(self, key: int, value: Any = None) -> Any:
        self._kernel.point("before announcing")
        found = super().setdefault(key, value)
        self._kernel.point("announced")
        return found

    def pop(self, key: int, default: Any = None) -> Any:
        if key not in self:
            return default  # also from a destructor, which runs anywhere and must not wait
        self._kernel.point("before release")
        found = super().pop(key, default)
        self._on_release(found[0])
        self._kernel.point("released")
        return found

    def __len__(self) -> int:
        self._kernel.point("before counting")
        found = super().__len__()
        self._kernel.point("counted")
        return found


class SimThreading:
    """`threading`, as the watcher uses it."""

    def __init__(self, kernel: Kernel) -> None:
        outer = self

        class Thread:
            """A thread of the process that makes it."""

            def __init__(self, target: Callable[[], None], name: str, daemon: bool) -> None:
                self._target = target
                self._name = name
                self._task: Task | None = None

            def start(self) -> None:
                self._task = kernel.running().process.spawn(self._name, self._target)
                outer.threads[self._task] = self

            def join(self) -> None:
                task = self._task
                assert task is not None
                while not task.is_done:
                    task.waiters.append(kernel.running())
                    kernel.park()

        self.kernel = kernel
        self.threads: dict[Task, Thread] = {}
        self.Thread = Thread

    def current_thread(self) -> object:
        return self.threads.get(self.kernel.running())


class SimLog:
    """A module's logger: errors of the product are kept, because none is expected."""

    def __init__(self, kernel: Kernel, errors: list[str]) -> None:
        self._kernel = kernel
        self._errors = errors

    def exception(self, text: str, *values: object) -> None:
        if not self._kernel.is_over:
            self._errors.append(f"{text % values}: {sys.exc_info()[1]!r}")

    def warning(self, text: str, *values: object) -> None:
        """Nothing to keep: a warning is about the world."""


class SimChance:
    """`secrets`, drawn from the seed."""

    def __init__(self, kernel: Kernel) -> None:
        self._rng = kernel.rng

    def token_hex(self, count: int) -> str:
        return f"{self._rng.getrandbits(8 * count):0{2 * count}x}"

    def randbits(self, count: int) -> int:
        return self._rng.getrandbits(count)


class _Clock:
    """The functions of `killswitch.clock`, for whichever process runs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def now_ns(self) -> int:
        return self._kernel.current.process.clock()  # type: ignore[union-attr]  # only tasks ask

    def gate_now_ns(self) -> int:
        """The clock as a check reads it: a thread may be held up before and after."""
        kernel = self._kernel
        kernel.point("picture-clock")
        found = kernel.current.process.clock()  # type: ignore[union-attr]  # only tasks ask
        kernel.point("clock-pass")
        return found

    def sleep(self, duration_s: float) -> None:
        kernel = self._kernel
        kernel.sleep(kernel.running().process.true_duration(int(duration_s * 1e9)))

    def wall_ms(self) -> int:
        return _WALL_MS + self._kernel.now // clock.NS_PER_MS


def _holders(name: str, home: ModuleType) -> list[ModuleType]:
    """The product's modules that hold what `home` calls `name`."""
    real = getattr(home, name)
    found = [module for key, module in sorted(sys.modules.items()) if key.startswith("killswitch.")]
    return [module for module in found if module is not home and getattr(module, name, None) is real]


# Everything that a run loads is loaded by now: the agent and the controller, which load the rest, are imported above.
_DOORS = (agent_module, controller_module)
_HOLDERS = {name: _holders(name, clock) for name in ("now_ns", "sleep", "wall_ms")}
_OPENERS = _holders("open_tcp", reach)
_SECRETS = [m for key, m in sorted(sys.modules.items()) if key.startswith("killswitch.") and hasattr(m, "secrets")]


def _replacements(
    kernel: Kernel, network: Network, errors: list[str], seals: bool
) -> Iterator[tuple[ModuleType, str, object]]:
    timer = _Clock(kernel)
    for name, modules in _HOLDERS.items():
        for module in modules:
            yield module, name, getattr(timer, name)
    yield gate_module, "now_ns", timer.gate_now_ns
    for module in _SECRETS:
        yield module, "secrets", SimChance(kernel)
    yield watcher_module, "threading", SimThreading(kernel)
    yield agent_module, "make_readiness", lambda: SimReadiness(kernel, network, kernel.running().process)
    yield agent_module, "make_waiting", lambda: SimWaiting(kernel, network, kernel.running().process)
    for module in (agent_module, watcher_module):
        yield module, "_LOG", SimLog(kernel, errors)

    def open_tcp(host: str, port: int, limit_s: float, tls: object = None) -> SimSocket:
        assert port
        assert not tls
        made = network.connect(kernel.running().process, host, limit_s)
        made.settimeout(limit_s)
        return made

    def spawn(name: str, work: Callable[[], None]) -> Task:
        if name == "killswitch-seal" and not seals:
            raise RuntimeError("can't start new thread")
        return kernel.running().process.spawn(name, work)

    yield fencing, "spawn", spawn
    for module in _OPENERS:
        yield module, "open_tcp", open_tcp


@contextmanager
def installed(kernel: Kernel, network: Network, errors: list[str], *, seals: bool) -> Iterator[None]:
    """For the length of a run. `errors` collects what the product logged as an error of its own; without `seals` there
    is never a thread to be had for sealing, which is most of what follows a change."""
    kept: list[tuple[ModuleType, str, object]] = []
    try:
        for module, name, value in _replacements(kernel, network, errors, seals):
            kept.append((module, name, getattr(module, name)))
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in reversed(kept):
            setattr(module, name, value)
