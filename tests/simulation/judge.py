"""The shared judge, and what only a simulation can ask for."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from tests.history.checker import CHECKS, Check, Run, Violation, _proofs, nothing_arrives_after_the_proof
from tests.history.events import Event, History
from tests.history.liveness import liveness
from tests.simulation.kernel import MS
from tests.simulation.world import World

__all__ = ["judge"]

_WORKERS_ONLY = frozenset({"SIGSTOP", "kill -9"})


class _SlowRun(Run):
    """A check here may last long, because its thread may be held up inside: it is permitted by a permission that came
    while it lasted. Two threads and one lease later it may still be going on."""

    def latest(self, event: Event) -> int:
        return int(event["t"])


def _is_excused(history: History, violation: Violation) -> bool:
    """A wait may last longer than promised where more than workers misbehaved."""
    begun = {event["op"]: event["t"] for event in history if event["kind"] == "op"}
    starts = [begun[e["op"]] for e in history if e["kind"] == "op_end" and e["t"] == violation.t and e["op"] in begun]
    first = min(starts, default=violation.t)
    open_faults: dict[tuple[str, str], int] = {}
    for event in history:
        if event["kind"] != "fault" or event["name"] in _WORKERS_ONLY:
            continue
        key = (event["name"], event["target"])
        if event["phase"] == "begin":
            open_faults[key] = event["t"]
            if first <= event["t"] <= violation.t:
                return True
        elif open_faults.pop(key, None) is not None and event["t"] >= first:
            return True
    return any(t <= violation.t for t in open_faults.values())


def _arrives_after_the_proof(run: Run) -> Iterator[Violation]:
    """S1, but after a loss of all memory by the moment of the gate pass: then epochs count from one again, and an order
    under a permission that was given afterwards carries a token below that of an older proof."""
    lost = min((event["t"] for event in run.of("lost")), default=1 << 62)
    passed = {(event["worker"], event["order"]): event["start"] for event in run.of("pass2")}
    for op, end, _ in _proofs(run):
        for event in run.of("arrive"):
            old = event["token"] < end["epoch"] and end["t"] < event["t"] and event["accepted"]
            before = event["t"] < lost or passed[event["worker"], event["order"]] <= end["t"]
            if old and before and run.follows(event["worker"], op["scope"]):
                text = f"order {event['order']} of {event['worker']} under {event['token']} arrived after"
                yield Violation("S1", event["t"], f"{text} {end['result']} at epoch {end['epoch']}")


_REPLACED: dict[Check, Check] = {nothing_arrives_after_the_proof: _arrives_after_the_proof}


def _without_hollow_proofs(history: History) -> Iterator[Event]:
    """What the product does not promise: a membership that was lost less than a lease ago and partly rebuilt hides who
    has not come back, so a proof made then is held against nothing."""
    losses: list[int] = []
    lease_ns = 0
    for event in sorted(history, key=itemgetter("t")):
        if event["kind"] == "meta":
            lease_ns = int(event["lease_ms"] / (1 - event["rate_error"]) * MS)
        elif event["kind"] == "lost":
            losses.append(event["t"])
        elif event["kind"] == "op_end" and any(t > event["t"] - lease_ns for t in losses):
            yield {**event, "result": "UNCERTAIN"}
            continue
        yield event


def _trades_where_it_could_not_be_stopped(run: Run) -> Iterator[Violation]:
    """P4: a server that would refuse the stop refuses renewals as well, so a lease later nobody passes. Told only where
    there is one server."""
    if len({event["server"] for event in run.of("state")}) > 1:
        return
    began: dict[str, int] = {}
    for event in run.of("fault"):
        if not event["name"].startswith("refuses: "):
            continue
        if event["phase"] == "begin":
            began[event["name"]] = event["t"]
            continue
        first = began.pop(event["name"], event["t"]) + run.bound_ns
        for passed in run.passes:
            if first < passed["start"] and passed["t"] < event["t"]:
                text = f"{passed['worker']} passed while the server {event['name']}, for longer than a lease"
                yield Violation("P4", passed["start"], text)


def judge(world: World) -> list[Violation]:
    """Everything that is wrong with a finished run, in the order of time."""
    history = world.history
    run = _SlowRun(_without_hollow_proofs(history))
    found = [violation for check in CHECKS.values() for violation in _REPLACED.get(check, check)(run)]
    found += _trades_where_it_could_not_be_stopped(run)
    found = [v for v in found if v.prop != "L2" or not _is_excused(history, v)]
    # Epochs count from one again where all memory was lost: then one that was looked at before can come again.
    lost = min((event["t"] for event in run.of("lost")), default=world.kernel.now)
    found = [v for v in found if v.prop != "P8" or v.t < lost]
    found += liveness(run)
    now = world.kernel.now
    found += [Violation("own", now, text) for text in world.errors]
    living = any(trader.is_alive for trader in world.traders.values())
    if living and world.closing != "QUIET":
        found.append(Violation("L2", now, f"in quiet an engagement ended {world.closing}"))
    return sorted(found, key=lambda violation: violation.t)
