"""docs/evidence.md, made of the rows that runs left behind and of what is said in `properties.py`."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ops.render import count_of
from tests.evidence.properties import PROPERTIES, Property

__all__ = ["PAGE", "ROWS", "read_rows", "rendered"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "evidence.md"
ROWS = ROOT / "docs" / "evidence.jsonl"

Row = dict[str, Any]


def read_rows(path: Path = ROWS) -> list[Row]:
    """The rows of a file, in order."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def rendered(page: str, rows: Sequence[Row]) -> str:
    """`page` with every part between `<!-- name -->` and `<!-- /name -->` made anew."""
    parts = {
        "properties": _properties(rows),
        "faults": _faults(rows),
        "simulation": _simulation(rows),
        "mutants": _mutants(rows),
        "random": _random(rows),
        "soak": _soak(rows),
    }
    for name, lines in parts.items():
        mark = f"<!-- {name} -->\n"
        end = f"<!-- /{name} -->"
        if mark not in page or end not in page:
            raise ValueError(f"the page has no part {name}")
        before, _, rest = page.partition(mark)
        page = before + mark + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
    return page


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]


def _cell(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "\\|")


def _of(rows: Iterable[Row], table: str) -> list[Row]:
    return [row for row in rows if row["table"] == table]


def _named(row: Row) -> set[str]:
    return set(re.findall(r"[PSLA]\d+", str(row.get("properties", row.get("breaks", "")))))


# -- every promise and property ------------------------------------------------------------------------------------


def _model() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_run", ROOT / "docs" / "model" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _properties(rows: Sequence[Row]) -> list[str]:
    checks = _model_checks()
    return _table(
        ("", "says", "checked by", "runs", "worst beside the bound", "not covered"),
        [
            (found.prop, found.says, _checked(found, rows, checks), _runs(found, rows), _worst(found, rows), found.open)
            for found in PROPERTIES
        ],
    )


def _model_checks() -> list[tuple[str, set[str]]]:
    return [(check.name, set(re.findall(r"[PSLA]\d+", " ".join(check.properties)))) for check in _model().CHECKS]


def _checked(found: Property, rows: Sequence[Row], checks: Sequence[tuple[str, set[str]]]) -> str:
    parts = [f"`{test}`" for test in found.tests]
    if found.prop in simulated():
        parts.append("simulation")
    if number := sum(found.prop in named for _, named in checks):
        parts.append(f"model ({number} checks)")
    if number := sum(found.prop in _named(row) for row in _of(rows, "faults")):
        parts.append("real faults")
    if number := sum(found.prop in _named(row) for row in _of(rows, "mutants")):
        parts.append(f"{number} break{'s' * (number > 1)} noticed")
    return ", ".join(parts) or "nothing"


def simulated() -> set[str]:
    """The properties that the judge of histories looks for, by the docstrings of its checks."""
    text = "".join((ROOT / "tests" / "history" / name).read_text() for name in ("checker.py", "liveness.py"))
    return set(re.findall(r"\b[PSL]\d+\b", " ".join(re.findall(r'"""((?:[PSL]\d+,? ?)+)[:.]', text))))


def _tests_in(path: Path) -> int:
    """How many test functions a file or a folder has; each runs for every make and case that it is made for."""
    files = path.rglob("test_*.py") if path.is_dir() else [path]
    return sum(len(re.findall(r"^def test_", file.read_text(encoding="utf-8"), re.MULTILINE)) for file in files)


def _runs(found: Property, rows: Sequence[Row]) -> str:
    parts = []
    if tests := sum(_tests_in(ROOT / test) for test in found.tests):
        parts.append(count_of(tests, "test"))
    seeds = sum(row["seeds"] for row in _of(rows, "simulation") if row.get("what") == "clean")
    if found.prop in simulated() and seeds:
        parts.append(f"{seeds:,} simulated")
    if drawn := sum(row["examples"] for row in _of(rows, "random") if found.prop in _named(row)):
        parts.append(f"{drawn:,} drawn at random")
    if faults := [row for row in _of(rows, "faults") if found.prop in _named(row)]:
        parts.append(f"{len(faults)} real")
    return ", ".join(parts)


