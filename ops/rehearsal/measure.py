"""Figures from what the engines wrote down and reported. Pure: the same evidence gives the same figures.

What is counted, and against what:

*late orders*: orders that left although their check at gate 2 had started after +OK was here. *Late passes*: checks at
gate 1 that started after +OK and passed; when engines write down only turns from open to closed, several passes
between two turns are counted by the engine's own count of checks.

*block rate*: of all checks from the moment the SET was sent, at gate 1 and gate 2, those that were blocked, without the
few that passed while the SET was still on its way: blocked / (blocked + late orders + late passes). An engine that
checked nothing after the SET proves nothing, so the least number of blocked checks of an engine is a figure as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from killswitch.clock import NS_PER_MS
from ops.rehearsal.evidence import Event
from workers.histogram import Histogram
from workers.report import Ending

__all__ = ["EngineFigures", "HaltFigures", "Run", "engine_figures", "halt_figures", "merged"]

_NS_PER_US = 1000
_ENDINGS = frozenset(str(ending) for ending in Ending)
"""Why an engine cancels when it ends, rather than when it is halted."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of one engine: its own events, its report, and how many lines of its evidence were unreadable."""

    name: str
    events: Sequence[Event]
    report: Mapping[str, Any]
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """One engine, or all of them together. Latency of a tick is all work on it, both gates included (`p50_us`,
    `p99_us`, microseconds). `cancelled` are working orders cancelled because trading stopped."""

    name: str
    ticks: int
    ticks_per_s: float
    signals: int
    orders: int
    blocked_1: int
    blocked_2: int
    p50_us: float
    p99_us: float
    cancelled: int
    rejected: int


@dataclass(frozen=True, slots=True)
class HaltFigures:
    """One halt over all engines. `closed_ms`: from the SET until the last engine was blocked or told, by the engines'
    own clocks. `orders_before`, `least_before` and `least_blocked`: orders sent before the SET, by all and by the
    engine with the fewest, and blocked checks of the engine with the fewest. `cancelled_late` are orders that were
    still working when the engine ended, `uncancelled` engines that did not cancel at the halt."""

    orders_before: int
    least_before: int
    orders_during: int
    late_orders: int
    late_passes: int
    blocked: int
    least_blocked: int
    closed_ms: float | None
    cancelled: int
    cancelled_late: int
    uncancelled: int

    @property
    def checks(self) -> int:
        """All checks that count: see the module."""
        return self.blocked + self.late_orders + self.late_passes

    @property
    def block_rate(self) -> float:
        """Blocked checks as a share of all, 0.0 when there were none."""
        return self.blocked / self.checks if self.checks else 0.0


def engine_figures(run: Run) -> EngineFigures:
    """The figures of one engine as it reported them."""
    report = run.report
    return _figures(run.name, [report], report["ticks_per_s"])


def merged(name: str, runs: Sequence[Run]) -> EngineFigures:
    """The figures of all engines: sums, exactly merged latencies, and the mean of their speeds."""
    reports = [run.report for run in runs]
    mean = sum(report["ticks_per_s"] for report in reports) / max(1, len(reports))
    return _figures(name, reports, mean)


def _figures(name: str, reports: Sequence[Mapping[str, Any]], ticks_per_s: float) -> EngineFigures:
    latency = Histogram()
    for report in reports:
        latency.merge(Histogram.from_dict(report["latency_ns"]["tick"]))

    def total(field: str) -> int:
        values = (report[field] for report in reports)
        return sum(sum(value.values()) if isinstance(value, Mapping) else value for value in values)

    return EngineFigures(
        name=name,
        ticks=total("ticks"),
        ticks_per_s=ticks_per_s,
        signals=total("signals"),
        orders=total("orders"),
        blocked_1=total("blocked_signals"),
        blocked_2=total("blocked_orders"),
        p50_us=latency.quantile(0.5) / _NS_PER_US,
        p99_us=latency.quantile(0.99) / _NS_PER_US,
        cancelled=total("cancelled"),
        rejected=total("rejected"),
    )


