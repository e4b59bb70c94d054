"""Child program: one worker whose gate is watched, idle or busy in Python.

    python -m ops.bench.probe <board> idle|busy

Busy: the main thread checks gate 1 in a loop with a little Python work, and notes the start of every check that passed.
Idle: the main thread sleeps; the agent's own callback says when the gate closed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from killswitch import Agent, Blocked, Settings, View
from killswitch.clock import now_ns, sleep
from ops.bench.board import Board
from ops.bench.children import live_with_parent

# Written by the parent.
ROUND, OK_NS, ASK, STOP, SENT = range(5)
# Written by this program.
OPEN, CLOSED, CLOSED_NS, SHOWN_NS, CHECKS, LATE, DONE, WORST_NS, OPENED_NS = range(8, 17)
# Written by the bare reader.
BARE_NS = 24

_NUMBERS = range(40)


def _work() -> int:
    """About two microseconds of a strategy's kind of Python."""
    total = 0
    for number in _NUMBERS:
        total += number & 3
    return total


class _Judge:
    """Counts checks that started after the operator's +OK and passed all the same."""

    def __init__(self, slots: memoryview) -> None:
        self._slots = slots
        self.passed: list[int] = []

    def settle(self) -> None:
        """Answers the parent's question about the round that is over."""
        slots = self._slots
        ok_ns = slots[OK_NS]
        late = [started - ok_ns for started in self.passed if started > ok_ns]
        slots[LATE] += len(late)
        slots[WORST_NS] = max(slots[WORST_NS], *late) if late else slots[WORST_NS]
        slots[CHECKS] += len(self.passed)
        self.passed.clear()
        slots[DONE] = slots[ASK]


def _busy(agent: Agent, slots: memoryview) -> None:
    signal, judge, is_open = agent.gate.signal, _Judge(slots), False
    while not slots[STOP]:
        _work()
        started = now_ns()
        try:
            signal()
        except Blocked:
            if is_open:
                is_open = False
                slots[CLOSED_NS] = started
                slots[CLOSED] = slots[SENT]
            if slots[ASK] != slots[DONE]:
                judge.settle()
        else:
            judge.passed.append(started)
            if not is_open:
                is_open = True
                slots[OPENED_NS] = started
                slots[OPEN] = slots[ROUND]


def main() -> None:
    """Runs until the parent says stop."""
    live_with_parent()
    path, kind = sys.argv[1:]
    agent = Agent(Settings(), ["strategy:bench"], engine=f"bench-{kind}")
    with Board(Path(path)) as board:
        slots = board.slots

        def shown(_view: View) -> None:
            slots[SHOWN_NS] = now_ns()

        def opened(_view: View) -> None:
            slots[OPENED_NS] = now_ns()
            slots[OPEN] = slots[ROUND]

        agent.on_close(shown)
        if kind == "idle":
            agent.on_open(opened)
        with agent:
            if kind == "busy":
                _busy(agent, slots)
            while not slots[STOP]:
                sleep(0.005)


if __name__ == "__main__":
    main()
