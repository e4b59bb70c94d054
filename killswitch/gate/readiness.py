"""Asking, without waiting, whether anything has arrived on the push socket.

Invariant: while a socket is registered and holds unread bytes (or its end), every check says "ready", from any
thread. The watcher registers a socket before the gate can open and empties it only after it has closed the gate. It
fails closed: an error while asking counts as "ready", and "ready" blocks.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable
from typing import Protocol

__all__ = ["Readiness", "make_readiness"]


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
        """Gives the descriptor of the set back."""
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


def make_readiness() -> Readiness:
    """The best that this system offers: epoll, else poll, else select."""
    if hasattr(select, "epoll"):
        return _Epoll()
    return _Poll() if hasattr(select, "poll") else _Select()
