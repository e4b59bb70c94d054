"""The figures of a rehearsal, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from killswitch import AuditEntry
from killswitch.clock import wall_text
from ops.rehearsal.measure import EngineFigures, HaltFigures, Run
from ops.rehearsal.press import Press
from ops.rehearsal.scenarios import Played
from ops.rehearsal.screen import fitted
from ops.rehearsal.verdict import Check
from ops.render import Column, Paint, clean, count_of, wrap

__all__ = ["audit_lines", "check_lines", "feed_line", "gist", "played_json", "played_lines"]

_INDENT = "   "
_NAME_WIDE = 43
_ENGINES = (
    Column("engine"),
    Column("ticks", right=True),
    Column("ticks/s", right=True),
    Column("signals", right=True),
    Column("orders", right=True),
    Column("gate 1", right=True),
    Column("gate 2", right=True),
    Column("p50", right=True),
    Column("p99", right=True),
    Column("cancelled", right=True),
)
_LEGEND = "gate 1, gate 2: blocked there; p50, p99: latency of a tick in µs"
_AUDIT = (
    Column("epoch", right=True),
    Column("time (UTC)"),
    Column("from", least=8),
    Column("to", least=12),
    Column("actor", least=8),
    Column("via"),
    Column("reason", least=6),
)


def played_lines(played: Played, paint: Paint, columns: int) -> Iterator[str]:
    """One scenario: a line for each engine, all together, then the figures that matter and those that must hold."""
    rows = [_cells(engine) for engine in (*played.engines, played.total)]
    rows[-1] = [(cell, "bold") for cell in rows[-1]]
    yield from fitted(_ENGINES, rows, paint, columns)
    yield from (paint(line, "dim") for line in wrap(_LEGEND, columns, _INDENT))
    if played.cut_s is not None:
        yield f"{_INDENT}stopped after {played.cut_s:g} s"
    if played.press is not None and played.halt is not None:
        yield ""
        for name, text in _halt_rows(played.press, played.halt):
            yield f"{_INDENT}      {name:<{_NAME_WIDE}}{text}"
    else:
        yield f"{_INDENT}      {'working orders cancelled at the end':<{_NAME_WIDE}}{played.total.cancelled:,}"
    for check in played.checks:
        yield from check_lines(check, paint, columns)


def _halt_rows(press: Press, halt: HaltFigures) -> Iterator[tuple[str, str]]:
    if press.quiet_ms is None or press.quiet_after_ok_ms is None:
        yield "SET to every worker quiet", "not proved"
    else:
        yield "SET to every worker quiet", f"{press.quiet_ms:.1f} ms ({press.quiet_after_ok_ms:.1f} ms after +OK)"
    if halt.orders_before:
        if halt.closed_ms is not None:
            yield "SET to every engine stopped", f"{halt.closed_ms:.1f} ms"
        yield "orders sent before the SET", f"{halt.orders_before:,}"
        if halt.orders_during:
            yield "orders sent between SET and +OK", f"{halt.orders_during:,}"
        yield "working orders cancelled", f"{halt.cancelled:,}"


def gist(played: Played) -> str:
    """One scenario in one line."""
    count = len(played.engines)
    text = f"{count_of(count, 'engine')}, {count_of(played.total.orders, 'order')} in {played.total.ticks:,} ticks"
    press, halt = played.press, played.halt
    if press is None or halt is None:
        return text
    after = "not proved quiet" if press.quiet_ms is None else f"quiet {press.quiet_ms:.1f} ms after the SET"
    late = halt.late_orders + halt.late_passes
    return f"{text}; {after}; {late:,} passes after +OK, {halt.blocked:,} checks blocked"


def check_lines(check: Check, paint: Paint, columns: int) -> Iterator[str]:
    """One figure that must hold, and whether it does."""
    mark = paint("ok  ", "go") if check.holds else paint("FAIL", "stop")
    text = check.found if check.holds else f"{check.found}, must be {check.must}"
    first, *rest = wrap(text, columns - len(_INDENT) - 6 - _NAME_WIDE) or [""]
    yield f"{_INDENT}{mark}  {check.name:<{_NAME_WIDE}}{first}"
    for line in rest:
        yield f"{_INDENT}      {'':<{_NAME_WIDE}}{line}"


def _cells(engine: EngineFigures) -> list[Any]:
    return [
        engine.name.removeprefix("engine "),
        f"{engine.ticks:,}",
        f"{engine.ticks_per_s:,.0f}",
        f"{engine.signals:,}",
        f"{engine.orders:,}",
        f"{engine.blocked_1:,}",
        f"{engine.blocked_2:,}",
        f"{engine.p50_us:.1f}",
        f"{engine.p99_us:.1f}",
        f"{engine.cancelled:,}",
    ]


def feed_line(runs: Sequence[Run]) -> str:
    """What became of every row that the engines read; of one engine where all read the same."""
    alike = all(run.report["feed"] == runs[0].report["feed"] for run in runs)
    counts = feed_counts(runs[:1] if alike else runs)

    def kinds(of: Mapping[str, int]) -> str:
        return f" ({', '.join(f'{clean(kind)} {count:,}' for kind, count in of.items())})" if of else ""

    bad, skipped = counts["bad"], counts["skipped"]
    who = "each engine" if alike else "the engines together"
    text = f"{who} read {counts['rows']:,} rows: {counts['ticks']:,} ticks, {sum(bad.values()):,} bad{kinds(bad)}"
    return text + (f", {sum(skipped.values()):,} without a quote{kinds(skipped)}" if skipped else "")


def feed_counts(runs: Sequence[Run]) -> dict[str, Any]:
    """Rows, ticks, and bad and skipped rows by kind, of all engines."""
    bad: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for run in runs:
        bad.update(run.report["feed"]["bad"])
        skipped.update(run.report["feed"]["skipped"])
    rows, ticks = (sum(run.report["feed"][name] for run in runs) for name in ("rows", "ticks"))
    return {"rows": rows, "ticks": ticks, "bad": dict(bad), "skipped": dict(skipped)}


def audit_lines(entries: Sequence[AuditEntry], paint: Paint, columns: int) -> list[str]:
    """The record of changes, oldest first."""
    rows = [
        (
            str(entry.epoch),
            wall_text(entry.at_ms)[11:-1],
            clean(entry.before) or "(none)",
            clean(entry.after),
            clean(entry.actor),
            clean(entry.via),
            clean(entry.reason),
        )
        for entry in entries
    ]
    return fitted(_AUDIT, rows, paint, columns)


def played_json(played: Played) -> dict[str, Any]:
    """One scenario for programs: every figure with its unit in its name."""
    found: dict[str, Any] = {
        "name": played.name,
        "engines": played.engines,
        "total": played.total,
        "cut_s": played.cut_s,
        "feed": feed_counts(played.runs),
        "checks": played.checks,
    }
    if played.press is not None and played.halt is not None:
        press, halt = played.press, played.halt
        found["set"] = {
            "command": press.command,
            "epoch": press.epoch,
            "to_ok_ms": (press.ok_ns - press.sent_ns) / 1e6,
            "to_quiet_ms": press.quiet_ms,
            "ok_to_quiet_ms": press.quiet_after_ok_ms,
            "to_stopped_ms": halt.closed_ms,
            "pending": list(press.pending),
        }
        found["halt"] = halt
        found["block_rate"] = halt.block_rate
    if played.held is not None:
        found["held_in_queue"] = played.held
    return found
