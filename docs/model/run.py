"""Runs the checks of the model: spin makes a search of each, gcc compiles it, the verdict is held against the table.

    python docs/model/run.py                all checks
    python docs/model/run.py --quick        some of each kind
    python docs/model/run.py --only NAME    these; shell patterns as well
    python docs/model/run.py --trail NAME   the shortest way to a hole, step by step
    python docs/model/run.py --write        all, then the tables of README.md; with --only those of files all of whose
                                            checks were made

Ends with 1 when a verdict is another one than expected, when a search was cut off or was about nothing, and with 2 when
spin or gcc is missing. Needs Python alone beside these two.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CHECKS", "PAGE", "Check", "Result", "complaint", "main", "parse", "table_of"]

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
_TOOLS = ("spin", "gcc")
_DEPTH = 2_000_000
_MEMORY_MB = 2000
_KINDS = {"broken": "broken on purpose", "limit": "so it is", "found": "found here"}


class Check(NamedTuple):
    """One compilation and search. See checks.toml for the fields."""

    name: str
    file: str
    flags: str
    expect: str
    properties: tuple[str, ...]
    says: str
    reaches: tuple[int, ...] = ()
    breaks: str = ""
    kind: str = ""
    story: str = ""
    live: bool = False
    quick: bool = False


class Result(NamedTuple):
    """What a search found. `broke` is the property, or the number of the place that was asked for; `trouble` says why
    the search proves nothing, "" where it does."""

    verdict: str
    broke: str = ""
    states: int = 0
    depth: int = 0
    seconds: float = 0.0
    memory_mb: float = 0.0
    marks: int = 0
    trouble: str = ""


def _load() -> tuple[Check, ...]:
    found: list[dict[str, Any]] = tomllib.loads((HERE / "checks.toml").read_text(encoding="utf-8"))["check"]
    for one in found:
        one.update({key: tuple(one[key]) for key in ("properties", "reaches") if key in one})
    return tuple(Check(**one) for one in found)


CHECKS = _load()
_NUMBERS = dict(re.findall(r"#define (\w+) (\d+)", (HERE / "common.h").read_text(encoding="utf-8")))
_NAMES = {number: name for name, number in _NUMBERS.items()}


# -- one search ------------------------------------------------------------------------------------------------------


def parse(output: str, check: Check) -> Result:
    """Reads what a search printed."""

    def number(pattern: str) -> float:
        match = re.search(pattern, output)
        return float(match[1]) if match else 0.0

    errors = int(number(r"errors: (\d+)"))
    marks = re.search(r"^marks ([0-9a-f]+)", output, re.MULTILINE)
    found = Result(
        "holds",
        states=int(number(r"(\d+) states, stored")),
        depth=int(number(r"depth reached (\d+)")),
        seconds=number(r"elapsed time ([\d.e+]+) seconds"),
        memory_mb=number(r"([\d.]+)\s+total actual memory usage"),
        marks=int(marks[1], 16) if marks else 0,
    )
    if place := re.search(r"assertion violated \((\d+)!=\d+\)", output):
        return found._replace(verdict="reached", broke=place[1])
    if broken := re.search(r"assertion violated \(\((\d+)==0\)", output):
        return found._replace(verdict="hole", broke=_NAMES.get(str(broken[1]), "?"))
    if "acceptance cycle" in output and errors:
        return found._replace(verdict="hole", broke=check.breaks)
    trouble = ""
    if "max search depth too small" in output:
        trouble = "the search was cut off: it goes deeper than it may"
    elif "MEMLIM" in output or "out of memory" in output:
        trouble = f"the search was cut off: it needs more than {_MEMORY_MB} MB"
    elif not found.states:
        trouble = f"the search visited no state: {output.strip()[-300:]}"
    elif errors or "Search not completed" in output:
        trouble = f"the search ended early: {output.strip()[:300]}"
    return found._replace(verdict="trouble", trouble=trouble) if trouble else found


def _compiler(check: Check) -> list[str]:
    optimised = "-O1" if check.quick else "-O2"  # the quick ones search for less time than compiling them well takes
    return [optimised, "-w", f"-DMEMLIM={_MEMORY_MB}", *(() if check.live else ("-DSAFETY", "-DNOCLAIM"))]


def _build(check: Check, folder: Path, marks: bool, more: Sequence[str] = ()) -> str:
    """Makes `folder`/pan; what went wrong, or ""."""
    flags = [*check.flags.split(), *(("-DMARKS",) if marks else ())]
    translate = ["spin", "-a", *flags, str(HERE / check.file)]
    for command in (translate, ["gcc", *_compiler(check), *more, "-o", "pan", "pan.c"]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode or "rror" in done.stdout:
            return f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-300:]}"
    return ""


def _search(check: Check, folder: Path) -> str:
    how = ["-a", "-f"] if check.live else ["-E"]
    done = subprocess.run(["./pan", *how, f"-m{_DEPTH}"], cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def execute(check: Check) -> Result:
    """Builds and searches in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        folder = Path(name)
        if trouble := _build(check, folder, marks=check.expect == "holds"):
            return Result("trouble", trouble=trouble)
        return parse(_search(check, folder), check)


