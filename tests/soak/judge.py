"""Holds each window of the soak against the shared checker and against what only the soak can know.

A window begins and ends with the fleet engaged. What came before it is kept as far as it still matters: the states of
the keys. Memory does not grow with the length of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.history.checker import Violation, check
from tests.history.events import Event, History
from tests.history.permitted import SWITCH
from tests.soak.stage import Cut

__all__ = ["Judge", "closed_within_lease", "quiet_members_were_quiet"]

_NS_PER_MS = 1_000_000
_CARRIED = frozenset({"state", "lost", "fence"})
_CARRIED_NS = 10_000_000_000


@dataclass(slots=True)
class Closing:
    """The slowest closing of one kind of fault: from its beginning to the start of the last check that passed."""

    cut: str
    worker: str
    late_ms: float
    bound_ms: float


def closed_within_lease(
    passes: Iterable[Event], cuts: Iterable[Cut], bounds: Mapping[str, int]
) -> Iterator[tuple[Closing, Violation | None]]:
    """P3, P4, S2: who cannot be told that trading is permitted closes within the bound of its lease."""
    found = list(passes)
    for cut in cuts:
        for worker in cut.workers:
            if worker not in bounds:
                continue
            starts = [e["start"] for e in found if e["worker"] == worker and cut.from_ns < e["start"] < cut.to_ns]
            late, bound = max(starts, default=cut.from_ns) - cut.from_ns, bounds[worker]
            closing = Closing(cut.why, worker, late / _NS_PER_MS, bound / _NS_PER_MS)
            text = f"{worker} passed a check {late / 1e6:.1f} ms into {cut.why}, its bound is {bound / 1e6:.1f} ms"
            yield closing, Violation("P3", cut.from_ns + late, text) if late > bound else None


def quiet_members_were_quiet(events: Iterable[Event], scopes: Mapping[str, tuple[str, ...]]) -> Iterator[Violation]:
    """P6: also where the verdict is UNCERTAIN, whoever is not named as pending was quiet when it was said."""
    ordered = list(events)
    begun = {e["op"]: e for e in ordered if e["kind"] == "op"}
    released = {(e["worker"], e["order"]): e["t"] for e in ordered if e["kind"] == "release"}
    for end in ordered:
        if end["kind"] != "op_end" or end["result"] not in ("QUIET", "FENCED", "UNCERTAIN") or not end["epoch"]:
            continue
        quiet = set(end["members"]) - set(end["pending"])
        for event in ordered:
            if event["kind"] != "pass2" or event["worker"] not in quiet or event["start"] > end["t"]:
                continue
            if event["epoch"] >= end["epoch"] or begun[end["op"]]["scope"] not in ("switch", *scopes[event["worker"]]):
                continue
            back = released.get((event["worker"], event["order"]))
            if back is None or back > end["t"]:
                text = f"{event['worker']} was called quiet at {end['epoch']} with order {event['order']} in flight"
                yield Violation("P6", end["t"], text)


class Judge:
    """Judges window after window; keeps counts, the first violations and the worst figures. A window in which something
    was wrong is written to the folder `keep`, to be judged again by hand."""

    def __init__(self, meta: Event, keep: Path | None = None) -> None:
        self._meta = meta
        self._keep = keep
        self._carried: list[Event] = []
        self.violations: list[Violation] = []
        self.count = 0
        self.windows = 0
        self.events = 0
        self._until = 0
        self.worst: dict[str, Closing] = {}
        self.sent = 0
        self.passes = 0

    def window(
        self,
        events: list[Event],
        until_ns: int,
        cuts: Iterable[Cut],
        bounds: Mapping[str, int],
        scopes: Mapping[str, tuple[str, ...]],
        sinks: Mapping[str, list[str]],
    ) -> list[Violation]:
        """What is wrong in the window that ends at `until_ns`. `bounds`, `scopes`: of every worker that
        lived in it and tells of its passes; `sinks`: of those that were called pending."""
        lives = [
            {
                "kind": "worker",
                "t": 0,
                "worker": worker,
                "scopes": list(scopes.get(worker, ())),
                "lease_ms": 0,
                "sinks": sinks.get(worker, []),
            }
            for worker in {**scopes, **sinks}
        ]
        told = [event for event in events if event["kind"] != "worker"]
        # What was carried was judged before.
        found = [v for v in check([self._meta, *lives, *self._carried, *told]) if v.t > self._until]
        self._until = until_ns
        passes = [event for event in told if event["kind"] in ("pass1", "pass2")]
        for closing, violation in closed_within_lease(passes, cuts, bounds):
            worst = self.worst.get(closing.cut)
            if worst is None or closing.late_ms / closing.bound_ms > worst.late_ms / worst.bound_ms:
                self.worst[closing.cut] = closing
            if violation:
                found.append(violation)
        found += quiet_members_were_quiet(told, scopes)
        if found and self._keep is not None:
            History([self._meta, *lives, *self._carried, *told]).write(self._keep / f"window-{self.windows}.jsonl")
        self.windows += 1
        self.events += len(events)
        self.passes += len(passes)
        self.sent += sum(event["kind"] == "send" for event in told)
        self._carry(told, until_ns)
        self.report(found)
        return found

    def _carry(self, told: list[Event], until_ns: int) -> None:
        """Keeps what was said in the last seconds, and before that the last word of each key."""
        last: dict[str, Event] = {}
        young: list[Event] = []
        for event in sorted((e for e in (*self._carried, *told) if e["kind"] in _CARRIED), key=lambda e: e["t"]):
            if event["t"] >= until_ns - _CARRIED_NS:
                young.append(event)
            elif event["kind"] == "fence":
                last[f"fence {event['session']}"] = event
            elif event["kind"] == "lost":
                last.pop(SWITCH, None)
                last["lost"] = event
            else:
                last[event["scope"]] = event
        self._carried = [*last.values(), *young]

    def report(self, violations: Iterable[Violation]) -> None:
        """Counts what was found, and keeps the first of it."""
        for violation in violations:
            self.count += 1
            if len(self.violations) < 100:
                self.violations.append(violation)
