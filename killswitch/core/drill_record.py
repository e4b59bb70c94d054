"""Earlier drills: what is kept of each, and whether the newest is better or worse than those, without crying wolf.

Compared are the times that Redis measured itself (announcement to acknowledgement, by one clock), so that it makes no
difference from where somebody drills; with drills that about as many workers acknowledged, in the same mode. A figure
counts as worse or better only where it is so beside each single one of the earlier ones, by a clear share, and by half
of their median and an amount that anybody would care about.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "COMPARED",
    "ENOUGH",
    "LONGEST_DRILL_MS",
    "Comparison",
    "DrillRecord",
    "DrillVerdict",
    "Figures",
    "Running",
    "compare",
    "figures",
    "parse_record",
    "parse_running",
    "record_fields",
]

COMPARED = 20
"""So many of the newest drills like this one are compared with."""
ENOUGH = 5
"""With fewer nothing is said."""
LONGEST_DRILL_MS = 600_000
"""Redis takes no drill that would last longer (ks_drill)."""

_P50_SHARE, _P50_LEAST_US = 0.25, 1000
_P99_SHARE, _P99_LEAST_US = 0.5, 5000
_TEXT = 200
_RUNNING = re.compile(r"[0-9a-f]{8,32} (\d{1,16}) (.*)", re.ASCII)


class DrillVerdict(StrEnum):
    """PASSED: every worker acknowledged within the bound of its lease. MISSED: somebody did not, or nobody was there.
    CUT_SHORT: the drill ended before that could be said, because somebody really changed the switch, or stopped it."""

    PASSED = "PASSED"
    MISSED = "MISSED"
    CUT_SHORT = "CUT_SHORT"


@dataclass(frozen=True, slots=True)
class Figures:
    """How durations are spread, in microseconds."""

    count: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int


def figures(values: Sequence[int]) -> Figures | None:
    """Of `values` in microseconds; None for none. A quantile is a value that occurred, never one between two."""
    if not values:
        return None
    ordered = sorted(values)

    def rank(percent: int) -> int:
        return ordered[max(-(-percent * len(ordered) // 100) - 1, 0)]

    return Figures(len(ordered), rank(50), rank(90), rank(99), ordered[-1])


@dataclass(frozen=True, slots=True)
class Running:
    """A drill that is under way: who makes it, and since when, in milliseconds of the server's clock."""

    actor: str
    since_ms: int


def parse_running(text: str) -> Running | None:
    """Reads what stands while a drill is under way; None where nothing of the agreed form is there."""
    match = _RUNNING.fullmatch(text)
    return None if match is None else Running(match[2], int(match[1]) // 1000)


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One drill as it is kept in Redis. `at_ms` is the server's clock, `mode` what the switch said meanwhile, `ok_us`
    the time from the SET sent to its confirmation; `heard` is measured by who drilled, `recorded` by Redis. `missing`
    names workers that did not acknowledge, at most sixteen of `workers` - `acknowledged`. -1 and "": not told."""

    entry_id: str
    at_ms: int
    verdict: str
    actor: str
    via: str
    mode: str
    workers: int
    acknowledged: int
    in_flight: int
    bound_ms: int
    ok_us: int
    heard: Figures | None
    recorded: Figures | None
    slowest: str
    missing: str
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`verdict` is better, worse, same, or unknown: too few `earlier` ones. The rest is about those: the median of
    their medians, the range in which the middle half of these lie, and the median of their 99th percentiles."""

    verdict: str
    earlier: int
    p50_us: int
    low_us: int
    high_us: int
    p99_us: int


def record_fields(record: DrillRecord) -> dict[str, str]:
    """What is written, besides what Redis adds (token, `at_ms`)."""
    fields = {
        name: str(getattr(record, name))
        for name in (
            "verdict", "actor", "via", "mode", "workers", "acknowledged", "in_flight", "bound_ms", "ok_us", "slowest",
            "missing", "note",
        )
    }  # fmt: skip
    for name in ("heard", "recorded"):
        found: Figures | None = getattr(record, name)
        if found is not None:
            fields[name] = f"{found.count} {found.p50_us} {found.p90_us} {found.p99_us} {found.max_us}"
    return {name: text for name, text in fields.items() if text}


def parse_record(entry_id: str, fields: Mapping[str, str]) -> DrillRecord:
    """Reads an entry; total, because somebody may have written to the stream by hand: nonsense reads as not told."""

    def text(name: str) -> str:
        return fields.get(name, "")[:_TEXT]

    return DrillRecord(
        entry_id=entry_id,
        at_ms=_whole(text("at_ms")),
        verdict=text("verdict"),
        actor=text("actor"),
        via=text("via"),
        mode=text("mode"),
        workers=_whole(text("workers")),
        acknowledged=_whole(text("acknowledged")),
        in_flight=_whole(text("in_flight")),
        bound_ms=_whole(text("bound_ms")),
        ok_us=_whole(text("ok_us")),
        heard=_figures(text("heard")),
        recorded=_figures(text("recorded")),
        slowest=text("slowest"),
        missing=fields.get("missing", "")[: 10 * _TEXT],
        note=text("note"),
    )


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else -1


def _figures(text: str) -> Figures | None:
    numbers = [_whole(word) for word in text.split()]
    if len(numbers) != 5 or min(numbers) < 0 or numbers[1:] != sorted(numbers[1:]):
        return None
    return Figures(*numbers)


def compare(this: DrillRecord, earlier: Iterable[DrillRecord]) -> Comparison:
    """How `this` drill stands beside `earlier` ones, newest first."""
    like = [record.recorded for record in earlier if _is_like(this, record)][:COMPARED]
    found = [figure for figure in like if figure is not None]
    if this.recorded is None or len(found) < ENOUGH:
        return Comparison("unknown", len(found), 0, 0, 0, 0)
    halves, tails = [figure.p50_us for figure in found], [figure.p99_us for figure in found]
    half = _beyond(this.recorded.p50_us, halves, _P50_SHARE, _P50_LEAST_US)
    tail = _beyond(this.recorded.p99_us, tails, _P99_SHARE, _P99_LEAST_US)
    verdict = "worse" if max(half, tail) > 0 else "better" if half < 0 else "same"
    low, middle, high = (int(value) for value in statistics.quantiles(halves, n=4, method="inclusive"))
    return Comparison(verdict, len(found), middle, low, high, int(statistics.median(tails)))


def _is_like(this: DrillRecord, other: DrillRecord) -> bool:
    size = abs(this.acknowledged - other.acknowledged) * 10 <= max(this.acknowledged, other.acknowledged)
    whole = other.verdict in (DrillVerdict.PASSED, DrillVerdict.MISSED) and other.recorded is not None
    return size and whole and other.mode == this.mode


def _beyond(value: int, others: Sequence[int], share: float, least_us: int) -> int:
    """1 above, -1 below, 0 within what the others make likely. `share` is that by which each of them is exceeded."""
    middle = statistics.median(others)
    if abs(value - middle) < max(least_us, middle / 2):
        return 0
    return (value > max(others) * (1 + share)) - (value * (1 + share) < min(others))
