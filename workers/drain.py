"""From SIGTERM to the end of the process, in bounded time.

A signal handler may interrupt any line of the main thread, so it only leaves a note in a queue made for that
(`SimpleQueue.put` is reentrant). A thread of its own does what takes time: it tells the running job to stop and
watches the clock. A second signal shortens the time that is left; it never kills the job half-way, and the job is
not lost.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType

from killswitch import clock
from workers import logs

__all__ = ["Drain"]

_HURRY_S = 1.0
_END = 0


class Drain:
    """`begin(signal name)` is called once and `overrun()` when the time is up, both on the drain's thread.

    `wake()` is called by the signal handler and must be reentrant.
    """

    def __init__(
        self, drain_s: float, *, wake: Callable[[], None], begin: Callable[[str], None], overrun: Callable[[], None]
    ) -> None:
        self._drain_s = drain_s
        self._wake = wake
        self._begin = begin
        self._overrun = overrun
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="worker-drain", daemon=True)
        self._log = logs.get()
        self.requested = False
        """Whether the process was asked to end."""

    def install(self) -> None:
        """Takes over SIGTERM and SIGINT. Main thread only."""
        self._thread.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def request(self) -> None:
        """Asks the process to end, as a signal does. Any thread."""
        self._on_signal(signal.SIGTERM, None)

    def done(self) -> None:
        """The process is ending by itself: the clock is not watched any more."""
        self._signals.put(_END)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._signals.put(number)
        self._wake()

    def _run(self) -> None:
        first = self._signals.get()
        if first == _END:
            return
        deadline_ns = clock.now_ns() + int(self._drain_s * 1e9)
        self._begin(signal.Signals(first).name)
        while True:
            try:
                number = self._signals.get(timeout=max(0.0, (deadline_ns - clock.now_ns()) / 1e9))
            except queue.Empty:
                self._overrun()
                return
            if number == _END:
                return
            deadline_ns = min(deadline_ns, clock.now_ns() + int(_HURRY_S * 1e9))
            self._log.warning("worker_hurried", signal=signal.Signals(number).name, left_s=_HURRY_S)
