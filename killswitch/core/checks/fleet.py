"""Rules about the fleet: its settings, its queue, the versions it runs, and whether all of it can be heard."""

from __future__ import annotations

from collections.abc import Iterable

from killswitch.core.checks.facts import Facts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, skip, warn
from killswitch.core.fleet import Member

__all__ = ["failover", "members", "persons", "queue", "settings", "versions"]

_SHORT_LEASE_MS = 300
_NAMED = 5


def _names(found: Iterable[Member]) -> str:
    everyone = [member.worker_id for member in found]
    more = f" and {len(everyone) - _NAMED} more" if len(everyone) > _NAMED else ""
    return ", ".join(everyone[:_NAMED]) + more


def settings(facts: Facts) -> Judged:
    """Valid as a whole, and sensible for production."""
    found = facts.settings
    if found.violations:
        return fail("; ".join(found.violations), "mend the settings that are named")
    text = f"valid; lease {found.lease_ms} ms, renew {found.renew_ms} ms, patience {found.patience_ms} ms"
    if found.lease_ms < _SHORT_LEASE_MS or (found.lease_ms < 1000 and not found.local):
        return warn(text, "one lost packet costs 200 ms: KILLSWITCH_LEASE_MS=1000, unless Redis is on this network")
    if found.password_in_url:
        remedy = "put it into the secret file killswitch_redis_password: environments are seen by many"
        return warn(f"{text}; the password stands in KILLSWITCH_REDIS_URL", remedy)
    if found.scheme == "redis" and not found.local:
        return warn(f"{text}; the URL is redis://, not encrypted", "use rediss:// between machines")
    return ok(text)


def queue(facts: Facts) -> Judged:
    """The job queue has a Redis of its own."""
    found = facts.queue
    if found is None:
        raise facts.why_not("queue")
    if found.trouble:
        return fail(f"{found.where}: {found.trouble}", "start the queue's Redis, or set WORKERS_QUEUE_URL")
    server = facts.server
    own = server.info.get("run_id", "") if server else ""
    if not found.run_id or not own:
        raise Unseen(f"{found.where}: whether it is the switch's server cannot be told without INFO")
    remedy = (
        "set WORKERS_QUEUE_URL to another server: a slow script or a FLUSHALL there then does not concern the switch"
    )
    if found.run_id == own:
        if found.db == facts.db:
            return fail(f"{found.where} is the switch's own database", remedy)
        return warn(f"{found.where} is the switch's server, another database", remedy)
    if found.policy not in ("", "noeviction"):
        return warn(f"{found.where}: maxmemory-policy {found.policy}: jobs may be thrown out", "noeviction there, too")
    return ok(f"{found.where}, a server of its own")


_HOLES = {
    "resume": "a stop that was lost in a fail-over does not hold any more, and trading goes on",
    "reassert": "a stop that was lost in a fail-over holds again only once a worker arrives that had seen it",
}


def failover(facts: Facts) -> Judged:
    """A restart or fail-over of Redis keeps the fleet closed, for every worker alike."""
    if facts.members is None:
        raise facts.why_not("members")
    recorded, wanted = facts.on_failover, facts.settings.on_failover
    if recorded != wanted:
        text = f"{recorded} is on record, KILLSWITCH_ON_FAILOVER of this tool is {wanted}"
        return warn(text, "`killswitch init` puts the setting on record: decide which of the two is meant")
    if recorded in _HOLES:
        return warn(
            f"{recorded}: {_HOLES[recorded]}", "KILLSWITCH_ON_FAILOVER=halt killswitch init, unless it is meant"
        )
    return ok(f"{recorded}: closed until somebody permits again")


def persons(facts: Facts) -> Judged:
    """As many persons have to permit as this tool's settings say."""
    if facts.members is None:
        raise facts.why_not("members")
    recorded, wanted = facts.persons, facts.settings.persons
    if wanted is not None and recorded < wanted:
        return fail(f"one person may permit, KILLSWITCH_PERSONS of this tool is {wanted}", "`killswitch init`")
    if wanted is not None and recorded > wanted:
        return warn(
            f"a permission takes {recorded} persons, KILLSWITCH_PERSONS of this tool is {wanted}",
            "take the setting away, or have two persons run `killswitch init`",
        )
    if recorded != 2:
        return ok("one person may permit")
    anybody = facts.rights.anybody if facts.rights is not None else None
    if anybody is None:
        raise Unseen("a permission takes two persons; whose users those are (ACL GETUSER, ACL DRYRUN) was not told")
    if anybody:
        more = f" and {len(anybody) - _NAMED} more" if len(anybody) > _NAMED else ""
        return warn(
            f"a permission takes two persons; but as user {', '.join(anybody[:_NAMED])}{more} one can approve as two",
            "killswitch acl --role operator --user NAME prints a user for each person; then take the shared ones away",
        )
    return ok("a permission takes two persons")


def _everyone(facts: Facts) -> tuple[Member, ...]:
    if facts.members is None:
        raise facts.why_not("members")
    return facts.members


def versions(facts: Facts) -> Judged:
    """Every worker runs the same gate code."""
    speaking = [member for member in _everyone(facts) if member.known and not member.silent]
    if not speaking:
        return skip("no worker is registered")
    running: dict[tuple[str, str], list[Member]] = {}
    for member in speaking:
        running.setdefault((member.version, member.build), []).append(member)
    own = facts.settings.version, facts.settings.build
    alike = len({version for version, _ in running}) == 1  # only the sources tell them apart
    if len(running) > 1:
        parts = [f"{_release(one, alike)}: {_names(found)}" for one, found in sorted(running.items())]
        return fail(
            f"a mixed fleet: {'; '.join(parts)}", "bring all workers to one release, built from the same sources"
        )
    (one,) = running
    text = f"{len(speaking)} worker{'s' * (len(speaking) != 1)} of version {_release(one, alike)}"
    if one != own:
        return warn(f"{text}, this tool is {_release(own, True)}", "operate with the release that the fleet runs")
    return ok(text)


def _release(one: tuple[str, str], with_build: bool) -> str:
    version, build = one[0] or "(none told)", one[1] or "of a release that tells no build"
    return f"{version} (build {build})" if with_build else version


def members(facts: Facts) -> Judged:
    """Every worker is heard, alone under its name, on the best rung."""
    everyone = _everyone(facts)
    if not everyone:
        return skip("no worker is registered")
    unknown = [member for member in everyone if not member.known]
    rivals = [member for member in everyone if member.rival]
    silent = [member for member in everyone if member.known and member.silent]
    lower = [member for member in everyone if member.known and not member.silent and member.rung != "bcast"]
    busy = [member for member in silent if member.in_flight]
    if busy:
        return fail(
            f"silent with an order in flight: {_names(busy)}",
            "reconcile the order with the venue, then `FCALL ks_leave` (docs/runbook.md)",
        )
    if rivals:
        return fail(f"two lives under one name: {_names(rivals)}", "give each process a worker id of its own")
    if unknown:
        return warn(f"in the membership without a row: {_names(unknown)}", "look at these processes")
    if silent:
        return warn(f"silent: {_names(silent)}", "look at these processes; they leave the membership by themselves")
    if lower:
        return warn(f"on a rung below bcast: {_names(lower)}", "look at what stands between them and Redis")
    return ok(f"{len(everyone)} heard, each on rung bcast")
