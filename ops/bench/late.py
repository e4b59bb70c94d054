"""Late passes: checks that started after the operator's +OK was read, and passed. There must be none.

The worker is busy in Python and checks without pause; it notes the start of every check that passed until the next SET
SAFE. Engages come at random moments. Both processes read the same clock.
"""

from __future__ import annotations

from ops.bench import probe, rounds
from ops.bench.figures import Row
from ops.bench.scene import Scene

__all__ = ["measure"]


def measure(scene: Scene) -> list[Row]:
    """The row `late`: its figure is the number of late passes."""
    with scene.stage("late") as stage:
        rounds.start(stage, "busy", with_bare=False)
        count = stage.runs(2000, 200)
        late = hit = 0
        for number, one in enumerate(rounds.play(stage, count, busy=True, with_bare=False), 1):
            late += one.late
            hit += bool(one.late)
            if number % 100 == 0:
                scene.say(f"late passes: {late} in {number} of {count} engages")
        slots = stage.board.slots
        note = f"{slots[probe.CHECKS]:,} passed checks looked at"
        if late:
            note += f"; {hit} engages had one, the worst {slots[probe.WORST_NS] / 1000:.0f} us after +OK"
    return [Row("late", "late passes after +OK, busy worker", "count", late, None, count, "0", late == 0, note)]
