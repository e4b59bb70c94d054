"""The one judge of histories: simulation, real faults and soak are held against the same properties.

Each check is a function from the run to what it found wrong, named by the property it stands for (S and L: safety and
liveness of the protocol; P: the promises in README.md). An empty list means that nothing was found wrong in what the
history shows: a check can see only what was recorded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from tests.history.events import Event, History
from tests.history.permitted import SWITCH, Permissions

__all__ = ["CHECKS", "Run", "Violation", "check"]

NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Violation:
    """`prop` was broken at `t`, as `text` says."""

    prop: str
    t: int
    text: str

    def __str__(self) -> str:
        return f"{self.prop} broken at {self.t / NS_PER_MS:.3f} ms: {self.text}"


class Run:
    """The events of one run in the order of time, and what most checks need of them."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=itemgetter("t"))
        self.by_kind: dict[str, list[Event]] = {}
        for event in self.events:
            self.by_kind.setdefault(event["kind"], []).append(event)
        metas = self.by_kind.get("meta", [])
        self.meta: dict[str, Any] = metas[0] if metas else {}
        self.workers = {event["worker"]: event for event in self.of("worker")}
        self.permissions = Permissions(self.events)
        lease_ms = float(self.meta.get("lease_ms", 0)) / (1 - float(self.meta.get("rate_error", 0.0)))
        self.bound_ns = int((lease_ms + 1) * NS_PER_MS)
        self.passes = self.of("pass1") + self.of("pass2")

    def of(self, kind: str) -> list[Event]:
        """The events of one kind."""
        return self.by_kind.get(kind, [])

    def scopes(self, worker: str) -> tuple[str, ...]:
        """What the worker follows beside the switch."""
        found = self.workers.get(worker)
        return tuple(found["scopes"]) if found else ()

    def follows(self, worker: str, scope: str) -> bool:
        """Whether `scope` concerns the worker."""
        return scope == SWITCH or scope in self.scopes(worker)

    def permitted(self, event: Event, first: int) -> bool:
        """Whether the check of `event` could have been permitted at any moment from `first` to its start."""
        reducing = event["kind"] == "pass1" or event["reduces"]
        intervals = self.permissions.of(self.scopes(event["worker"]), "signal" if reducing else "order")
        return intervals.touch(first, self.latest(event))

    def latest(self, event: Event) -> int:
        """The last moment of a permission that a check could have found: the check's start."""
        return int(event["start"])


def _passed(event: Event) -> str:
    gate = "gate 1" if event["kind"] == "pass1" else f"gate 2 for order {event['order']}"
    return f"{event['worker']} passed {gate} at epoch {event['epoch']}, check begun at {event['start'] / NS_PER_MS:.3f}"


def bounded_by_the_lease(run: Run) -> Iterator[Violation]:
    """P3, P5, S2, S4, S14: a pass needs a moment of permission within the bound of the lease before its check."""
    for event in run.passes:
        if not run.permitted(event, event["start"] - run.bound_ns):
            yield Violation(
                "S2", event["start"], f"{_passed(event)}, not permitted for {run.bound_ns / 1e6:g} ms before"
            )


def nothing_after_the_announcement(run: Run) -> Iterator[Violation]:
    """P2, S10: a check that begins after a change was announced at its host needs a younger permission."""
    if not run.meta.get("p2"):
        return
    heard: dict[str, tuple[list[int], list[int]]] = {}  # when, and the newest change that was known by then
    for event in run.of("announced"):
        times, changes = heard.setdefault(event["worker"], ([], []))
        times.append(event["t"])
        changes.append(max(event["changed"], changes[-1] if changes else 0))
    for event in run.passes:
        times, changes = heard.get(event["worker"], ([], []))
        known = bisect_left(times, event["start"])
        if known and not run.permitted(event, changes[known - 1]):
            yield Violation("P2", event["start"], f"{_passed(event)}, after a change was announced there")


