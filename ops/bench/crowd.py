"""Child program: one worker process of a fleet that is to become quiet.

    python -m ops.bench.crowd <board> <number> paced|flat

Paced: a tick each millisecond, each with both gates and an order that takes a moment, as on a live market. Flat: ticks
without pause, as in a replay, so that the processes fight for the cores as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from killswitch import Agent, Blocked, Gate, Settings, View
from killswitch.clock import now_ns, sleep
from ops.bench.board import Board
from ops.bench.children import live_with_parent

STOP = 0
FIRST_OPEN = 8  # slot FIRST_OPEN + number: when the gate of that worker opened last

_NUMBERS = range(200)
_TICK_S = 0.001


def _work() -> int:
    """About ten microseconds of a strategy's kind of Python."""
    total = 0
    for number in _NUMBERS:
        total += number & 3
    return total


def _trade(gate: Gate, slots: memoryview, *, paced: bool) -> None:
    while not slots[STOP]:
        try:
            epoch = gate.signal()
            _work()
            with gate.order(epoch, order_id="bench"):
                _work()
        except Blocked:
            _work()
        if paced:
            sleep(_TICK_S)


def main() -> None:
    """Trades until the parent says stop."""
    live_with_parent()
    path, number, kind = sys.argv[1:]
    agent = Agent(Settings(), ["strategy:bench"], engine=f"bench-{number}")
    with Board(Path(path)) as board:
        slots = board.slots

        def opened(_view: View) -> None:
            slots[FIRST_OPEN + int(number)] = now_ns()

        agent.on_open(opened)
        with agent:
            _trade(agent.gate, slots, paced=kind == "paced")


if __name__ == "__main__":
    main()
