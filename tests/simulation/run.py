"""A seed, run and judged."""

from __future__ import annotations

from dataclasses import dataclass

from tests.history.checker import Violation
from tests.history.events import History
from tests.simulation.judge import judge
from tests.simulation.mutants import applied
from tests.simulation.script import play
from tests.simulation.world import World

__all__ = ["Verdict", "simulate"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one seed."""

    seed: int
    history: History
    violations: tuple[Violation, ...]


def simulate(seed: int, mutant: str | None = None) -> Verdict:
    """Runs and judges a seed, with a break of the protocol where `mutant` names one."""
    with applied(mutant) as broken:
        world = World(seed, broken)
        history = world.run(play)
    return Verdict(seed, history, tuple(judge(world)))
