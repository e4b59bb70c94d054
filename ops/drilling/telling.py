"""A drill for people: one line, a screen, a table of earlier ones. Pure: results in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from killswitch.clock import wall_text
from ops.dated import dated
from ops.render import COLUMNS, Cell, Column, Paint, ago, clean, count_of, fit, table, wrap

if TYPE_CHECKING:
    from killswitch import Drill, DrilledWorker, DrillRecord, FleetStatus

__all__ = [
    "bars",
    "compared",
    "drill_line",
    "drill_lines",
    "duration",
    "history_lines",
    "last_drill_line",
    "worker_rows",
]

_STYLES = {"PASSED": "go", "MISSED": "alarm", "CUT_SHORT": "warn"}
_EDGES_US = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000)
_BAR = 40
_SHOWN = 10
_NAMED = 3


def duration(us: int | None) -> str:
    """Microseconds in the unit that suits them; nothing for what was not measured."""
    if us is None or us < 0:
        return ""
    if us < 1000:
        return f"{us} µs"
    return f"{us / 1000:.3g} ms" if us < 1_000_000 else f"{us / 1_000_000:.3g} s"


def bars(drill: Drill) -> list[tuple[int, int]]:
    """The histogram: from the announcement to each acknowledgement heard, as (up to so many microseconds, workers)."""
    heard = [one.heard_us for one in drill.workers if one.heard_us is not None]
    edges = [*_EDGES_US, max([_EDGES_US[-1] + 1, *heard])]
    counts, low = [], -1
    for edge in edges:
        counts.append((edge, sum(low < us <= edge for us in heard)))
        low = edge
    used = [at for at, (_, count) in enumerate(counts) if count]
    return counts[used[0] : used[-1] + 1] if used else []


def compared(drill: Drill) -> str:
    """How it stands beside earlier drills, in words."""
    found = drill.comparison
    if found.verdict == "unknown":
        there = "there is 1 earlier drill" if found.earlier == 1 else f"there are {found.earlier} earlier drills"
        return f"not compared: {there} like this one, and it takes 5"
    usual = f"median {duration(found.p50_us)}, the middle half {duration(found.low_us)} to {duration(found.high_us)}"
    return f"{found.verdict} beside {found.earlier} earlier drills ({usual}, p99 {duration(found.p99_us)})"


def _counted(record: DrillRecord) -> str:
    everyone = count_of(record.workers, "worker")
    if record.workers == record.acknowledged > 0:
        return f"all {everyone}" if record.workers > 1 else "the only worker"
    return f"{record.acknowledged} of {everyone}"


def _why(worker: DrilledWorker) -> str:
    name = f"{worker.worker_id} ({worker.engine})" if worker.engine else worker.worker_id
    return clean(f"{name}: {worker.missing}")


def drill_line(drill: Drill, paint: Paint) -> str:
    """The whole drill in one line, for a log of many."""
    record = drill.record
    parts = [f"{paint(record.verdict, _STYLES.get(record.verdict, ''))} {_counted(record)}"]
    if record.heard is not None:
        parts.append(f"p50 {duration(record.heard.p50_us)}, p99 {duration(record.heard.p99_us)}")
        parts.append(f"slowest {clean(fit(record.slowest, 60))} {duration(record.heard.max_us)}")
    if drill.comparison.verdict != "unknown":
        parts.append(f"{drill.comparison.verdict} beside {drill.comparison.earlier} earlier")
    if record.mode != "SAFE":
        parts.append(f"while {clean(record.mode)}")
    if record.note:
        parts.append(clean(record.note))
    parts += [_why(one) for one in drill.missing[:_NAMED]]
    if len(drill.missing) > _NAMED:
        parts.append(f"and {len(drill.missing) - _NAMED} more")
    return "; ".join(parts)


def worker_rows(workers: Iterable[DrilledWorker]) -> list[tuple[Cell, ...]]:
    """One row for each worker, for a table under `_TITLES`."""
    return [
        (
            clean(one.worker_id),
            clean(one.engine),
            duration(one.heard_us),
            duration(one.recorded_us),
            duration(one.shut_us),
            duration(one.asked_us),
            duration(one.answer_us),
            (str(one.in_flight), "warn") if one.in_flight else "0" if one.acknowledged else "",
        )
        for one in workers
    ]


_TITLES = (
    Column("WORKER", least=12, middle=True),
    Column("ENGINE", least=8),
    Column("HEARD", right=True),
    Column("IN REDIS", right=True),
    Column("CLOSED", right=True),
    Column("ASKED", right=True),
    Column("ANSWER", right=True),
    Column("FLIGHT", right=True),
)


def _histogram(drill: Drill) -> list[str]:
    found = bars(drill)
    most = max((count for _, count in found), default=0)
    lines = []
    for edge, count in found:
        bar = "█" * (-(-count * _BAR // most) if count else 0)
        lines.append(f"  up to {duration(edge):>7}  {bar:<{_BAR if len(found) > 1 else 0}}  {count}".rstrip())
    return lines


def drill_lines(drill: Drill, paint: Paint, limit: int = COLUMNS, *, everybody: bool = False) -> list[str]:
    """The screen: verdict, figures, histogram, the slowest workers (or all), and who did not acknowledge, with why."""
    record = drill.record
    slowest = f", the slowest {duration(record.heard.max_us)} after the SET" if record.heard else ""
    head = f"{_counted(record)} acknowledged{slowest} (bound {record.bound_ms} ms)"
    lines = [f"{paint(f'DRILL {record.verdict}', _STYLES.get(record.verdict, ''))}  {head}"]
    says = {"SAFE": "trading went on", "REDUCING": "reducing orders went on"}.get(
        record.mode, "it is stopped and stays so"
    )
    lines += wrap(f"the switch says {clean(record.mode)}: {says}; this drill changed nothing", limit, "  ")
    if record.note:
        lines += wrap(clean(record.note), limit, "  ")
    if record.heard is not None:
        lines.append("")
        lines += [f"  SET to +OK         {duration(record.ok_us)}", *_spread("SET to heard here", record.heard)]
        if record.recorded is not None:
            lines += _spread("the same in Redis", record.recorded)
        lines += wrap(compared(drill), limit, "  ")
        if record.in_flight:
            text = f"{record.in_flight} had orders in flight; after a real stop they are quiet when these are back"
            lines += wrap(text, limit, "  ")
        lines += ["", *_histogram(drill)]
    shown = [one for one in drill.workers if one.heard_us is not None][: None if everybody else _SHOWN]
    if shown:
        lines += ["", *table(_TITLES, worker_rows(shown), paint, limit)]
        if len(shown) < record.acknowledged:
            lines.append(paint(f"the slowest {len(shown)}; --report tells of all", "dim"))
    if drill.missing:
        lines += ["", paint("not acknowledged:", "stop")]
        for one in drill.missing if everybody else drill.missing[: 5 * _SHOWN]:
            lines += wrap(_why(one), limit, "  ")
    return lines


def _spread(title: str, found: object) -> list[str]:
    names = ("p50", "p90", "p99", "max")
    return [f"  {title:<17}  " + ", ".join(f"{name} {duration(getattr(found, f'{name}_us'))}" for name in names)]


def history_lines(records: Sequence[DrillRecord], paint: Paint, limit: int = COLUMNS) -> list[str]:
    """Earlier drills, oldest first."""
    columns = (
        Column("TIME (UTC)"),
        Column("VERDICT", least=6),
        Column("WORKERS", right=True),
        Column("P50", right=True),
        Column("P99", right=True),
        Column("SLOWEST", least=10, middle=True),
        Column("MODE"),
        Column("BY", least=8),
        Column("REMARKS", least=12, wrap=True),
    )
    return dated(columns, [_history_row(record) for record in records], paint, limit) if records else ["no drill yet"]


def _history_row(record: DrillRecord) -> tuple[Cell, ...]:
    heard = record.heard
    remarks = [clean(record.note)] if record.note else []
    if record.missing:
        remarks.append(f"not {clean(record.missing)}")
    return (
        wall_text(record.at_ms)[:-5] if record.at_ms >= 0 else "",
        (clean(record.verdict), _STYLES.get(record.verdict, "")),
        f"{record.acknowledged}/{record.workers}" if record.workers >= 0 else "?",
        duration(heard.p50_us) if heard else "",
        duration(heard.p99_us) if heard else "",
        clean(record.slowest),
        clean(record.mode),
        clean(record.actor),
        "; ".join(remarks),
    )


def last_drill_line(status: FleetStatus) -> tuple[str, str]:
    """What the status screen says of drills, and its style; nothing when there never was one."""
    if status.drill is not None:
        return f"a drill is under way, by {clean(status.drill.actor)}: nobody is stopped by it", "warn"
    record = status.last_drill
    if record is None:
        return "", ""
    slowest = f", slowest {duration(record.heard.max_us)}" if record.heard else ""
    when = ago(status.at_ms - record.at_ms) if record.at_ms >= 0 else "at an unknown time"
    text = f"last drill {when}: {clean(record.verdict)}, {_counted(record)} acknowledged{slowest}"
    return text, "" if record.verdict == "PASSED" else "warn"
