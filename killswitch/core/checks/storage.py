"""Rules about what survives: disk, memory, replicas, sentinels."""

from __future__ import annotations

from killswitch.core.checks.facts import Facts, SentinelFacts, ServerFacts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, skip, warn
from killswitch.core.checks.server import need_server

__all__ = ["eviction", "persistence", "replicas", "sentinels", "stale_replicas"]

_NEARLY_FULL = 0.8
_LONGEST_LAG_S = 10
_FEWEST_SENTINELS = 3


def persistence(facts: Facts) -> Judged:
    """What was acknowledged is on disk, and disk trouble stops writes."""
    told = need_server(facts)
    if any(told.tells(f"aof_last_{what}_status") != "ok" for what in ("write", "bgrewrite")):
        return fail("the last write of the append-only file failed", "mend the disk of Redis")
    snapshots = told.set_to("save")
    careful = told.set_to("stop-writes-on-bgsave-error")
    if snapshots and told.tells("rdb_last_bgsave_status") != "ok":
        effect = "Redis refuses writes" if careful == "yes" else "and Redis goes on"
        return fail(f"the last snapshot failed, {effect}", "mend the disk of Redis")
    if snapshots and careful != "yes":
        return warn(
            "stop-writes-on-bgsave-error no: a full disk is not noticed",
            "CONFIG SET stop-writes-on-bgsave-error yes: then a full disk closes the gates, visibly",
        )
    remedy = "appendonly yes and appendfsync always: an answered SET is then on disk"
    if told.set_to("appendonly") != "yes":
        where = "snapshots only" if snapshots else "in memory only"
        return warn(f"{where}: a restart loses the record, and with it who engaged and why", remedy)
    if (sync := told.set_to("appendfsync")) != "always":
        return warn(f"appendonly yes, appendfsync {sync}: the last second before a crash may be lost", remedy)
    return ok("appendonly yes, appendfsync always")


def eviction(facts: Facts) -> Judged:
    """Nothing of the switch is thrown out to make room."""
    told = need_server(facts)
    limit, policy = told.number("maxmemory"), told.tells("maxmemory_policy")
    if not limit:
        return ok(f"maxmemory 0: nothing is evicted (policy {policy})")
    remedy = "CONFIG SET maxmemory-policy noeviction, and an instance for the switch alone"
    if policy.startswith("allkeys"):
        return fail(f"maxmemory-policy {policy}: the state, the ledger and the record may be thrown out", remedy)
    if policy != "noeviction":
        return warn(f"maxmemory-policy {policy}: rows of workers and time-boxed permissions may be thrown out", remedy)
    used = told.number("used_memory")
    text = f"noeviction, {used / limit:.0%} of maxmemory in use"
    if used > limit * _NEARLY_FULL:
        return warn(text, "raise maxmemory: when it is full nobody can permit, and every gate is closed")
    return ok(text)


def _lag_rules(told: ServerFacts) -> tuple[int, int]:
    return told.amount("min-replicas-to-write"), told.amount("min-replicas-max-lag")


def replicas(facts: Facts) -> Judged:
    """An acknowledged engagement survives the loss of the master, and a cut-off master stops permitting."""
    told = need_server(facts)
    count = told.number("connected_slaves")
    sentinel = facts.settings.scheme.endswith("+sentinel")
    least, lag_s = _lag_rules(told)
    bounded = "CONFIG SET min-replicas-to-write 1, min-replicas-max-lag 1, on every server"
    if sentinel and not (least and lag_s):
        return fail("min-replicas-to-write 0: a master that was cut off goes on permitting without any bound", bounded)
    if not count:
        if least:
            return fail(f"no replica, and min-replicas-to-write {least}: writes are refused", "bring the replicas back")
        if sentinel:
            return fail("no replica: there is nothing to fail over to", "attach a replica")
        return warn("one server alone: while it is away nobody trades, and nothing can be told", "attach a replica")
    found = facts.replicas
    if found is None:
        raise facts.why_not("replicas")
    if found.acknowledged is None:
        raise Unseen(f"{count} connected, but this user may not ask with WAIT whether they follow")
    text = f"{found.acknowledged} of {count} confirmed a write within {found.waited_ms:.0f} ms"
    if not found.acknowledged:
        return fail(text, "look at the replicas: an engagement would be lost with the master")
    if found.acknowledged < count:
        return warn(text, "look at the replica that lags")
    if not least:
        return warn(f"{text}; min-replicas-to-write 0: a cut-off master goes on permitting", bounded)
    if lag_s > _LONGEST_LAG_S or not lag_s:
        return warn(f"{text}; min-replicas-max-lag {lag_s} s", bounded)
    return ok(f"{text}; min-replicas-to-write {least}, max-lag {lag_s} s")


def stale_replicas(facts: Facts) -> Judged:
    """A replica that lost its master does not answer with old states."""
    told = need_server(facts)
    if not told.number("connected_slaves"):
        return skip("no replica")
    if told.set_to("replica-serve-stale-data") == "yes":
        return warn(
            "replica-serve-stale-data yes: a person who asks a cut-off replica is told an old state",
            "CONFIG SET replica-serve-stale-data no on every server",
        )
    return ok("replica-serve-stale-data no")


def sentinels(facts: Facts) -> Judged:
    """Enough of them, of one mind, able to promote."""
    if not facts.settings.scheme.endswith("+sentinel"):
        return skip("the URL names no sentinels")
    if not facts.sentinels:
        raise facts.why_not("sentinels")
    speaking = [one for one in facts.sentinels if not one.trouble]
    if not speaking:
        return fail(f"none answers: {facts.sentinels[0].trouble}", "start the sentinels")
    masters = sorted({one.master for one in speaking})
    if len(masters) > 1:
        return fail(f"they name different masters: {', '.join(masters)}", "wait for the fail-over, or mend the network")
    for one in speaking:
        if one.usable is False:
            return fail(f"{one.where}: {one.verdict or 'no quorum'}", "start the missing sentinels")
    return _sentinel_numbers(facts.sentinels, speaking)


def _sentinel_numbers(named: tuple[SentinelFacts, ...], speaking: list[SentinelFacts]) -> Judged:
    count = max(one.others for one in speaking) + 1
    quorum, down_ms = speaking[0].quorum, speaking[0].down_after_ms
    text = f"{count} sentinels, quorum {quorum}, a master is down after {down_ms} ms"
    silent = [one for one in named if one.trouble]
    if silent:
        return warn(f"{text}; {silent[0].where}: {silent[0].trouble}", "start it, or take it out of the URL")
    if len({(one.quorum, one.down_after_ms) for one in speaking}) > 1:
        return warn(f"{text}; they are set up differently", "give all of them the same configuration")
    if count < _FEWEST_SENTINELS:
        return warn(text, "three sentinels on three machines: two cannot outvote one that was cut off")
    if not 2 <= quorum <= count:
        return warn(text, f"set the quorum to {count // 2 + 1}")
    if any(one.usable is None for one in speaking):
        return warn(f"{text}; could not look whether they can promote", "allow SENTINEL CKQUORUM for this user")
    return ok(text)
