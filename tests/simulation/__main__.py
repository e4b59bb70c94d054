"""`python -m tests.simulation --seed 7` shows one run; `--seeds 5000` tries many; `--seeds 3000 --mutants` breaks the
protocol in every known way and looks for the first seed that finds it. Exit code 1: something was wrong, or a break was
not found.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from killswitch.clock import now_ns
from tests.evidence.record import record
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import simulate
from tests.simulation.runner import Found, processors, run_seeds
from tests.simulation.timeline import timeline


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="run this seed and print what happened")
    what.add_argument("--seeds", type=int, help="run so many seeds")
    parser.add_argument("--start", type=int, default=1, help="first of many seeds (default 1)")
    parser.add_argument("--jobs", type=int, help="processes (default: one for each processor)")
    parser.add_argument(
        "--mutants", action="store_true", help="try every break of the protocol, each until it is found"
    )
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with this break of the protocol")
    parser.add_argument("--output", type=Path, help="write the history of the run (of many: of the first bad one)")
    arguments = parser.parse_args()
    if arguments.mutants and (arguments.seeds is None or arguments.mutant):
        parser.error("--mutants goes with --seeds, and without --mutant")
    return arguments


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


def _search(arguments: argparse.Namespace, mutant: str | None, enough: int | None = None) -> list[Found]:
    """Runs the seeds, with a line of progress where somebody looks."""
    began, is_terminal = now_ns(), sys.stderr.isatty()

    def told(done: int, failed: int) -> None:
        if is_terminal:
            took_s = (now_ns() - began) / 1e9
            left_s = took_s / done * (arguments.seeds - done)
            text = f"{done}/{arguments.seeds} seeds, {failed} bad, {done / took_s:.0f}/s, {left_s:.0f} s left"
            print(f"\r{mutant or ''} {text} ", end="", file=sys.stderr, flush=True)

    found = run_seeds(arguments.start, arguments.seeds, mutant=mutant, jobs=arguments.jobs, told=told, enough=enough)
    if is_terminal:
        print(file=sys.stderr)
    return found


def _many(arguments: argparse.Namespace) -> int:
    began = now_ns()
    found = _search(arguments, arguments.mutant)
    for one in found[:20]:
        for text in one.violations[:3]:
            print(f"seed {one.seed}: {text}")
    took_s = (now_ns() - began) / 1e9
    print(f"{arguments.seeds} seeds from {arguments.start}: {len(found)} bad, {took_s:.1f} s")
    if not arguments.mutant:
        record(
            "simulation",
            what="clean",
            first=arguments.start,
            seeds=arguments.seeds,
            violations=len(found),
            seconds=took_s,
            jobs=arguments.jobs or processors(),
        )
    if found:
        broken = f" --mutant {arguments.mutant}" if arguments.mutant else ""
        print(f"replay: python -m tests.simulation --seed {found[0].seed}{broken}")
        _one(found[0].seed, arguments.mutant, arguments.output, shown=False)
    return 1 if found else 0


def _breaks(arguments: argparse.Namespace) -> int:
    survived = 0
    for name, mutant in MUTANTS.items():
        found = _search(arguments, name, enough=1)
        if found:
            props = ", ".join(sorted({text.split()[0] for text in found[0].violations}))
            print(f"{name:26} seed {found[0].seed:5}, found as {props:12} {mutant.fatal}", flush=True)
            record("simulation", what="mutant", mutant=name, seed=found[0].seed, found=props)
        else:
            survived += 1
            print(f"{name:26} NOT FOUND in {arguments.seeds} seeds: {mutant.fatal}", flush=True)
    return 1 if survived else 0


def main() -> int:
    """The command; returns its exit code."""
    arguments = _arguments()
    if arguments.mutants:
        return _breaks(arguments)
    if arguments.seed is not None:
        return _one(arguments.seed, arguments.mutant, arguments.output)
    return _many(arguments)


if __name__ == "__main__":
    sys.exit(main())
