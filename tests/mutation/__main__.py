"""`python -m tests.mutation`: breaks the product on purpose, once for each entry, and sees the named tests go red.

Each break is made in a copy of the tree, never here. A break that no test notices is a hole in the suite; one whose
text is not found any more is out of date; both end with 1. Rows go to the evidence file, see tests/evidence.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import tests.mutation
from killswitch import clock
from tests.evidence.record import record
from tests.mutation.base import Mutant

ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 300
_LEFT_OUT = (".git", ".venv", ".hypothesis", "*_cache", "__pycache__", ".coverage*")

__all__ = ["all_mutants", "break_tree", "main"]


def all_mutants() -> list[Mutant]:
    """Every entry of every area, by name. Raises ValueError for a name given twice."""
    found: dict[str, Mutant] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(tests.mutation.__path__)):
        if module in ("base", "__main__") or module.startswith("test_"):
            continue
        for mutant in importlib.import_module(f"tests.mutation.{module}").MUTANTS:
            if mutant.name in found:
                raise ValueError(f"two breaks are called {mutant.name}")
            found[mutant.name] = mutant
    return [found[name] for name in sorted(found)]


def broken(mutant: Mutant) -> str:
    """The text of its file with the break made. Raises ValueError where `old` does not stand there exactly once."""
    text = (ROOT / mutant.path).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its text stands {text.count(mutant.old)} times in {mutant.path}, not once")
    return text.replace(mutant.old, mutant.new)


def break_tree(mutant: Mutant, folder: Path) -> Path:
    """A copy of this tree in `folder` with the break made; its path."""
    text = broken(mutant)
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (tree / mutant.path).write_text(text, encoding="utf-8")
    return tree


def _tested(tree: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    data = os.environ.get("KILLSWITCH_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    environment = {**os.environ, "KILLSWITCH_TEST_DATA": data, "PYTHONPATH": str(tree), "EVIDENCE_FILE": ""}
    environment["CI"] = "true"  # the examples of CI, so that what was noticed once is noticed again
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", *tests]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)


@functools.cache
def green_before(tests: tuple[str, ...]) -> bool:
    """Whether `tests` pass with nothing broken: red tests would notice everything."""
    return _tested(ROOT, tests).returncode == 0


def run(mutant: Mutant) -> tuple[str, float, str]:
    """What became of it ("noticed", "SURVIVED", "UNCLEAR"), after how many seconds, and the first test that failed."""
    begun = clock.now_ns()
    if not green_before(mutant.tests):
        return "UNCLEAR", (clock.now_ns() - begun) / 1e9, "its tests fail without the break as well"
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        try:
            done = _tested(break_tree(mutant, Path(folder)), mutant.tests)
        except subprocess.TimeoutExpired:
            return "noticed", (clock.now_ns() - begun) / 1e9, f"no end within {_TIMEOUT_S} s"
    # 1 is "tests failed"; anything else (usage, nothing collected, a broken import) says nothing about the break.
    verdict = {0: "SURVIVED", 1: "noticed"}.get(done.returncode, "UNCLEAR")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    by = failed[1] if failed else ""
    return verdict, (clock.now_ns() - begun) / 1e9, by or done.stdout[-300:].replace("\n", " | ")


def _chosen(names: Iterable[str]) -> list[Mutant]:
    wanted = list(names)
    known = all_mutants()
    if strangers := set(wanted) - {mutant.name for mutant in known}:
        raise SystemExit(f"no such break: {', '.join(sorted(strangers))}; --list shows them")
    return [mutant for mutant in known if not wanted or mutant.name in wanted]


def main() -> int:
    """0 when every break was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these breaks")
    parser.add_argument("--list", action="store_true", help="show the breaks and end")
    arguments = parser.parse_args()
    chosen = _chosen(arguments.only)
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.name:36} {mutant.breaks:12} {mutant.path}")
        return 0
    bad = 0
    for number, mutant in enumerate(chosen, 1):
        if sys.stderr.isatty():
            print(f"\r\033[K{number}/{len(chosen)} {mutant.name}", end="", file=sys.stderr, flush=True)
        verdict, took_s, by = run(mutant)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        bad += verdict != "noticed"
        print(f"{verdict:9} {mutant.name:36} {mutant.breaks:12} {took_s:5.1f} s  {by}", flush=True)
        record("mutants", name=mutant.name, breaks=mutant.breaks, verdict=verdict, by=by, why=mutant.why)
    print(f"{len(chosen) - bad} of {len(chosen)} breaks noticed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
