"""SET to all quiet: from a raw SET until the operator holds the acknowledgement of every worker process.

Quiet is what the workers prove: gate closed at the new epoch, and no order in flight. The operator's side is a
subscription to the channel of acknowledgements, opened before the SET.
"""

from __future__ import annotations

from killswitch.clock import now_ns, sleep
from ops.bench import crowd
from ops.bench.errors import BenchError
from ops.bench.figures import Row, of_samples
from ops.bench.line import Line
from ops.bench.scene import Scene, Stage

__all__ = ["measure"]

_PACED = (1, 4, 8)
_FLAT = (8,)
_SETTLE_S = 0.01
_TARGET_MS = 10


def measure(scene: Scene) -> list[Row]:
    """Rows `quiet_<n>` (live pace) and `quiet_8_flat` (all of them busy without pause), milliseconds."""
    rows = []
    for kind, sizes in (("paced", _PACED), ("flat", _FLAT)):
        for size in sizes:
            scene.say(f"SET to all quiet, {size} worker processes, {kind}")
            with scene.stage(f"quiet-{size}") as stage:
                samples = _play(stage, size, kind)
            title = f"SET -> {size} worker process{'es' if size > 1 else ''} quiet"
            if kind == "flat":
                note = "every process busy in Python without pause, more of them than cores"
                rows.append(of_samples(f"quiet_{size}_flat", f"{title}, flat out", "ms", samples, note=note))
                continue
            row = of_samples(f"quiet_{size}", title, "ms", samples, note="1,000 ticks/s each, both gates")
            if size == max(_PACED) and row.p99 is not None:
                reached = row.p99 < _TARGET_MS
                target = f"p99 < {_TARGET_MS} ms"
                row = of_samples(row.name, title, "ms", samples, target=target, reached=reached, note=row.note)
            rows.append(row)
    return rows


def _play(stage: Stage, size: int, kind: str) -> list[float]:
    slots, samples = stage.board.slots, []
    with Line(stage.settings) as ears:
        ears.call("CLIENT", "SETNAME", "bench-ears")
        ears.send("SUBSCRIBE", f"{stage.settings.prefix}:acks")
        if ears.next_push(5) is None:
            raise BenchError("the subscription to the acknowledgements was not confirmed")
        for number in range(size):
            stage.children.start("crowd", str(stage.board.path), str(number), kind)
        safe_ns = 0
        for _ in range(stage.runs(100, 15) + 1):

            def all_open(since: int = safe_ns) -> bool:
                return all(slots[crowd.FIRST_OPEN + number] > since for number in range(size))

            stage.children.wait_for(all_open, "the opening of every gate")
            sleep(_SETTLE_S)
            sent_ns, _ = stage.line.set(stage.state_key, "ENGAGED")
            samples.append((_all_heard(ears, size) - sent_ns) / 1e6)
            sleep(_SETTLE_S)
            safe_ns, _ = stage.line.set(stage.state_key, "SAFE")
        slots[crowd.STOP] = 1
    return samples[1:]  # the first one warms up


def _all_heard(ears: Line, size: int) -> int:
    """Waits for `size` different workers; when the last one was heard."""
    heard: set[bytes] = set()
    while len(heard) < size:
        push = ears.next_push(10)
        if push is None:
            raise BenchError(f"only {len(heard)} of {size} workers became quiet within 10 s")
        worker, _, what = push[2].rpartition(b" ")
        if push[0] == b"message" and what != b"left":
            heard.add(worker)
    return now_ns()
