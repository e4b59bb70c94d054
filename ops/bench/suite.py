"""All measurements by name, in the order of the table, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from killswitch import Settings
from ops.bench import calls, fleet, late, loop, machine, observe, quiet
from ops.bench.figures import Row
from ops.bench.line import Line
from ops.bench.scene import Scene, open_scene

__all__ = ["MEASUREMENTS", "Result", "run"]

MEASUREMENTS: Mapping[str, Callable[[Scene], list[Row]]] = {
    "calls": calls.measure,
    "loop": loop.measure,
    "observe": observe.measure,
    "late": late.measure,
    "quiet": quiet.measure,
    "fleet": fleet.measure,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured, and on what."""

    machine: dict[str, Any]
    rows: list[Row]


def run(settings: Settings, *, only: Sequence[str] = (), quick: bool = False, say: Callable[[str], None]) -> Result:
    """Runs the measurements named in `only` (all, when empty). `say` is told what is going on.

    Raises:
        BenchError: a measurement could not be made.
        NoServer, LibraryMissing, StoreUnavailable: there is no server to measure with.
    """
    rows: list[Row] = []
    with open_scene(settings, quick, say) as scene:
        with Line(scene.settings) as line:
            found = machine.describe(line, scene.origin)
        for name, measure in MEASUREMENTS.items():
            if not only or name in only:
                say(name)
                rows += measure(scene)
    return Result(found, rows)
