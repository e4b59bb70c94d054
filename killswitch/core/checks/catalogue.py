"""Every check in the order in which they are told, and why each matters. Total: a rule that lacks a fact warns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from killswitch.core.checks import fleet, line, rights, server, storage
from killswitch.core.checks.facts import Facts
from killswitch.core.checks.finding import Finding, Grade, Judged, Unseen

__all__ = ["CHECKS", "Check", "judge"]

_LOOK = "let a user look that may (INFO, CONFIG GET, ACL), or `--skip` it knowingly"


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `parts` are the facts that it needs, by their names in Facts."""

    name: str
    why: str
    rule: Callable[[Facts], Judged]
    parts: frozenset[str]

    def judge(self, facts: Facts) -> Finding:
        """What it says about `facts`."""
        try:
            found = self.rule(facts)
        except Unseen as unseen:
            found = Judged(Grade.WARN, f"could not look: {unseen}", _LOOK)
        return Finding(self.name, found.grade, found.found, self.why, found.remedy)


def _check(name: str, rule: Callable[[Facts], Judged], parts: str, why: str) -> Check:
    return Check(name, why, rule, frozenset(parts.split()))


CHECKS: tuple[Check, ...] = (
    _check("settings", fleet.settings, "", "A setting that is wrong or misspelt is found on the worst day otherwise."),
    _check(
        "server", server.server, "server", "Functions need Redis 7.0 or Valkey 7.2; a build with holes is not safe."
    ),
    _check(
        "library",
        server.library,
        "library",
        "A gate opens only under the very library that it was tested with.",
    ),
    _check("writes", server.writes, "library probe", "Who cannot engage cannot trade: gates stay closed."),
    _check("persistence", storage.persistence, "server", "An engagement that was answered should survive a crash."),
    _check("eviction", storage.eviction, "server", "An evicted state closes the fleet, an evicted record is lost."),
    _check(
        "replicas",
        storage.replicas,
        "server replicas",
        "What one server alone knows is lost with it; a master that was cut off must stop permitting.",
    ),
    _check("stale-replicas", storage.stale_replicas, "server", "Gates never read a replica, but people do."),
    _check("sentinels", storage.sentinels, "sentinels", "A fail-over needs a majority that can agree."),
    _check("failover", fleet.failover, "members", "A lost engagement must not reopen the fleet (P9)."),
    _check("persons", fleet.persons, "members rights", "Where two persons are to permit, one must not be able to."),
    _check("acl", rights.acl, "rights", "Whoever may write the state may permit trading; nobody needs more than that."),
    _check(
        "exposure", rights.exposure, "server rights", "Whoever reaches the server without a password may write SAFE."
    ),
    _check("tracking", line.tracking, "pushes", "No check passes after +OK only if the announcement leaves before it."),
    _check("io-threads", server.io_threads, "server", "Several threads answer clients in any order, P2 needs one."),
    _check("timeouts", server.timeouts, "server", "Push connections are silent for days and must not be closed."),
    _check("clients", server.clients, "server", "A worker that cannot connect again stays closed."),
    _check("clock", line.clock, "clock", "A clock that runs slow believes a lease for longer; 10 % are allowed for."),
    _check("round-trip", line.round_trip, "trips", "Answers slower than the patience close gates for no reason."),
    _check("queue", fleet.queue, "server queue", "Another tenant's slow script holds up every push and every renewal."),
    _check("versions", fleet.versions, "members", "A mixed fleet keeps promises of different releases."),
    _check("members", fleet.members, "members", "Who is not heard keeps the proof of quiet from being had."),
)
"""All checks, in order."""


def judge(facts: Facts, only: Collection[str] = (), skipped: Collection[str] = ()) -> tuple[Finding, ...]:
    """The findings in the order of CHECKS: of `only` these, or of all where it is empty; `skipped` are told as such."""
    return tuple(
        Finding(check.name, Grade.SKIP, "skipped on request", check.why, "")
        if check.name in skipped
        else check.judge(facts)
        for check in CHECKS
        if not only or check.name in only
    )
