"""Which figures must hold, and whether they do. No figure is excused, and none can hold for want of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from killswitch import AuditEntry
from ops.rehearsal.measure import HaltFigures, Run, engine_figures
from ops.rehearsal.press import Press

__all__ = ["Check", "halt_checks", "held_checks", "normal_checks", "record_checks"]


@dataclass(frozen=True, slots=True)
class Check:
    """One figure that must hold: what it is, what it came to, what it has to be."""

    name: str
    found: str
    must: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}, must be {self.must}"


def _no(name: str, count: int) -> Check:
    return Check(name, f"{count:,}", "0", count == 0)


def _some(name: str, count: int) -> Check:
    return Check(name, f"{count:,}", "1 or more", count > 0)


def _evidence(runs: Sequence[Run]) -> Check:
    """Evidence that lacks a line, or has one too many, proves nothing."""
    written = sum(event["event"] == "order" for run in runs for event in run.events)
    reported = sum(int(run.report["orders"]) for run in runs)
    unreadable = sum(run.unreadable for run in runs)
    found = f"{written:,} of {reported:,}" + (f", {unreadable:,} lines unreadable" if unreadable else "")
    return Check("orders on the engines' own record", found, "all of them", written == reported and not unreadable)


def normal_checks(runs: Sequence[Run]) -> Iterator[Check]:
    """Normal operation: every engine trades."""
    yield _some("fewest orders of an engine", min((int(run.report["orders"]) for run in runs), default=0))
    yield _no("orders refused by the venue", sum(engine_figures(run).rejected for run in runs))
    yield _evidence(runs)


def _quiet(press: Press) -> Check:
    total = len(press.quiet_ns) + len(press.pending)
    late = f", not {', '.join(press.pending)}" if press.pending else ""
    return Check("workers proved quiet", f"{len(press.quiet_ns)} of {total}{late}", "all of them", not press.pending)


def _stopped(halt: HaltFigures) -> Iterator[Check]:
    yield _no("order sends after +OK", halt.late_orders)
    yield _no("passes at gate 1 after +OK", halt.late_passes)
    found = f"{halt.block_rate:.2%} ({halt.blocked:,} of {halt.checks:,})"
    yield Check("block rate", found.replace("100.00%", "100 %"), "100 %", 0 < halt.blocked == halt.checks)
    yield _some("fewest blocked checks of an engine", halt.least_blocked)


def halt_checks(runs: Sequence[Run], press: Press, halt: HaltFigures) -> Iterator[Check]:
    """Engaged mid-stream. Orders before the SET and checks after it are demanded: without them the rest is empty."""
    yield _some("fewest orders of an engine before the SET", halt.least_before)
    yield _quiet(press)
    yield from _stopped(halt)
    yield _no("engines that left orders working", halt.uncancelled)
    yield _no("orders still working later", halt.cancelled_late)
    yield _no("orders refused by the venue", sum(engine_figures(run).rejected for run in runs))
    yield _evidence(runs)


def held_checks(runs: Sequence[Run], press: Press, halt: HaltFigures, held: int, placed: int) -> Iterator[Check]:
    """Engaged from the start: gated engines wait, and those that were started all the same send nothing."""
    yield _quiet(press)
    yield Check("gated engines left in the queue", f"{held} of {placed}", "all of them", held == placed > 0)
    ticks = sum(int(run.report["ticks"]) for run in runs)
    blocked = sum(engine_figures(run).blocked_1 for run in runs)
    yield Check("ticks blocked at gate 1", f"{blocked:,} of {ticks:,}", "all of them", 0 < blocked == ticks)
    yield from _stopped(halt)
    yield _no("signals", sum(int(run.report["signals"]) for run in runs))
    yield _no("orders", sum(int(run.report["orders"]) for run in runs))
    yield _evidence(runs)


def record_checks(entries: Sequence[AuditEntry], presses: Sequence[Press]) -> Iterator[Check]:
    """Every SET by hand has its epoch and its entry."""
    recorded = {entry.epoch for entry in entries if entry.via == "raw" and entry.after.startswith("ENGAGED")}
    found = sum(press.epoch in recorded for press in presses)
    yield Check("SETs on the audit trail", f"{found} of {len(presses)}", "all of them", found == len(presses))
