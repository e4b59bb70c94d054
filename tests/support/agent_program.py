"""A trading process of the tests: an agent, and a main thread that waits, burns Python in gate 1 or in gate 2.

Started by `agents.py` with a JSON object as its only argument, ordered about with JSON lines on stdin, answering on
stdout. What the checks saw is in a file mapped by both sides, so that looking at it does not disturb the loop.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from killswitch import Agent, Blocked, Permit, Settings, clock
from tests.support.venue import VenueLine

SLOTS = 9
ROWS = 2  # this process, and the child that it forks
PASSED_AT, PASSED, BLOCKED_AT, FIRST_PASSED_UNASKED, EXIT, IN_FLIGHT, PID, FORKED_AT, WATCHERS = range(SLOTS)
SIZE = 8 * SLOTS * ROWS


def map_slots(path: Path) -> memoryview:
    """The slots of `path` as integers: `slots[row * SLOTS + PASSED_AT]`."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), SIZE)).cast("q")


def burn_signal(agent: Agent, slots: memoryview, row: int, end: threading.Event | None) -> None:
    """Gate 1 in a hot loop. The start of a check is noted before it, so a late pass can not hide."""
    base, check, now = row * SLOTS, agent.gate.signal, clock.now_ns
    passed, passed_at, blocked_at = base + PASSED, base + PASSED_AT, base + BLOCKED_AT
    while not (end.is_set() if end else slots[base + EXIT]):
        for _ in range(50):
            start = now()
            try:
                check()
            except Blocked:
                slots[blocked_at] = start
            else:
                slots[passed_at] = start
                slots[passed] += 1


def burn_order(agent: Agent, slots: memoryview, row: int, end: threading.Event) -> None:
    """Gate 2 in a hot loop, with the newest epoch that gate 1 gave."""
    base, gate, now = row * SLOTS, agent.gate, clock.now_ns
    epoch = 0
    while not end.is_set():
        for _ in range(50):
            start = now()
            try:
                with gate.order(epoch):
                    slots[base + PASSED_AT] = start
                    slots[base + PASSED] += 1
            except Blocked as blocked:
                slots[base + BLOCKED_AT] = start
                epoch = blocked.epoch


