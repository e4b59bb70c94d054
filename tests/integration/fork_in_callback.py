"""A trading process whose callback forks, on the watcher's thread; the child goes on with the agent, and is tested.

Started with the address of a server and `on_close` or `on_open`. The child prints how many of its checks passed after
the operator's +OK while its own watcher was kept busy, and how many were made.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import Any

from killswitch import Agent, Blocked, Controller, EpochConflict, Settings, View, clock
from tests.support.agents import CALM

CHECKS = 1000


class Program:
    """The agent, and the child's part in it."""

    def __init__(self, url: str, when: str) -> None:
        self.settings = Settings(redis_url=url, actor="tester", **CALM)
        self.when = when
        self.agent = Agent(self.settings)
        self.child: list[int] = []
        self.forked = threading.Event()
        self.given_up = threading.Event()
        getattr(self.agent, when)(self.fork)
        self.agent.on_open(self.keep_busy)

    def fork(self, _view: View) -> None:
        """The callback. The child comes back from it as well."""
        if self.child:
            return
        old: Any = self.agent._watcher
        give_up = old._drop
        self.child.append(os.fork())
        if self.child[0]:
            self.forked.set()
            return

        def drop() -> None:
            try:
                give_up()
            finally:
                self.given_up.set()

        old._drop = drop
        with contextlib.suppress(Blocked):
            self.agent.gate.signal()  # the first use arms it
        new: Any = self.agent._watcher
        while new._push_fd < 0:
            clock.sleep(0.001)
        threading.Thread(target=self.trade).start()

    def keep_busy(self, _view: View) -> None:
        """Keeps the child's own watcher from everything that follows once the gate is open."""
        if self.child == [0] and threading.current_thread() is not threading.main_thread():
            threading.Event().wait()

    def trade(self) -> None:
        """In the child, beside the watcher's thread that came back from the fork, and the new one."""
        signal.alarm(20)
        status = 1
        try:
            self.given_up.wait()
            control = Controller(self.settings)
            while not self.agent.wait_open(0.05):
                switch = control.status().switch
                if switch.mode == "ENGAGED":
                    with contextlib.suppress(EpochConflict):
                        control.reset(switch.epoch, "the child goes on")
            self.agent.gate.signal()
            control.engage("stop")
            print(sum(map(self.passes, range(CHECKS))), CHECKS, flush=True)
            status = 0
        finally:
            os._exit(status)

    def passes(self, _number: int) -> bool:
        """Whether one check passes."""
        try:
            self.agent.gate.signal()
        except Blocked:
            return False
        return True

    def run(self) -> int:
        """In the parent: has it fork and waits for the child; its exit code."""
        signal.alarm(20)
        self.agent.start()
        if self.when == "on_close":
            while not self.agent.wait_open(1.0):
                pass
            Controller(self.settings).engage("now fork")
        self.forked.wait()
        code = os.waitstatus_to_exitcode(os.waitpid(self.child[0], 0)[1])
        self.agent.close(0.0)
        return code


if __name__ == "__main__":
    sys.exit(Program(sys.argv[1], sys.argv[2]).run())
