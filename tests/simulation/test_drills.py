"""Drills in the simulated fleet, among every fault there is: nothing that holds without them is broken by them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from random import Random

from killswitch import Controller, Drill, DrillBusy, StoreRefused, StoreUnavailable
from tests.history.checker import Violation
from tests.simulation.judge import judge
from tests.simulation.kernel import MS
from tests.simulation.mutants import applied
from tests.simulation.script import play
from tests.simulation.world import World

SEEDS = 40 if os.environ.get("CI") else 25


class Drillers:
    """Two tools that drill again and again for as long as there are faults, each on a host of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: list[Drill] = []
        self.refused: Counter[str] = Counter()
        for number in (1, 2):
            process = world.new_process(f"drill{number}")
            process.spawn("drill", self._loop(Random(world.plan.seed + number)))

    def _loop(self, rng: Random) -> Callable[[], None]:
        control = Controller(self.world.settings)

        def drill() -> None:
            while self.world.kernel.now < self.world.plan.faults_ns:
                self.world.kernel.sleep(int(rng.uniform(1, 60) * MS))
                try:
                    self.made.append(control.drill("sim"))
                except (DrillBusy, StoreRefused, StoreUnavailable) as error:
                    self.refused[type(error).__name__] += 1

        return drill


def run(seed: int) -> tuple[Drillers, list[Violation]]:
    """One seed, with drills all the time while faults go on, judged like any other."""
    found: list[Drillers] = []

    def play_with_drills(world: World) -> None:
        found.append(Drillers(world))
        play(world)

    with applied(None) as broken:
        world = World(seed, broken)
        world.run(play_with_drills)
    return found[0], judge(world)


def test_no_seed_breaks_a_property_while_drills_go_on() -> None:
    """Whoever drills, and whenever: no order passes a stop, no proof is hollow, nobody opens, and all open in the
    end."""
    verdicts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for seed in range(1, SEEDS + 1):
        drillers, violations = run(seed)
        assert violations == [], f"seed {seed}"
        verdicts.update(drill.verdict for drill in drillers.made)
        refused.update(drillers.refused)
    # It means something only where drills came to every end that there is.
    assert min(verdicts[word] for word in ("PASSED", "MISSED", "CUT_SHORT")) > 0
    assert min(refused[word] for word in ("DrillBusy", "StoreUnavailable")) > 0