@dataclass(frozen=True, slots=True)
class _EngineHalt:
    before: int
    during: int
    late_orders: int
    late_passes: int
    blocked: int
    closed_ns: int | None
    cancels: Sequence[int]
    cancelled_late: int


def halt_figures(runs: Sequence[Run], sent_ns: int, ok_ns: int) -> HaltFigures:
    """What the SET sent at `sent_ns` and answered at `ok_ns` brought about, by the evidence of all engines."""
    found = [_engine_halt(run, sent_ns, ok_ns) for run in runs]
    known = [each.closed_ns for each in found if each.closed_ns is not None]
    return HaltFigures(
        orders_before=sum(each.before for each in found),
        least_before=min((each.before for each in found), default=0),
        orders_during=sum(each.during for each in found),
        late_orders=sum(each.late_orders for each in found),
        late_passes=sum(each.late_passes for each in found),
        blocked=sum(each.blocked for each in found),
        least_blocked=min((each.blocked for each in found), default=0),
        closed_ms=(max(known) - sent_ns) / NS_PER_MS if found and len(known) == len(found) else None,
        cancelled=sum(each.cancels[0] for each in found if each.cancels),
        cancelled_late=sum(each.cancelled_late for each in found),
        uncancelled=sum(not each.cancels for each in found),
    )


def _engine_halt(run: Run, sent_ns: int, ok_ns: int) -> _EngineHalt:
    def of(kind: str) -> list[Event]:
        return [event for event in run.events if event["event"] == kind]

    orders = [event["check_ns"] for event in of("order")]
    noticed = [event["at_ns"] for event in of("closed") + of("blocked") if event["at_ns"] >= sent_ns]
    refused = sum(event["check_ns"] >= sent_ns for event in of("refused"))
    cancels = [event for event in of("cancelled") if event["at_ns"] >= sent_ns]
    at_halt = [event["count"] for event in cancels if event.get("why") not in _ENDINGS]
    return _EngineHalt(
        before=sum(check < sent_ns for check in orders),
        during=sum(sent_ns <= check <= ok_ns for check in orders),
        late_orders=sum(check > ok_ns for check in orders),
        late_passes=_late_passes(run, ok_ns),
        blocked=_blocked(run, sent_ns) + refused,
        closed_ns=min(noticed, default=None),
        cancels=at_halt,
        cancelled_late=sum(event["count"] for event in cancels) - sum(at_halt[:1]),
    )


def _blocked(run: Run, sent_ns: int) -> int:
    """Checks at gate 1 that were blocked, counted from the first turn to closed after the SET was sent.

    A check may start just before the SET, lose the processor, and be blocked by it: then that turn is the one in force
    when the SET was sent, and no later one follows. An engine that was blocked before for another reason does turn
    once more, because the reason changes.
    """
    turns = [event for event in run.events if event["event"] in ("opened", "blocked")]
    after = [at for at, turn in enumerate(turns) if turn["event"] == "blocked" and turn["at_ns"] >= sent_ns]
    first = after[0] if after else len(turns) - 1
    found = 0
    since: int | None = None  # checks before the stretch of blocked ones in hand
    for turn in turns[max(0, first) :]:
        if turn["event"] == "blocked" and since is None:
            since = turn["checks"]
        elif turn["event"] == "opened" and since is not None:
            found += turn["checks"] - since
            since = None
    return found + (int(run.report["ticks"]) - since if since is not None else 0)


def _late_passes(run: Run, ok_ns: int) -> int:
    """Checks at gate 1 that started after +OK and passed, at least."""
    found = 0
    open_since: int | None = None  # checks before the first pass of a stretch that began after +OK
    for event in run.events:
        if event["event"] == "opened" and event["at_ns"] > ok_ns and open_since is None:
            open_since = event["checks"]
        elif event["event"] == "blocked":
            if open_since is not None:
                found += event["checks"] - open_since
            elif event["passed_ns"] > ok_ns:
                found += 1  # the stretch began before +OK; how many of its passes came after is not on record
            open_since = None
    return found + (int(run.report["ticks"]) - open_since if open_since is not None else 0)
