"""SET to observed: the gate of an idle and of a busy worker, beside a bare socket reader that hears the same SETs."""

from __future__ import annotations

from ops.bench import rounds
from ops.bench.figures import Row, of_samples, quantile, ratio
from ops.bench.scene import Scene

__all__ = ["measure"]


def measure(scene: Scene) -> list[Row]:
    """Rows `observe_idle`, `observe_busy`, `observe_bare_*` and the ratios of their 99th percentiles, microseconds."""
    rows: list[Row] = []
    for kind in ("idle", "busy"):
        scene.say(f"SET to observed, {kind} worker")
        with scene.stage(f"observe-{kind}") as stage:
            rounds.start(stage, kind, with_bare=True)
            count = stage.runs(1000, 100)
            played = list(rounds.play(stage, count, busy=kind == "busy", with_bare=True))
        closed = [one.closed_ns / 1000 for one in played]
        bare = [one.bare_ns / 1000 for one in played]
        what = "first refused check" if kind == "busy" else "the agent's callback, a round trip later: it says why"
        rows.append(of_samples(f"observe_bare_{kind}", f"SET -> bare socket reader, beside {kind}", "us", bare))
        rows.append(of_samples(f"observe_{kind}", f"SET -> gate closed, {kind} worker", "us", closed, note=what))
        if kind == "busy":
            shown = [one.shown_ns / 1000 for one in played]
            note = "the checks were closed before: they ask the socket themselves"
            rows.append(of_samples("shown_busy", "SET -> callback on its watcher thread", "us", shown, note=note))
        value = quantile(closed, 0.99) / quantile(bare, 0.99)
        title = f"p99 of {kind} : p99 of bare"
        if kind == "busy":
            rows.append(ratio("observe_busy_per_bare", title, value, count, 2))
        else:
            rows.append(Row("observe_idle_per_bare", title, "x", value, None, count))
    return rows
