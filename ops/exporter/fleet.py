"""The workers as samples: counts over all of them, and each by name as far as there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from killswitch import FleetStatus, Member
from ops.exporter import catalogue as c
from ops.exporter.page import Page, label

__all__ = ["RUNGS", "STATES", "VERSIONS_MAX", "WORKERS_MAX", "by_urgency", "state_of", "tell_fleet"]

WORKERS_MAX = 1000
"""Most workers that are shown one by one; those that are in trouble come first."""

VERSIONS_MAX = 20

STATES = ("unknown", "rival", "silent", "closed", "open", "quiet")
"""`unknown`: in the membership, but nothing is known of it. `rival`: two processes speak under its name. `silent`: it
has missed two heartbeats. `closed`: it said that its gates are closed, but it has not proved to be quiet. `open`: it
said that they are open. `quiet`: closed and nothing in flight, proved under the stop in force. The first that fits."""

RUNGS = ("bcast", "tracking", "keyspace", "polling")
_NO_RUNG = "none"


def state_of(member: Member, stop_epoch: int) -> str:
    """The state of `member`; `stop_epoch` is that of the newest stop that concerns it, 0 without one."""
    if not member.known:
        return "unknown"
    if member.rival:
        return "rival"
    if member.silent:
        return "silent"
    if member.quiet_epoch >= max(stop_epoch, 1) and not member.in_flight:
        return "quiet"
    return "closed" if member.closed else "open"


def by_urgency(status: FleetStatus) -> list[tuple[Member, str]]:
    """Everybody and its state, whoever needs looking at first."""
    stops = {state.scope: state.epoch for state in (status.switch, *status.scopes) if state.mode == "ENGAGED"}
    switch = stops.get(status.switch.scope, 0)
    found = [(m, state_of(m, max([switch, *(stops.get(scope, 0) for scope in m.scopes)]))) for m in status.members]
    return sorted(found, key=lambda pair: (STATES.index(pair[1]), -pair[0].in_flight, pair[0].worker_id))


def tell_fleet(page: Page, status: FleetStatus, everybody: Sequence[tuple[Member, str]]) -> tuple[int, int]:
    """Counts over all, then each worker; returns how many workers and versions were left out."""
    states = Counter(state for _, state in everybody)
    for state in STATES:
        page.set(c.WORKERS, states[state], state)
    members = [member for member, _ in everybody]
    known = [member for member in members if member.known]
    _tell_rungs(page, known)
    versions = Counter(label(member.version) for member in known)
    page.set(c.VERSIONS, len(versions))
    shown = sorted(versions.items(), key=lambda pair: (-pair[1], pair[0]))[:VERSIONS_MAX]
    for version, count in shown:
        page.set(c.BY_VERSION, count, version)
    flying = [member.in_flight for member in members]
    page.set(c.IN_FLIGHT, sum(flying))
    page.set(c.IN_FLIGHT_MAX, max(flying, default=0))
    page.set(c.LEASE_LEFT_MAX, max((member.lease_left_ms for member in members), default=0) / 1000)
    slacks = [m.slack_ms for m, state in everybody if m.slack_ms is not None and state in ("open", "closed", "quiet")]
    if slacks:
        page.set(c.SLACK_MIN, min(slacks) / 1000)
    _tell_followers(page, status, everybody)
    for member, state in everybody[:WORKERS_MAX]:
        _tell_worker(page, member, state)
    return len(everybody[WORKERS_MAX:]), len(versions) - len(shown)


def _tell_rungs(page: Page, known: Iterable[Member]) -> None:
    rungs = Counter(member.rung if member.rung in RUNGS else _NO_RUNG for member in known)
    for rung in (*RUNGS, _NO_RUNG):
        page.set(c.BY_RUNG, rungs[rung], rung)


def _tell_followers(page: Page, status: FleetStatus, everybody: Sequence[tuple[Member, str]]) -> None:
    """For each stop in force, who follows it and who of those has not proved to be quiet. Somebody of whom nothing is
    known, or under whose name two speak, concerns every stop and is quiet under none."""
    switch = status.switch.scope
    stops = [state for state in (status.switch, *status.scopes) if state.mode == "ENGAGED"]
    epochs = {state.scope: state.epoch for state in stops}
    everywhere = sum(not member.known or member.rival for member, _ in everybody)
    followers: Counter[str] = Counter()
    unquiet: Counter[str] = Counter()
    for member, _ in everybody:
        if member.known and not member.rival:
            for scope in {switch, *member.scopes}:
                followers[scope] += 1
                unquiet[scope] += member.quiet_epoch < max(epochs.get(scope, 0), 1) or member.in_flight > 0
    for scope in dict.fromkeys((switch, *epochs)):
        page.set(c.FOLLOWERS, followers[scope] + everywhere, scope)
        if scope in epochs:
            page.set(c.NOT_QUIET, unquiet[scope] + everywhere, scope)


def _tell_worker(page: Page, member: Member, state: str) -> None:
    name = member.worker_id
    page.set(c.WORKER, 1, name, member.engine, member.host, member.version, member.rung)
    page.set(c.WORKER_STATE, 1, name, state)
    page.set(c.BEAT_AGE, member.beat_age_ms / 1000, name)
    page.set(c.LEASE_LEFT, member.lease_left_ms / 1000, name)
    if not member.known:
        return
    page.set(c.WORKER_IN_FLIGHT, member.in_flight, name)
    page.set(c.LEASE, member.lease_ms / 1000, name)
    if member.slack_ms is not None:
        page.set(c.SLACK, member.slack_ms / 1000, name)
    for code, counts in sorted(member.refused.items()):
        for gate, count in enumerate(counts, 1):
            page.set(c.BLOCKED, count, name, gate, code)
