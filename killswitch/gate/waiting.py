"""Waiting for bytes or for a word from another thread: the one place where the watcher's thread stands still.

Invariant: a wake-up is never lost; one that comes before the wait ends it at once, and any number of them counts as
one. Only the watcher's thread watches, forgets and waits; any thread wakes, and never blocks by it. It fails closed:
after `close` a wake-up does nothing, and waiting raises, which ends the watcher and closes the gate. The end that
others ring is never closed under one of them: a byte sent to a number that was given back would go into somebody else's
line.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import Protocol

__all__ = ["Waiting", "make_waiting"]


class Waiting(Protocol):
    """The descriptors to wait on, and the bell that others ring."""

    def watch(self, fd: int) -> None:
        """From now on bytes at `fd`, or its end, end the wait."""
        ...

    def forget_all(self) -> None:
        """Stops watching every descriptor. Called before they are closed, by the numbers they were watched under.
        Harmless after `close`."""
        ...

    def wait(self, timeout_s: float | None) -> tuple[set[int], bool]:
        """Waits at most `timeout_s` seconds (None: for ever). Returns the readable descriptors, and whether somebody
        called `wake` since the last time."""
        ...

    def wake(self) -> None:
        """Ends the wait under way, or the next one. Any thread; never blocks, never raises."""
        ...

    def close(self) -> None:
        """Gives its own descriptors back, in the child of a fork without a word to anybody."""
        ...


_QUIETLY = getattr(socket, "MSG_NOSIGNAL", 0)  # nobody at the other end is no reason to end the process


class _Bell:
    """The end that others ring. It is closed when the last who holds it lets go."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def ring(self) -> None:
        with contextlib.suppress(OSError):
            self._end.send(b"!", _QUIETLY)

    def __del__(self) -> None:
        self._end.close()


class _Selected:
    """The best selector of this system, and a pair of sockets for the bell."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_in, wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        wake_out.setblocking(False)
        self._bell: _Bell | None = _Bell(wake_out)
        self._selector.register(self._wake_in, selectors.EVENT_READ)

    def watch(self, fd: int) -> None:
        self._selector.register(fd, selectors.EVENT_READ)

    def forget_all(self) -> None:
        # By the numbers kept here: a wire that broke names none any more.
        for fd, key in list((self._selector.get_map() or {}).items()):
            if key.fileobj is not self._wake_in:
                with contextlib.suppress(KeyError, ValueError, OSError):
                    self._selector.unregister(fd)

    def wait(self, timeout_s: float | None) -> tuple[set[int], bool]:
        ready = {key.fd for key, _ in self._selector.select(timeout_s)}
        bell = self._wake_in.fileno()
        woken = bell in ready
        if woken:
            ready.remove(bell)
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
        return ready, woken

    def wake(self) -> None:
        bell = self._bell  # held while it is rung
        if bell is not None:
            bell.ring()

    def close(self) -> None:
        self._selector.close()
        self._wake_in.close()
        self._bell = None


def make_waiting() -> Waiting:
    """What a watcher waits with."""
    return _Selected()