class Program:
    """Obeys one line at a time."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.slots = map_slots(Path(config["slots"]))
        settings = Settings(**config["settings"])
        self.agent = Agent(settings, config["scopes"], engine=config["engine"], worker_id=config["worker_id"] or None)
        self.agent.annotate(**config["info"])  # before its first beat, as trading processes do
        self.agent.start()
        self.permits: list[Permit] = []
        self.end = threading.Event()

    def obey(self, order: dict[str, Any]) -> Any:
        return getattr(self, f"do_{order.pop('do')}")(**order)

    def serve(self) -> None:
        """Until stdin ends or `quit` comes."""
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "quit":
                break
            print(json.dumps(self.obey(order)), flush=True)
        self.end.set()

    def do_view(self) -> dict[str, Any]:
        view = self.agent.view
        return {
            "mode": view.mode,
            "epoch": view.epoch,
            "code": view.code,
            "reason": view.reason,
            "worker_id": self.agent.worker_id,
            "in_flight": self.agent.in_flight,
        }

    def do_hold(self, order_id: str) -> str:
        """Takes a permit and keeps it; empty when the gate let it pass, else the code."""
        try:
            permit = self.agent.gate.order(self.agent.gate.signal(), order_id=order_id)
            permit.__enter__()
        except Blocked as blocked:
            return blocked.code
        self.permits.append(permit)
        return ""

    def do_hold_elsewhere(self, order_id: str) -> str:
        """As `hold`, by a thread of its own that stays inside the block."""
        result: list[str] = []
        entered = threading.Event()

        def hold() -> None:
            try:
                with self.agent.gate.order(self.agent.gate.signal(), order_id=order_id):
                    result.append("")
                    entered.set()
                    self.end.wait()
            except Blocked as blocked:
                result.append(blocked.code)
                entered.set()

        threading.Thread(target=hold, daemon=True).start()
        entered.wait()
        return result[0]

    def do_send(self, order_id: str, venue: str, session: str) -> str:
        """Sends the order of the last permit taken, and returns that; empty when the venue took it, else the error."""
        permit = self.permits.pop()
        with VenueLine(venue) as line:
            answer = line.order(order_id, permit.epoch, session=session, worker=self.agent.worker_id)
        permit.__exit__(None, None, None)
        return str(answer.get("error", ""))

    def do_release(self) -> None:
        while self.permits:
            self.permits.pop().__exit__(None, None, None)

    def do_close(self) -> bool:
        return self.agent.close()

    def do_fork_within(self, call: str) -> str:
        """Forks in one thread while another is inside close() or start() of an agent whose gate is open; what the
        child's first check says, with no watcher of its own: the code that blocked it, or `passed`."""
        inside, go_on = threading.Event(), threading.Event()
        agent = self.agent
        if call == "close":
            assert agent._watcher is not None
            real_stop = agent._watcher.stop

            def stop() -> None:
                inside.set()
                go_on.wait()
                real_stop()

            agent._watcher.stop = stop  # type: ignore[method-assign]
            thread = threading.Thread(target=agent.close)
        else:
            agent = Agent(self.agent.settings)
            agent.on_open(lambda _: inside.set())
            real_make, parent = agent._make_watcher, os.getpid()

            def make(*seen: int) -> Any:
                watcher = real_make(*seen)
                real_start = watcher.start

                def start() -> None:
                    real_start()
                    if os.getpid() == parent:
                        go_on.wait()

                watcher.start = start  # type: ignore[method-assign]
                return watcher

            agent._make_watcher = make  # type: ignore[method-assign,assignment]
            thread = threading.Thread(target=agent.start)
        thread.start()
        inside.wait()
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            try:
                agent.start = lambda: agent  # type: ignore[method-assign]  # else it may open before it is asked why not
                agent.gate.signal()
                os.write(writing, b"passed")
            except BaseException as error:
                os.write(writing, str(getattr(error, "code", error)).encode())
            os._exit(0)
        os.waitpid(pid, 0)
        go_on.set()
        thread.join()
        agent.close()
        return os.read(reading, 1000).decode()

    def do_fork(self, use: str = "signal") -> int:
        """Forks a child that burns gate 1 in the second row until its slot EXIT is set; returns its pid. With another
        `use` it does only that, `wait_open` or nothing, and notes how many watchers it has."""
        base = SLOTS
        for slot in range(SLOTS):
            self.slots[base + slot] = 0
        forked_at = clock.now_ns()
        pid = os.fork()
        if pid:
            return pid
        with contextlib.suppress(BaseException):
            if use == "signal":
                self._live_as_child(base, forked_at)
            else:
                self._live_aside(base, forked_at, use)
        os._exit(0)

    def _live_aside(self, base: int, forked_at: int, use: str) -> None:
        signal.alarm(30)
        self.slots[base + PID] = os.getpid()
        if use == "wait_open":
            self.slots[base + PASSED] = self.agent.wait_open(20.0)
        names = [thread.name for thread in threading.enumerate()]
        self.slots[base + WATCHERS] = names.count("killswitch-watcher")
        self.slots[base + FORKED_AT] = forked_at
        while not self.slots[base + EXIT]:
            clock.sleep(0.005)

    def _live_as_child(self, base: int, forked_at: int) -> None:
        signal.alarm(30)
        try:
            self.agent.gate.signal()
        except Blocked:
            pass
        else:
            watcher = self.agent._watcher
            confirmed = watcher.watch.confirmed_ns if watcher else None
            self.slots[base + FIRST_PASSED_UNASKED] = int(confirmed is None or confirmed < forked_at)
        self.slots[base + FORKED_AT] = forked_at
        self.slots[base + IN_FLIGHT] = self.agent.in_flight
        self.slots[base + PID] = os.getpid()
        burn_signal(self.agent, self.slots, 1, None)

    def do_reap(self, pid: int) -> int:
        self.slots[SLOTS + EXIT] = 1
        return os.waitpid(pid, 0)[1]


def main() -> None:
    """Read the configuration, serve and burn until told to quit."""
    config = json.loads(sys.argv[1])
    program = Program(config)
    if config["main"] == "wait":
        program.serve()
    else:
        listener = threading.Thread(target=program.serve)
        listener.start()
        burn = burn_signal if config["main"] == "signal" else burn_order
        burn(program.agent, program.slots, 0, program.end)
        listener.join()
    program.agent.close(0.0)


if __name__ == "__main__":
    main()
