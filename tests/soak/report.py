"""The figures of a run: kept small while it goes on, one JSON object and a text for people in the end."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any

from tests.soak.growth import Growth
from tests.soak.judge import Judge

__all__ = ["Figures"]

_KEPT = 5000


def _spread(values: Iterable[float]) -> dict[str, float]:
    found = sorted(values)
    if not found:
        return {"count": 0}
    pick = {name: found[min(len(found) - 1, int(len(found) * part))] for name, part in (("p50", 0.5), ("p99", 0.99))}
    return {"count": len(found), **{k: round(v, 1) for k, v in pick.items()}, "max": round(found[-1], 1)}


class Figures:
    """Counts and spreads; nothing in here grows without bound."""

    def __init__(self) -> None:
        self.cycles = 0
        self.engages: Counter[str] = Counter()
        self.resets: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.uncertain: Counter[str] = Counter()
        self.healthy_engages = 0
        self.healthy_s = 0.0
        self.spurious: Counter[str] = Counter()
        self.starved: Counter[str] = Counter()
        self.waits_ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self.told_ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self.reread_ms: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self.reopened_ms: deque[float] = deque(maxlen=_KEPT)
        self.not_trading: Counter[str] = Counter()
        self.engine_orders = 0
        self.longest_gap_ms = 0.0

    def as_json(self, judge: Judge, growth: list[Growth], head: dict[str, Any]) -> dict[str, Any]:
        """Everything that there is to say; `ok` says whether nothing was wrong."""
        grows = [g for g in growth if g.grows]
        return {
            **head,
            "ok": not judge.count and not grows,
            "cycles": self.cycles,
            "engages": dict(self.engages),
            "engages_recorded": sum(n for name, n in self.engages.items() if not name.endswith(_NOT_DONE)),
            "healthy_engages": self.healthy_engages,
            "resets": dict(self.resets),
            "faults": dict(self.faults),
            "orders_sent": judge.sent,
            "engine_orders": self.engine_orders,
            "passes_told": judge.passes,
            "events_judged": judge.events,
            "windows": judge.windows,
            "verdicts": dict(self.verdicts),
            "uncertain_because": dict(self.uncertain),
            "waits_ms": {name: _spread(values) for name, values in sorted(self.waits_ms.items())},
            "told_ms": {name: _spread(values) for name, values in sorted(self.told_ms.items())},
            "reread_ms": {name: _spread(values) for name, values in sorted(self.reread_ms.items())},
            "reopened_ms": _spread(self.reopened_ms),
            "worst_closings": {
                name: {"worker": c.worker, "late_ms": round(c.late_ms, 1), "bound_ms": round(c.bound_ms, 1)}
                for name, c in sorted(judge.worst.items())
            },
            "healthy_s": round(self.healthy_s, 1),
            "spurious_closures": dict(self.spurious),
            "closures_of_a_starved_machine": dict(self.starved),
            "longest_gap_ms": round(self.longest_gap_ms, 1),
            "growth": [_growth(g) for g in growth],
            "grows": [_growth(g) for g in grows],
            "violations": judge.count,
            "first_violations": [str(v) for v in judge.violations[:20]],
        }


_NOT_DONE = ("refused", "unreachable", "conflict")


def _growth(found: Growth) -> dict[str, Any]:
    return {
        "process": found.name,
        "measure": found.measure,
        "samples": found.samples,
        "first": found.first,
        "last": found.last,
        "per_hour": round(found.per_hour, 1),
        "grows": found.grows,
    }


_OF_A_ROW = (
    "cycles", "engages_recorded", "events_judged", "grows", "healthy_engages", "healthy_s", "longest_gap_ms", "minutes",
    "orders_sent", "passes_told", "reopened_ms", "seed", "server", "spurious_closures", "verdicts", "violations",
    "windows",
)  # fmt: skip


def as_row(found: dict[str, Any]) -> dict[str, Any]:
    """What the evidence keeps of a run: counts and the worst of each, not every list."""
    row = {name: found[name] for name in _OF_A_ROW} | {"faults": sum(found["faults"].values())}
    row |= {f"waits_ms {name}": found["waits_ms"][name] for name in ("FENCED", "QUIET") if name in found["waits_ms"]}
    closings = {name: one for name, one in found["worst_closings"].items() if one["bound_ms"]}
    if closings:
        name, worst = max(closings.items(), key=lambda item: item[1]["late_ms"] / item[1]["bound_ms"])
        row["worst_closing"] = f"{worst['late_ms']} ms after {name}, bound {worst['bound_ms']} ms"
    return row


def as_text(found: dict[str, Any]) -> str:
    """The summary for people."""
    lines = [
        f"soak of {found['minutes']:g} min, seed {found['seed']}, {found['server']}: "
        + ("nothing was wrong" if found["ok"] else f"{found['violations']} violations, {len(found['grows'])} grow"),
        f"  {found['cycles']} cycles, {found['engages_recorded']} engagements took effect "
        f"({found['healthy_engages']} while all was well), {found['orders_sent']} orders, "
        f"{found['passes_told']} passes judged",
        "  faults: " + ", ".join(f"{name} {n}" for name, n in sorted(found["faults"].items())),
        "  verdicts: " + ", ".join(f"{name} {n}" for name, n in sorted(found["verdicts"].items())),
    ]
    for why, count in sorted(found["uncertain_because"].items()):
        lines.append(f"    UNCERTAIN {count}: {why}")
    for name, spread in found["waits_ms"].items():
        lines.append(f"  wait {name}: {spread}")
    for name, closing in found["worst_closings"].items():
        lines.append(f"  {name}: closed {closing['late_ms']} ms after it began, bound {closing['bound_ms']} ms")
    for name, spread in found["reread_ms"].items():
        lines.append(f"  all heard from again after {name}: {spread}")
    lines.append(f"  all trade again after a reset: {found['reopened_ms']}")
    lines.append(
        f"  closures in {found['healthy_s']} healthy s: {found['spurious_closures'] or 'none'}"
        f" (machine starved: {found['closures_of_a_starved_machine'] or 'none'}; longest stall "
        f"{found['longest_gap_ms']} ms)"
    )
    judged = sorted({g["process"] for g in found["growth"]})
    lines.append(f"  growth judged for: {', '.join(judged) or 'nobody lived long enough'}")
    lines += [
        f"  GROWS: {g['process']} {g['measure']} {g['first']:g} -> {g['last']:g} ({g['per_hour']:g} an hour)"
        for g in found["grows"]
    ]
    lines += [f"  VIOLATION: {text}" for text in found["first_violations"]]
    return "\n".join(lines)
