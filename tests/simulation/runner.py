"""Many seeds over several processors."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.run import simulate

__all__ = ["Found", "processors", "run_seeds"]

_CHUNK = 25


@dataclass(frozen=True, slots=True)
class Found:
    """What a seed showed: `violations` as text."""

    seed: int
    violations: tuple[str, ...]


def _chunk(task: tuple[range, str | None]) -> tuple[int, list[Found]]:
    seeds, mutant = task
    found = []
    for seed in seeds:
        try:
            wrong = tuple(map(str, simulate(seed, mutant).violations))
        except Exception as error:  # of the product or of the world: either is to be looked at
            wrong = (f"the run ended in {type(error).__name__}: {error}",)
        if wrong:
            found.append(Found(seed, wrong))
    gc.collect()
    return len(seeds), found


def _begin() -> None:
    # A run makes cycles (tasks, agents); looking for them all the time costs a third, once for each chunk is enough.
    gc.freeze()
    gc.disable()


def _results(tasks: Iterable[tuple[range, str | None]], jobs: int) -> Iterator[tuple[int, list[Found]]]:
    if jobs == 1:
        was_on = gc.isenabled()
        _begin()
        try:
            yield from map(_chunk, tasks)
        finally:
            gc.unfreeze()
            if was_on:
                gc.enable()
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _begin) as pool:
        yield from pool.imap_unordered(_chunk, tasks)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_seeds(
    first: int,
    count: int,
    *,
    mutant: str | None = None,
    jobs: int | None = None,
    told: Callable[[int, int], None] | None = None,
    enough: int | None = None,
) -> list[Found]:
    """Runs `count` seeds from `first` on, with `jobs` processes (default: one for each processor). `told` hears how
    many are done and how many of those failed. Ends early when `enough` have failed. In the order of seeds."""
    jobs = jobs or processors()
    end = first + count
    tasks = [(range(at, min(at + _CHUNK, end)), mutant) for at in range(first, end, _CHUNK)]
    done, found = 0, []
    for number, some in _results(tasks, min(jobs, len(tasks))):
        done += number
        found += some
        if told is not None:
            told(done, len(found))
        if enough is not None and len(found) >= enough:
            break
    return sorted(found, key=lambda one: one.seed)