def _proofs(run: Run, leases_out: bool = False) -> Iterator[tuple[Event, Event, int]]:
    """Each command that ended in QUIET or FENCED, its end, and when the stop it proves took effect. With `leases_out`
    also those that proved neither, but said that every lease had run out."""
    begun = {event["op"]: event for event in run.of("op")}
    for end in run.of("op_end"):
        said = end["result"] in ("QUIET", "FENCED") or (leases_out and end["leases_out"] and end["epoch"])
        if said and end["op"] in begun:
            op = begun[end["op"]]
            stops = [
                s["t"]
                for s in run.of("state")
                if s["epoch"] == end["epoch"] and s["scope"] == op["scope"] and s["t"] <= end["t"]
            ]
            yield op, end, max(stops, default=end["t"])


def nothing_arrives_after_the_proof(run: Run) -> Iterator[Violation]:
    """P6, S1: after QUIET or FENCED no order from before the stop reaches a sink."""
    for op, end, _ in _proofs(run):
        for event in run.of("arrive"):
            late = event["t"] > end["t"] and event["token"] < end["epoch"] and event["accepted"]
            if late and run.follows(event["worker"], op["scope"]):
                text = (
                    f"order {event['order']} of {event['worker']} under {event['token']} arrived after {end['result']}"
                )
                yield Violation("S1", event["t"], f"{text} at epoch {end['epoch']}")


def nobody_passes_after_the_proof(run: Run) -> Iterator[Violation]:
    """P6, S3, S11: after QUIET, FENCED or the word that every lease has run out nobody in scope passes, newcomers
    included, until it is permitted anew."""
    for op, end, stopped in _proofs(run, leases_out=True):
        for event in run.passes:
            late = event["start"] > end["t"] and run.follows(event["worker"], op["scope"])
            if late and not run.permitted(event, stopped):
                yield Violation("S3", event["start"], f"{_passed(event)}, after {end['result']} at {end['epoch']}")


def nothing_in_flight_at_quiet(run: Run) -> Iterator[Violation]:
    """P7, S8: when QUIET is said, no order that passed its gate before the stop is still on its way."""
    released = {(event["worker"], event["order"]): event["t"] for event in run.of("release")}
    for op, end, _ in _proofs(run):
        if end["result"] != "QUIET":
            continue
        for event in run.of("pass2"):
            if event["start"] > end["t"] or event["epoch"] >= end["epoch"]:
                continue
            if not run.follows(event["worker"], op["scope"]):
                continue
            back = released.get((event["worker"], event["order"]))
            if back is None or back > end["t"]:
                text = f"order {event['order']} of {event['worker']} was in flight when QUIET was said"
                yield Violation("S8", end["t"], f"{text} at epoch {end['epoch']}")


def epochs_seen_stopped_stay_closed(run: Run) -> Iterator[Violation]:
    """P9, S5: a worker never opens at or below an epoch at which it saw the fleet stopped, in one life."""
    stopped: dict[str, int] = {}
    for event in run.of("view"):
        highest = stopped.get(event["worker"], -1)
        if event["open"] and event["epoch"] <= highest:
            text = f"{event['worker']} opened at epoch {event['epoch']}, it had seen a stop at {highest}"
            yield Violation("S5", event["t"], text)
        if not event["open"] and event["code"] in ("engaged", "scope_engaged"):
            stopped[event["worker"]] = max(highest, event["epoch"])


