"""The engine's loop in ticks a second: with both gates, without any, and with a redis-py GET before every tick.

The whole loop as a worker runs it: reading and checking the file, strategy, paper broker, histograms, JSON logs. Real
ticks come from the folder in KILLSWITCH_TEST_DATA; without one the seeded synthetic feed stands in, and the result says
so. The three kinds take turns in one process.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ops.bench.figures import Row, median, of_samples, quantile
from ops.bench.scene import Scene

__all__ = ["measure"]

_DATA = "KILLSWITCH_TEST_DATA"
_LEAST_TICKS_S = 50_000
_MOST_SHARE = 15
_MOST_TICK_TO_ORDER_US = 100


def real_ticks() -> list[str]:
    """The largest file of quotes in the folder of test data, or nothing."""
    folder = os.environ.get(_DATA, "")
    found = sorted(Path(folder).rglob("*_quote.zip"), key=lambda path: path.stat().st_size) if folder else []
    return [str(path) for path in found[-1:]]


def measure(scene: Scene) -> list[Row]:
    """Rows `loop_gates`, `loop_none`, `loop_get`, `gates_share` and `tick_to_order`."""
    files = real_ticks()
    scene.say("engine loop on " + ("real ticks" if files else "synthetic ticks"))
    with scene.stage("loop") as stage:
        rounds = stage.runs(21, 3)
        wanted = {
            "files": files,
            "ticks": stage.runs(30_000, 15_000),
            "gets": stage.runs(3_000, 2_000),
            "rounds": rounds,
            "log": str(stage.folder / "engine.log"),
        }
        stage.children.start("trader", json.dumps(wanted))
        results = json.loads(stage.children.join(600).splitlines()[-1])
    kind = "real ticks" if files else f"synthetic ticks: {_DATA} names no quotes"
    per_s = {name: [one["per_s"] for one in turns] for name, turns in results.items()}
    pairs = zip(per_s["gates"], per_s["none"], strict=True)
    share = [100 * (1 - gates / none) for gates, none in pairs]
    slow = {name: quantile(values, 0.01) for name, values in per_s.items()}
    middle = {name: median(values) for name, values in per_s.items()}
    to_order = [one["tick_to_order_p99_ns"] / 1000 for one in results["gates"]]
    usual = median([one["tick_to_order_p50_ns"] / 1000 for one in results["gates"]])
    orders = sum(one["orders"] for one in results["gates"])
    note = "p99 is the slowest run"
    return [
        Row("loop_gates", "engine loop with both gates", "ticks/s", middle["gates"], slow["gates"], rounds,
            f">= {_LEAST_TICKS_S:,}", middle["gates"] >= _LEAST_TICKS_S, f"{kind}; {note}"),
        Row("loop_none", "engine loop without gates", "ticks/s", middle["none"], slow["none"], rounds, note=note),
        Row("loop_get", "engine loop, redis-py GET before every tick", "ticks/s", middle["get"], slow["get"], rounds,
            note=f"the naive alternative; {note}"),
        of_samples("gates_share", "share of the loop that the gates take", "%", share,
            target=f"<= {_MOST_SHARE} %", reached=median(share) <= _MOST_SHARE),
        Row("tick_to_order", "tick to order", "us", usual, median(to_order), rounds,
            f"p99 < {_MOST_TICK_TO_ORDER_US} us", median(to_order) < _MOST_TICK_TO_ORDER_US,
            f"{orders:,} orders, paper broker, logging on; medians of the runs' p50 and p99"),
    ]  # fmt: skip