_AGAIN_MS = 2000.0
"""L4: a living worker reads the state again within this."""


def _worst(found: Property, rows: Sequence[Row]) -> str:
    """The time that came nearest to its bound, of what the property is about; else what was counted."""
    real = [row for row in _of(rows, "faults") if found.prop in _named(row)]
    timed = [(*row["timed_ms"][found.prop], row["fault"]) for row in real if found.prop in row.get("timed_ms", {})]
    if found.closing:
        timed += [(row["closed_ms"], row["bound_ms"], row["fault"]) for row in real if _is_bounded(row)]
    if found.prop == "L4":
        timed += [(row["recovered_ms"], _AGAIN_MS, row["fault"]) for row in real if row.get("recovered_ms") is not None]
    if timed:
        took_ms, bound_ms, fault = max(timed, key=lambda one: one[0] / one[1])
        return f"{took_ms:,.0f} of {bound_ms:,.0f} ms ({fault})"
    counted = []
    if real and found.prop[0] != "L":
        counted.append(count_of(sum(row.get("sends_after") or 0 for row in real), "send") + " too late")
    if found.prop == "L7":
        counted.append(count_of(sum(row["spurious"] for row in real), "closure") + " for nothing")
    return "; ".join([*counted, *filter(None, [found.bound])]) or "no violation"


def _is_bounded(row: Row) -> bool:
    return bool(row.get("bound_ms")) and row.get("closed_ms") is not None


# -- the other tables ----------------------------------------------------------------------------------------------


def _faults(rows: Sequence[Row]) -> list[str]:
    found = sorted(_of(rows, "faults"), key=lambda row: (row["fault"], row.get("server", "")))
    return _table(
        ("fault", "properties", "server", "closed ms", "bound ms", "sends after", "recovered ms", "spurious", "note"),
        [
            [
                row.get(name)
                for name in (
                    "fault",
                    "properties",
                    "server",
                    "closed_ms",
                    "bound_ms",
                    "sends_after",
                    "recovered_ms",
                    "spurious",
                    "note",
                )
            ]
            for row in found
        ],
    )


def _simulation(rows: Sequence[Row]) -> list[str]:
    found = _of(rows, "simulation")
    clean = [row for row in found if row.get("what") == "clean"]
    lines = [
        f"- seeds {row['first']:,} to {row['first'] + row['seeds'] - 1:,}: {row['violations']:,} violations"
        f" in {row['seconds']:,.0f} s on {row['jobs']} processes"
        for row in clean
    ]
    mutants = [row for row in found if row.get("what") == "mutant"]
    table = _table(
        ("break in the simulated code", "first seed that finds it", "found as"),
        [(row["mutant"], row["seed"], row["found"]) for row in sorted(mutants, key=lambda row: row["mutant"])],
    )
    return [*lines, "", *table]


def _mutants(rows: Sequence[Row]) -> list[str]:
    return _table(
        ("break", "breaks", "verdict", "first test that failed"),
        [(row["name"], row["breaks"], row["verdict"], f"`{row['by']}`") for row in _of(rows, "mutants")],
    )


def _random(rows: Sequence[Row]) -> list[str]:
    alike: dict[tuple[str, str, str], list[Row]] = {}
    for row in _of(rows, "random"):
        alike.setdefault((row["test"], row["properties"], row["server"]), []).append(row)
    return _table(
        ("test", "properties", "server", "drawn", "steps of each, at most"),
        [
            (f"`{test}`", properties, server, sum(row["examples"] for row in all_), max(row["steps"] for row in all_))
            for (test, properties, server), all_ in sorted(alike.items())
        ],
    )


def _soak(rows: Sequence[Row]) -> list[str]:
    found = _of(rows, "soak")
    names = sorted({name for row in found for name in row} - {"table"})
    found = [{**row, "seed": str(row["seed"])} for row in found]  # it is typed, not counted
    return _table(
        ("", *(f"run {number}" for number, _ in enumerate(found, 1))),
        [
            (
                name,
                *(
                    json.dumps(row.get(name)) if isinstance(row.get(name), dict | list) else row.get(name)
                    for row in found
                ),
            )
            for name in names
        ],
    )