def epochs_rise(run: Run) -> Iterator[Violation]:
    """P10, S6: recorded epochs rise per key and server, until the server loses its memory."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for event in run.events:
        if event["kind"] == "lost":
            last = {key: value for key, value in last.items() if key[0] != event["server"]}
        elif event["kind"] == "state" and event["epoch"]:
            key = (event["server"], event["scope"])
            before, at = last.get(key, (0, -1))
            # Two commands that overlap may have taken effect in the other order.
            if event["epoch"] <= before and event["from_t"] > at:
                yield Violation("S6", event["t"], f"{key[1]} got epoch {event['epoch']} after {before}")
            last[key] = max((before, at), (event["epoch"], event["t"]))


def resets_undo_only_what_was_looked_at(run: Run) -> Iterator[Violation]:
    """P8: a conditional change takes effect only on the epoch that its operator looked at."""
    last: dict[tuple[str, str], Event] = {}
    for event in run.events:
        if event["kind"] == "lost":
            last = {key: value for key, value in last.items() if key[0] != event["server"]}
        if event["kind"] != "state":
            continue
        before = last.get((event["server"], event["scope"]))
        looked = event["looked"]
        known = looked is not None and before is not None and before["t"] < event["from_t"]
        if known and before is not None and before["epoch"] != looked:
            now = before["epoch"] or "a change by hand"
            text = f"{event['scope']} was set to {event['mode']} by one who looked at {looked}, it was {now}"
            yield Violation("P8", event["t"], text)
        last[(event["server"], event["scope"])] = event


def fences_hold(run: Run) -> Iterator[Violation]:
    """P6, S16: a fence is never lowered, lets nothing older pass, and stands before FENCED is said."""
    standing: dict[tuple[str, str], int] = {}
    ends = {id(end): end for end in run.of("op_end") if end["result"] == "FENCED"}
    for event in run.events:
        if event["kind"] == "fence":
            key = (event["sink"], event["session"])
            if event["fence"] < standing.get(key, 0):
                yield Violation("S16", event["t"], f"the fence of {key} fell to {event['fence']}")
            standing[key] = max(standing.get(key, 0), event["fence"])
        elif event["kind"] == "arrive" and event["accepted"]:
            fence = standing.get((event["sink"], event["session"]), 0)
            if event["token"] < fence:
                yield Violation(
                    "S16", event["t"], f"order {event['order']} under {event['token']} passed fence {fence}"
                )
        elif id(event) in ends:
            yield from _fenced(run, event, standing)


def _fenced(run: Run, end: Event, standing: dict[tuple[str, str], int]) -> Iterator[Violation]:
    told = end.get("sinks", {})  # as the awaited said it: a name may have had several lives, with sinks of their own
    for worker in end["pending"]:
        sinks = told.get(worker) or (run.workers[worker]["sinks"] if worker in run.workers else [])
        if not sinks:
            yield Violation("S16", end["t"], f"FENCED was said of {worker}, which has no sink")
        for name in sinks:
            sink, _, session = name.partition("/")
            if standing.get((sink, session), 0) < end["epoch"]:
                yield Violation("S16", end["t"], f"FENCED was said before the fence of {name} stood at {end['epoch']}")


def permits_come_back(run: Run) -> Iterator[Violation]:
    """S15: at the end no permit is held."""
    for event in run.of("end"):
        if event["in_flight"]:
            yield Violation("S15", event["t"], f"{event['worker']} still holds {event['in_flight']} permits")


def waits_end(run: Run) -> Iterator[Violation]:
    """L2: the wait for the proof ends within what was asked for and one second, whatever the workers do. Where the end
    says `took_ms`, that is how long it took: less what the operator stood in line for a processor."""
    begun = {event["op"]: event for event in run.of("op")}
    for end in run.of("op_end"):
        op = begun.get(end["op"])
        if op is None or op["wait_s"] is None or end["result"] not in ("QUIET", "FENCED", "UNCERTAIN"):
            continue
        took_ms = end.get("took_ms", (end["t"] - end.get("engaged_t", op["t"])) / NS_PER_MS)
        if took_ms > op["wait_s"] * 1000 + 1000:
            text = f"the wait of {op['wait_s']:g} s returned {end['result']} after {took_ms:.0f} ms"
            yield Violation("L2", end["t"], text)


Check = Callable[[Run], Iterator[Violation]]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        bounded_by_the_lease,
        nothing_after_the_announcement,
        nothing_arrives_after_the_proof,
        nobody_passes_after_the_proof,
        nothing_in_flight_at_quiet,
        epochs_seen_stopped_stay_closed,
        epochs_rise,
        resets_undo_only_what_was_looked_at,
        fences_hold,
        permits_come_back,
        waits_end,
    )
}


def check(history: History | Iterable[Event]) -> list[Violation]:
    """Everything that is wrong in a history, in the order of time. Liveness of the quiet phase: `liveness`."""
    run = Run(history)
    return sorted((found for one in CHECKS.values() for found in one(run)), key=lambda violation: violation.t)