def complaint(check: Check, result: Result) -> str:
    """What is wrong with a result; "" when it is as expected."""
    if result.trouble:
        return result.trouble
    if result.verdict != check.expect:
        return f"expected: {check.expect}"
    if check.expect == "hole" and result.broke != check.breaks:
        return f"a hole, but in {result.broke} instead of {check.breaks}"
    if check.expect == "holds":
        missing = [place for place in check.reaches if not result.marks >> place & 1]
        if missing:
            return f"proves little: the search was never at {', '.join(map(str, missing))}"
    return ""


# -- for people ------------------------------------------------------------------------------------------------------


def _said(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def _word(result: Result) -> str:
    return f"{result.verdict.upper()} {result.broke}" if result.verdict == "hole" else result.verdict


def _line(check: Check, result: Result, trouble: str) -> str:
    size = f"{result.states:>11,} states  depth {result.depth:>7,}  {result.seconds:6.1f} s  {result.memory_mb:5.0f} MB"
    return f"{check.name:34} {_word(result):10} {size}  {'WRONG, ' + trouble if trouble else ''}".rstrip()


def run(checks: Sequence[Check], jobs: int) -> dict[str, Result]:
    """Searches all of them, telling each as it ends."""
    results: dict[str, Result] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for number, (check, result) in enumerate(zip(checks, pool.map(execute, checks), strict=True), 1):
            results[check.name] = result
            _progress("")
            _said(_line(check, result, complaint(check, result)))
            if number < len(checks):
                _progress(f"{number}/{len(checks)} {checks[number].name}")
    return results


def trail(check: Check) -> int:
    """The way to the end of a search: the shortest one where the search is for a broken assertion."""
    with tempfile.TemporaryDirectory(prefix="model-") as name:
        folder = Path(name)
        if trouble := _build(check, folder, marks=False, more=() if check.live else ("-DBFS",)):
            _said(trouble)
            return 1
        result = parse(_search(check, folder), check)
        if result.verdict not in ("hole", "reached"):
            _said(f"{check.name}: {result.trouble or 'nothing was found'}")
            return 1
        written = next(path.name for path in folder.glob("*.trail"))
        command = ["spin", "-t", "-p", "-g", *check.flags.split(), "-k", written, str(HERE / check.file)]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        steps = told.stdout.replace(f"{HERE}/", "").splitlines()
        _said("\n".join(step for step in steps if "assert((0!=" not in step and "[else]" not in step))
        _said(f"{check.name}: {_word(result)}. {check.story}")
    return 0


# -- the page --------------------------------------------------------------------------------------------------------


def table_of(checks: Iterable[Check], results: dict[str, Result]) -> str:
    """The rows of one table, and the stories of its holes."""
    rows = ["| check | says | verdict | states | depth | s | for |", "|---|---|---|---|---|---|---|"]
    stories = []
    for check in checks:
        result = results[check.name]
        verdict = f"**HOLE** {check.breaks}, {_KINDS[check.kind]}" if check.kind else check.expect
        size = f"{result.states:,} | {result.depth:,} | {result.seconds:.1f}"
        rows.append(f"| `{check.name}` | {check.says} | {verdict} | {size} | {' '.join(check.properties)} |")
        if check.story:
            stories.append(f"- `{check.name}`: {check.story}")
    return "\n".join([*rows, "", *stories]).rstrip()


def _write(results: dict[str, Result]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for file in dict.fromkeys(check.file for check in CHECKS):
        name, checks = Path(file).stem, [check for check in CHECKS if check.file == file]
        if not all(check.name in results for check in checks):
            continue
        table = table_of(checks, results)
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(page):
            raise SystemExit(f"{PAGE.name} has no place for {name}: <!-- {name} --> and <!-- /{name} -->")
        page = pattern.sub(lambda match, text=table: f"{match[1]}{text}\n{match[2]}", page)  # type: ignore[misc]
    PAGE.write_text(page, encoding="utf-8")


def _chosen(arguments: argparse.Namespace) -> list[Check]:
    wanted = arguments.trail or arguments.only
    chosen = [check for check in CHECKS if not wanted or any(fnmatch.fnmatch(check.name, one) for one in wanted)]
    if not chosen:
        raise SystemExit(f"no check is called {' or '.join(wanted)}")
    return [check for check in chosen if check.quick] if arguments.quick else chosen


def main(words: Sequence[str] | None = None) -> int:
    """0 when every verdict is as expected, 1 when one is not, 2 when a tool is missing."""
    parser = argparse.ArgumentParser(prog="docs/model/run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="some checks of each kind")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these checks; patterns as well")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="so many searches at a time (1)")
    parser.add_argument("--trail", metavar="NAME", nargs=1, default=[], help="show the way to a hole")
    parser.add_argument("--write", action="store_true", help="write the tables of README.md that are complete")
    arguments = parser.parse_args(words)
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        sys.stderr.write(
            f"the model needs {' and '.join(missing)}, not found here: apt-get install spin gcc libc6-dev\n"
        )
        return 2
    chosen = _chosen(arguments)
    if arguments.trail:
        return trail(chosen[0])
    results = run(chosen, max(1, arguments.jobs))
    wrong = [check for check in chosen if complaint(check, results[check.name])]
    holes = sum(result.verdict == "hole" for result in results.values())
    _said(f"{len(chosen) - len(wrong)} of {len(chosen)} checks as expected, {holes} of them holes")
    if any(result.verdict == "hole" for result in results.values()):
        _said("the way to a hole: python docs/model/run.py --trail NAME")
    if arguments.write and not wrong:
        _write(results)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
