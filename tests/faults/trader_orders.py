"""Faults from inside a trading process: orders that come on stdin, one JSON line each, answered on stdout."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import resource
import signal
import sys
import threading
from pathlib import Path

from killswitch import clock
from tests.faults.strike import WATCHER, strike
from tests.faults.trader_loop import EXIT, Account, Nowhere, Trader, map_slots, run

__all__ = ["Obey"]

_CHILD_S = 60
_DESCRIPTORS = 200


class Obey:
    """Orders on stdin, one JSON line each, answered on stdout: faults from inside the process."""

    def __init__(self, trader: Trader) -> None:
        self.trader = trader
        self.agent = trader.agent
        self._files: list[int] = []
        self._takes = threading.Event()
        self._taken = threading.Event()

    def serve(self) -> None:
        """Until stdin ends."""
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(getattr(self, f"do_{order.pop('do')}")(**order)), flush=True)
        self.trader.slots[EXIT] = 1

    def do_hold_interpreter(self, how: str, ms: int) -> list[int]:
        """One call that keeps every other thread of this process waiting for about `ms`; when it began and ended."""
        hold = {"sum": _add_up, "re": _match_badly, "gc": _collect_rings}[how]
        size = 1000 if how != "re" else 12
        while True:  # larger until it is long enough: how fast this machine is nobody knows beforehand
            begun = clock.now_ns()
            hold(size)
            ended = clock.now_ns()
            if ended - begun >= ms * clock.NS_PER_MS:
                return [begun, ended]
            size = size + 1 if how == "re" else int(size * 1.5)

    def do_take_descriptors(self) -> None:
        """From now on every descriptor that is free is taken, also those that others give back a moment later."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self._takes.set()
        self._taken.clear()
        threading.Thread(target=self._take, daemon=True).start()
        self._taken.wait()

    def _take(self) -> None:
        while self._takes.is_set():
            with contextlib.suppress(OSError):
                while True:
                    self._files.append(os.open(os.devnull, os.O_RDONLY))
            self._taken.set()
            clock.sleep(0.0001)
        while self._files:
            os.close(self._files.pop())

    def do_give_descriptors(self) -> None:
        """They are given back."""
        self._takes.clear()

    def do_watches(self) -> bool:
        """Whether the watcher thread lives."""
        return any(thread.name == WATCHER for thread in threading.enumerate())

    def do_fork(self, slots: str, log: str) -> int:
        """Forks a child that trades with the same agent object under its own name; returns its pid."""
        pid = os.fork()
        if pid:
            return pid
        with contextlib.suppress(BaseException):
            signal.alarm(_CHILD_S)  # nobody's leash holds it
            child = map_slots(Path(slots))
            account = Account(Path(log), self.agent.worker_id)
            account.add("worker", clock.now_ns(), scopes=[], lease_ms=self.agent.settings.lease_ms, sinks=[])
            run(Trader(self.agent, child, account, Nowhere()), 1.5, 3.0)
            self.agent.close(1.0)
        os._exit(0)

    def do_reap(self, pid: int) -> int:
        """Waits for the end of a child."""
        return os.waitpid(pid, 0)[1]

    def do_end_watcher(self) -> bool:
        """Raises SystemExit in the middle of whatever the watcher thread does; whether there was one."""
        return any(strike(thread, SystemExit) for thread in threading.enumerate() if thread.name == WATCHER)


def _add_up(size: int) -> None:
    sum(range(size))


def _match_badly(size: int) -> None:
    re.match(f"(a?){{{size}}}a{{{size}}}", "a" * size)


def _collect_rings(size: int) -> None:
    """A collection of `size` rings of garbage."""
    gc.disable()
    try:
        for _ in range(size):
            ring: list[object] = []
            ring.append(ring)
        gc.collect()
    finally:
        gc.enable()
