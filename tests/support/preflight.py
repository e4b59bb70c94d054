"""Invented facts: a switch as it should be, to be changed in one place at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from killswitch.core.checks.catalogue import CHECKS
from killswitch.core.checks.facts import (
    ClockFacts,
    Facts,
    LibraryFacts,
    PushFacts,
    QueueFacts,
    ReplicaFacts,
    RightsFacts,
    SentinelFacts,
    ServerFacts,
    SettingsFacts,
    TripFacts,
)
from killswitch.core.checks.finding import Finding
from killswitch.core.fleet import Member

INFO = {
    "redis_version": "7.2.11", "redis_mode": "standalone", "run_id": "aaaa", "role": "master", "connected_slaves": "1",
    "maxmemory": "1000", "maxmemory_policy": "noeviction", "used_memory": "100", "connected_clients": "12",
    "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok", "rdb_last_bgsave_status": "ok",
}  # fmt: skip
CONFIG = {
    "appendonly": "yes", "appendfsync": "always", "save": "", "stop-writes-on-bgsave-error": "yes",
    "min-replicas-to-write": "1", "min-replicas-max-lag": "1", "replica-serve-stale-data": "no", "io-threads": "1",
    "timeout": "0", "tcp-keepalive": "60", "busy-reply-threshold": "1000", "maxclients": "10000",
    "maxmemory-clients": "0", "bind": "10.0.0.5", "protected-mode": "yes",
}  # fmt: skip
MEMBER = Member("w1", version="1.0", build="b1", rung="bcast", beat_ms=1000, lease_ms=1000)
SENTINEL = SentinelFacts("s1:26379", "10.0.0.5:6379", 2, 2, 5000, True, "OK 3 usable Sentinels")

HEALTHY = Facts(
    settings=SettingsFacts("rediss", False, 1000, 250, 500, version="1.0", build="b1"),
    server=ServerFacts(INFO, CONFIG),
    library=LibraryFacts(3, same=True, loaded=True, answered=True, wanted=3),
    pushes=PushFacts("bcast", 300, trip_us=400.0),
    clock=ClockFacts(0.0001, 0.0002, 1000.0, 3.0),
    trips=TripFacts(300.0, 900.0, 1500.0, 200, "a renewal"),
    rights=RightsFacts("alice", {"alice": "operator", "web1": "worker", "default": ""}, default=("off",)),
    replicas=ReplicaFacts(1, 1, 2.0),
    sentinels=(SENTINEL,),
    queue=QueueFacts("queue:6379/0", "bbbb"),
    members=(MEMBER,),
    on_failover="halt",
)
"""A fleet on two servers, with a replica and users of its own: nothing to complain of."""


def with_server(facts: Facts = HEALTHY, *, info: dict[str, str] | None = None, **config: str) -> Facts:
    """`facts` with some fields of INFO and some settings (dashes written as underscores) changed."""
    assert facts.server is not None
    named = {name.replace("_", "-"): value for name, value in config.items()}
    changed = ServerFacts({**facts.server.info, **(info or {})}, {**facts.server.config, **named})
    return replace(facts, server=changed)


def with_part(part: str, facts: Facts = HEALTHY, **changes: Any) -> Facts:
    """`facts` with fields of one part changed."""
    return replace(facts, **{part: replace(getattr(facts, part), **changes)})


def say(name: str, facts: Facts) -> Finding:
    """What the check `name` says about `facts`."""
    (check,) = (check for check in CHECKS if check.name == name)
    return check.judge(facts)
