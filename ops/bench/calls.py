"""What one call costs: a bare clock read, gate 1, gate 2 and, as the alternative, one GET by redis-py.

Method. The same real agent against a real server, open throughout. Rounds take turns, so that a disturbance meets all
of them alike. Within a round each call is timed by itself, for the distribution: perf_counter_ns before and after, less
the median of an empty pair. Shown are the medians over the rounds of a round's p50 and p99: what another program on
this machine does in one round is not the gate's. The worst round is in the notes. Then a block of calls is timed as a
whole, which costs no timer per call: ratios are those of the block averages of one round, and the median of them is
shown. Blocks include the loop around the call, as timeit does, for the clock read as for the gates.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import redis

from killswitch import Agent
from killswitch.clock import now_ns, perf_ns
from ops.bench.errors import BenchError
from ops.bench.figures import Row, median, quantile, ratio
from ops.bench.scene import Scene

__all__ = ["measure"]

_SINGLES = 2000
_BLOCK = 2000
_GETS = 40


class _Timed:
    """The samples of one kind of call, nanoseconds: a list of singles and one block average for each round."""

    def __init__(self, call: Callable[[], object], singles: int, block: int) -> None:
        self.call = call
        self._singles = singles
        self._block = block
        self.singles: list[list[int]] = []
        self.blocks: list[float] = []

    def round(self) -> None:
        """One turn: single calls, then a block."""
        found: list[int] = []
        call, append, clock = self.call, found.append, perf_ns
        for _ in range(self._singles):
            started = clock()
            call()
            append(clock() - started)
        self.singles.append(found)
        repeat = range(self._block)
        started = clock()
        for _ in repeat:
            call()
        self.blocks.append((clock() - started) / self._block)


def _timer_cost(samples: int = 20_000) -> float:
    """The median of an empty pair of timer calls, nanoseconds."""
    clock = perf_ns
    found = []
    for _ in range(samples):
        started = clock()
        found.append(clock() - started)
    return median(found)


def measure(scene: Scene) -> list[Row]:
    """Rows `clock`, `gate1`, `gate2`, `get` and their ratios."""
    with scene.stage("calls") as stage, Agent(stage.settings, ["strategy:bench", "symbol:EURUSD"]) as agent:
        if not agent.wait_open(10):
            raise BenchError(f"the gate did not open: {agent.view.reason}")
        with _client(stage.settings) as client:
            gate, key = agent.gate, stage.state_key
            epoch = gate.signal()

            def enter_and_leave() -> None:
                with gate.order(epoch, reduces=False, order_id="bench-1"):
                    pass

            timed = {
                "clock": _Timed(now_ns, _SINGLES, _BLOCK),
                "gate1": _Timed(gate.signal, _SINGLES, _BLOCK),
                "gate2": _Timed(enter_and_leave, _SINGLES, _BLOCK),
                "get": _Timed(lambda: client.get(key), _GETS, _GETS),
            }
            rounds = stage.runs(60, 12)
            _run(timed, rounds)
    return _rows(timed, rounds)


def _run(timed: dict[str, _Timed], rounds: int) -> None:
    for one in timed.values():
        one.round()
        one.singles.clear()
        one.blocks.clear()
    gc.collect()
    for _ in range(rounds):
        for one in timed.values():
            one.round()


def _client(settings: Any) -> redis.Redis:
    return redis.Redis.from_url(settings.redis_url, password=settings.redis_password or None)


def _rows(timed: dict[str, _Timed], rounds: int) -> list[Row]:
    cost = _timer_cost()
    rows = [
        _row("clock", "one bare clock read", timed["clock"], cost),
        _row("gate1", "gate 1: signal()", timed["gate1"], cost, limit_us=1),
        _row("gate2", "gate 2: enter and leave", timed["gate2"], cost, limit_us=3),
        _row("get", "one redis-py GET", timed["get"], cost),
    ]

    def times(over: str, under: str) -> float:
        pairs = zip(timed[over].blocks, timed[under].blocks, strict=True)
        return median([a / b for a, b in pairs])

    rows.append(ratio("gate1_per_clock", "gate 1 : clock read", times("gate1", "clock"), rounds, 6))
    rows.append(ratio("get_per_gate1", "redis-py GET : gate 1", times("get", "gate1"), rounds, 50, least=True))
    return rows


def _row(name: str, title: str, one: _Timed, cost: float, limit_us: int = 0) -> Row:
    p99s = [quantile(found, 0.99) - cost for found in one.singles]
    p50, p99 = median([median(found) for found in one.singles]) - cost, median(p99s)
    note = f"average of a block {median(one.blocks):,.0f} ns; p99 of the worst round {max(p99s):,.0f} ns"
    target, reached = (f"p99 < {limit_us} us", p99 < 1000 * limit_us) if limit_us else ("", None)
    return Row(name, title, "ns", max(0.0, p50), max(0.0, p99), sum(map(len, one.singles)), target, reached, note)
