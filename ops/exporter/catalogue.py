"""Every metric that is exported: name, kind, labels, meaning. The table in docs/metrics.md is generated from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CATALOGUE", "Metric"]

Kind = Literal["gauge", "counter", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `name` as it is asked for in Prometheus: a counter ends in `_total`, an info in `_info`, a
    histogram has its three usual endings besides."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"killswitch_{name}", "gauge", labels, meaning)


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"killswitch_{name}_total", "counter", labels, meaning)


def _histogram(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"killswitch_{name}", "histogram", labels, meaning)


def _info(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(f"killswitch_{name}_info", "info", labels, meaning)


UP = _gauge("up", "1 if Redis answered this scrape; 0 if not, and then nothing of the switch is shown.")
SCRAPE_SECONDS = _gauge("scrape_duration_seconds", "How long looking at Redis took for this scrape.")
SCRAPE_FAILURES = _counter("scrape_failures", "Scrapes that found no answer, by reason code.", "code")
EXPORTER = _info("exporter", "The exporter itself.", "version")
LEFT_OUT = _gauge("left_out", "What this scrape does not show one by one because there is too much of it.", "what")

MODE = _gauge("mode", "1 for the mode that the switch or the scope says, 0 for the two others.", "scope", "mode")
EPOCH = _gauge("epoch", "Epoch of the last recorded change.", "scope")
HIGHEST_EPOCH = _gauge("highest_epoch", "Highest epoch given out.")
CHANGED = _gauge("last_change_timestamp_seconds", "When the last recorded change was made, by Redis's clock.", "scope")
CHANGE = _info("change", "The last change: who, how, why.", "scope", "actor", "via", "reason")
RECORDED = _gauge("recorded", "0 between a change by hand and the beat that records it, else 1.", "scope")
PERMISSION_LEFT = _gauge("permission_left_seconds", "Rest of a time-boxed permission; absent without one.", "scope")
DEADMAN_LEFT = _gauge(
    "deadman_left_seconds", "Rest of a permission that somebody must go on renewing; absent where nobody has to."
)
DEADMAN_EVERY = _gauge("deadman_interval_seconds", "How often it is to be renewed.")
DEADMAN_OVERDUE = _gauge("deadman_overdue", "1 if a renewal has not come in time, else 0.")
CONFIRMED = _gauge("confirmed", "1 if the record was made under this Redis and its history; 0 closes every gate.")
REFUSED = _gauge(
    "renewals_refused",
    "1 for the reason for which a worker's question would be refused now, 0 for the others; absent where the "
    "exporter's user may not ask.",
    "code",
)
LIBRARY = _gauge("library_version", "Version of the function library in Redis; absent where it did not answer.")
LIBRARY_WANTED = _gauge("library_wanted_version", "Version of the function library that this release needs.")
SERVER = _info("server", "The Redis or Valkey that answered.", "server", "run_id")

FOLLOWERS = _gauge("followers", "Workers that the switch or an engaged scope concerns.", "scope")
NOT_QUIET = _gauge(
    "followers_not_quiet",
    "Of those, the ones that have not proved to be closed with nothing in flight. Only for what is engaged.",
    "scope",
)
WORKERS = _gauge("workers", "Workers by state.", "state")
BY_RUNG = _gauge("workers_by_rung", "Workers by the way in which they learn of changes.", "rung")
BY_VERSION = _gauge("workers_by_version", "Workers by version.", "version")
VERSIONS = _gauge("versions", "How many versions the fleet runs.")
IN_FLIGHT = _gauge("orders_in_flight", "Orders between announcement and release, over all workers.")
IN_FLIGHT_MAX = _gauge("orders_in_flight_max", "The most of one worker.")
LEASE_LEFT_MAX = _gauge("lease_left_max_seconds", "The longest lease that anybody may still hold, see below.")
SLACK_MIN = _gauge("lease_slack_min_seconds", "The least slack of any worker that is not silent; absent without one.")

WORKER = _info("worker", "What a worker is.", "worker", "engine", "host", "version", "rung")
WORKER_STATE = _gauge(
    "worker_state", "1 for the state that the worker is in; other states are absent.", "worker", "state"
)
WORKER_IN_FLIGHT = _gauge("worker_orders_in_flight", "Orders in flight, in its last words.", "worker")
BEAT_AGE = _gauge("worker_beat_age_seconds", "Time since its last heartbeat, by Redis's clock.", "worker")
LEASE = _gauge("worker_lease_seconds", "For how long it believes a permission.", "worker")
LEASE_LEFT = _gauge(
    "worker_lease_left_seconds",
    "How much longer its gates may be open although nothing is heard of it, at most; 0: closed.",
    "worker",
)
SLACK = _gauge(
    "worker_lease_slack_seconds",
    "The least that was left of its lease when it was renewed, in the time before its last heartbeat; below 0: it had "
    "run out.",
    "worker",
)
BLOCKED = _counter("worker_blocked_checks", "Checks that a gate refused, by reason code.", "worker", "gate", "code")

ENGINE_EVENTS = _counter(
    "engine_events",
    "What a running engine counted: ticks, signals, orders, fills, cancelled.",
    "worker",
    "engine",
    "event",
)
ENGINE_LATENCY = _histogram(
    "engine_latency_seconds", "Time that a running engine took, by stage.", "worker", "engine", "stage"
)

READABLE = _gauge("record_readable", "1 if the record of changes could be read for this scrape.")
ENTRIES = _gauge("record_entries", "Entries in the record of changes.")
UNSEALED = _gauge("record_unsealed", "Entries of it that have no seal yet; absent where that cannot be read.")
PROOF_SECONDS = _histogram(
    "proof_duration_seconds",
    "From a stop to the end of the wait for its proof, by how that ended: QUIET, FENCED or UNCERTAIN.",
    "verdict",
)
CHANGES = _counter(
    "changes", "Changes on record, by how they were made and what they made of the switch or scope.", "via", "mode"
)

DRILLS = _counter("drills", "Drills, by how they ended: PASSED, MISSED or CUT_SHORT.", "verdict")
DRILL_SECONDS = _histogram(
    "drill_duration_seconds", "From the announcement of a drill to the last acknowledgement, by Redis's clock."
)
LAST_DRILL = _gauge("last_drill_timestamp_seconds", "When the last drill ended, by Redis's clock; absent without one.")
LAST_VERDICT = _gauge("last_drill_verdict", "1 for how the last drill ended, 0 for the others.", "verdict")
LAST_SECONDS = _gauge("last_drill_duration_seconds", "How long its last acknowledgement took.")
LAST_BOUND = _gauge("last_drill_bound_seconds", "How long it might take: the longest lease, by a slow clock.")
LAST_MISSING = _gauge("last_drill_missing_workers", "Workers that did not acknowledge it.")

CATALOGUE = tuple(value for value in vars().copy().values() if isinstance(value, Metric))
"""In the order in which they are documented."""
