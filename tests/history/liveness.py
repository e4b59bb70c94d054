"""What must come about once the faults have ended: the second half of every run, from its `phase` event "quiet" on.

A history without that event is not judged here. Times are of the reference clock; a worker's own clock may be slower by
the rate error, which the slack covers.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.history.checker import NS_PER_MS, Run, Violation
from tests.history.events import Event, History

__all__ = ["check_liveness", "liveness"]

_READ_AGAIN_NS = 2000 * NS_PER_MS
"""L4: every living worker reads the state within two seconds of the end of the last fault."""


def check_liveness(history: History) -> list[Violation]:
    """L4, L5, L7 of the quiet phase; nothing where the history has none."""
    return liveness(Run(history))


def liveness(run: Run) -> list[Violation]:
    """The same of a run that others look at as well."""
    begun = [event["t"] for event in run.of("phase") if event["name"] == "quiet"]
    if not begun:
        return []
    gone = {event["worker"] for event in run.of("gone")}
    living = [worker for worker in run.workers if worker not in gone]
    return [
        violation
        for worker in living
        for one in (_reads_again, _opens, _stays_open)
        for violation in one(run, worker, begun[-1])
    ]


def _reads_again(run: Run, worker: str, quiet: int) -> Iterator[Violation]:
    """L4."""
    since = max(quiet, run.workers[worker]["t"])
    if not any(
        event["worker"] == worker and since <= event["t"] <= since + _READ_AGAIN_NS for event in run.of("answer")
    ):
        yield Violation("L4", since + _READ_AGAIN_NS, f"{worker} did not read the state within 2 s of the last fault")


def _last_permission(run: Run, worker: str) -> int | None:
    """Since when the worker is permitted without a break to the end; None where it is not."""
    pairs = run.permissions.of(run.scopes(worker), "signal").pairs
    end = run.events[-1]["t"]
    return pairs[-1][0] if pairs and pairs[-1][1] > end else None


def _views(run: Run, worker: str) -> list[Event]:
    return [event for event in run.of("view") if event["worker"] == worker]


def _opens(run: Run, worker: str, quiet: int) -> Iterator[Violation]:
    """L5: open within two renewal periods of a permission given in the quiet phase."""
    since = _last_permission(run, worker)
    slack_ns = int(2 * run.meta["renew_ms"] / (1 - run.meta["rate_error"]) * NS_PER_MS) + _READ_AGAIN_NS
    if since is None:
        return
    since = max(since, quiet, run.workers[worker]["t"])
    if since + slack_ns > run.events[-1]["t"]:
        return  # the run ended before it was due
    state = [event for event in _views(run, worker) if event["t"] <= since + slack_ns]
    if not state or not state[-1]["open"]:
        why = state[-1]["code"] if state else "no view at all"
        yield Violation(
            "L5", since + slack_ns, f"{worker} is still closed ({why}), permitted since {since / 1e6:.1f} ms"
        )


def _stays_open(run: Run, worker: str, quiet: int) -> Iterator[Violation]:
    """L7: no closure for want of an answer while nothing is wrong."""
    since = _last_permission(run, worker)
    if since is None:
        return
    settled = max(since, quiet) + _READ_AGAIN_NS
    for event in _views(run, worker):
        if event["t"] > settled and not event["open"] and event["code"] != "state_changed":
            yield Violation("L7", event["t"], f"{worker} closed with {event['code']} while nothing was wrong")
