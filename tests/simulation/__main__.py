"""`python -m tests.simulation --seed 7` shows one run; `--seeds 5000` tries many. Exit code 1: something was wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from killswitch.clock import now_ns
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import simulate
from tests.simulation.runner import run_seeds
from tests.simulation.timeline import timeline


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="run this seed and print what happened")
    what.add_argument("--seeds", type=int, help="run so many seeds")
    what.add_argument("--mutants", action="store_true", help="list the breaks of the protocol")
    parser.add_argument("--start", type=int, default=1, help="first of many seeds (default 1)")
    parser.add_argument("--jobs", type=int, help="processes (default: one for each processor)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with this break of the protocol")
    parser.add_argument("--output", type=Path, help="write the history of the run (of many: of the first bad one)")
    return parser.parse_args()


def _one(seed: int, mutant: str | None, output: Path | None, *, shown: bool = True) -> int:
    verdict = simulate(seed, mutant)
    if output is not None:
        verdict.history.write(output)
    if shown:
        for line in timeline(verdict.history, verdict.violations):
            print(line)
        events = len(verdict.history)
        print(f"seed {seed}: {events} events, {len(verdict.violations)} violations")
    return 1 if verdict.violations else 0


def _many(arguments: argparse.Namespace) -> int:
    began, is_terminal = now_ns(), sys.stderr.isatty()

    def told(done: int, failed: int) -> None:
        if is_terminal:
            took_s = (now_ns() - began) / 1e9
            left_s = took_s / done * (arguments.seeds - done)
            text = f"{done}/{arguments.seeds} seeds, {failed} bad, {done / took_s:.0f}/s, {left_s:.0f} s left "
            print(f"\r{text}", end="", file=sys.stderr, flush=True)

    found = run_seeds(arguments.start, arguments.seeds, mutant=arguments.mutant, jobs=arguments.jobs, told=told)
    if is_terminal:
        print(file=sys.stderr)
    for one in found[:20]:
        for text in one.violations[:3]:
            print(f"seed {one.seed}: {text}")
    took_s = (now_ns() - began) / 1e9
    print(f"{arguments.seeds} seeds from {arguments.start}: {len(found)} bad, {took_s:.1f} s")
    if found:
        broken = f" --mutant {arguments.mutant}" if arguments.mutant else ""
        print(f"replay: python -m tests.simulation --seed {found[0].seed}{broken}")
        _one(found[0].seed, arguments.mutant, arguments.output, shown=False)
    return 1 if found else 0


def main() -> int:
    """The command; returns its exit code."""
    arguments = _arguments()
    if arguments.mutants:
        for name, mutant in MUTANTS.items():
            print(f"{name:26} {mutant.fatal}")
        return 0
    if arguments.seed is not None:
        return _one(arguments.seed, arguments.mutant, arguments.output)
    return _many(arguments)


if __name__ == "__main__":
    sys.exit(main())
