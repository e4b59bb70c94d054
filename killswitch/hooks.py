"""Calling what others registered: on the spot, or beside the caller.

Invariant: whoever tells is never held up and never meets an error. Beside the caller each callback has a thread of its
own behind a short queue: one that hangs holds up itself alone, and where its queue is full the oldest news goes, never
the newest. How many went is counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Generic, TypeVar

from killswitch.saying import say

__all__ = ["Hooks", "call_each"]

T = TypeVar("T")

_LOG = logging.getLogger("killswitch.hooks")
_MOST_WAITING = 64


def call_each(callbacks: Iterable[Callable[[T], None]], news: T) -> None:
    """Calls each on this thread; one that fails is logged, and the next one is called."""
    for callback in callbacks:
        try:
            callback(news)
        except Exception:
            say(_LOG.exception, "a callback failed; the gate is not affected")


class _Lane(Generic[T]):
    """One callback, its queue, and its thread, which is started with the first news."""

    def __init__(self, callback: Callable[[T], None], most: int) -> None:
        self.callback = callback
        self.dropped = 0
        self._waiting: deque[T] = deque(maxlen=most)
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # held for an instant, never while a callback runs

    def put(self, news: T) -> None:
        with self._lock:
            if len(self._waiting) == self._waiting.maxlen:
                self.dropped += 1
            self._waiting.append(news)  # a full queue loses its oldest by this
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="killswitch-hook", daemon=True)
                self._thread.start()
            if self._bell.empty():  # the bell rings once for all that waits
                self._bell.put(True)

    def end(self) -> None:
        self._bell.put(False)

    def _run(self) -> None:
        while True:
            going_on = self._bell.get()
            self._hand_over()
            while not going_on:
                with self._lock:  # whoever puts something now finds either this thread going on, or none
                    if not self._waiting:
                        self._thread = None
                        return
                self._hand_over()

    def _hand_over(self) -> None:
        while self._waiting:
            call_each([self.callback], self._waiting.popleft())


class Hooks(Generic[T]):
    """Callbacks that are called beside whoever tells. One thread tells; any thread adds."""

    def __init__(self, most_waiting: int = _MOST_WAITING) -> None:
        self._most = most_waiting
        self._lanes: list[_Lane[T]] = []

    @property
    def dropped(self) -> int:
        """News that a callback never got because it was too slow, over all callbacks."""
        return sum(lane.dropped for lane in self._lanes)

    def add(self, callback: Callable[[T], None]) -> None:
        """From now on calls `callback(news)`, on a thread of its own, in the order of the news."""
        self._lanes.append(_Lane(callback, self._most))

    def tell(self, news: T) -> None:
        """Hands `news` to every callback; never blocks, never raises."""
        for lane in list(self._lanes):
            try:
                lane.put(news)
            except RuntimeError:  # no thread to be had: it waits, and the next news tries again
                say(_LOG.warning, "no thread can be started for a callback; the gate is not affected")

    def end(self) -> None:
        """What was told is still handed over; then the threads end. Does not wait for them."""
        for lane in self._lanes:
            lane.end()

    def renew(self) -> None:
        """In the child of a fork, where the threads are not: the callbacks stay, what waited goes."""
        self._lanes = [_Lane(lane.callback, self._most) for lane in self._lanes]
