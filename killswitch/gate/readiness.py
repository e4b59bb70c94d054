"""Asking, without waiting, whether anything has arrived on the push socket.

Invariant: while a socket is registered and holds unread bytes (or its end), every check says "ready", from any
thread. The watcher registers a socket before the gate can open and empties it only after it has closed the gate. It
fails closed: an error while asking counts as "ready", and "ready" blocks.

A set is never closed under a check. CPython reads the number of an epoll set after it has let other threads run; were
the set closed in that moment, the check would ask a number that is somebody else's by now, perhaps the set of the next
agent, and take an event there that is not its own. So the owner lets go of a set instead (`SHUT` takes its place):
whoever is asking it holds it, and its descriptor is given back when the last of them has its answer, and at once where
nobody is. Before it lets go the picture is closed for good, and a check loads the picture after it asked.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from typing import Protocol

__all__ = ["SHUT", "Readiness", "make_readiness"]


class Readiness(Protocol):
    """One set of at most one descriptor. `ready(0, 1)` is truthy when it is readable; the arguments are those of epoll
    (no waiting, room for one event: for the default thousand, memory would be taken on every call)."""

    ready: Callable[[int, int], object]

    def watch(self, fd: int) -> None:
        """Starts watching `fd`."""
        ...

    def forget(self, fd: int) -> None:
        """Stops watching `fd`; harmless when it is not watched."""
        ...

    def close(self) -> None:
        """Gives the descriptor of the set back while others may hold the set: in the child of a fork, where those who
        did are no more. Elsewhere let go of it."""
        ...


class _Epoll:
    """Linux. The set lives in the kernel, so any number of threads may ask at once."""

    def __init__(self) -> None:
        self._set = select.epoll()
        self.ready: Callable[[int, int], object] = self._set.poll

    def watch(self, fd: int) -> None:
        self._set.register(fd, select.EPOLLIN | select.EPOLLRDHUP)

    def forget(self, fd: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._set.unregister(fd)

    def close(self) -> None:
        self._set.close()


class _Poll:
    """Elsewhere. A poll object must not be used by two threads at once, so each check makes its own."""

    def __init__(self) -> None:
        self._fd = -1
        self.ready: Callable[[int, int], object] = self._ask

    def _ask(self, timeout: int, limit: int) -> object:
        fd = self._fd
        if fd < 0:
            return False
        asked = select.poll()
        asked.register(fd, select.POLLIN)
        return asked.poll(0)

    def watch(self, fd: int) -> None:
        self._fd = fd

    def forget(self, fd: int) -> None:
        if self._fd == fd:
            self._fd = -1

    def close(self) -> None:
        self._fd = -1


class _Select(_Poll):
    """Where there is no poll, as on Windows."""

    def _ask(self, timeout: int, limit: int) -> object:
        fd = self._fd
        return fd >= 0 and bool(select.select([fd], [], [], 0)[0])


class _Shut:
    """No set: before the start and after the end. Always ready, so that nothing passes whatever the picture says."""

    def __init__(self) -> None:
        self.ready: Callable[[int, int], object] = lambda _timeout, _limit: True

    def watch(self, fd: int) -> None:
        raise ValueError("the gate has no set to watch a socket with: its agent was not started, or was closed")

    def forget(self, fd: int) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to give back."""


SHUT: Readiness = _Shut()
"""What a gate asks that nobody watches for."""


def make_readiness() -> Readiness:
    """The best that this system offers: epoll, else poll, else select."""
    if hasattr(select, "epoll"):
        return _Epoll()
    return _Poll() if hasattr(select, "poll") else _Select()
