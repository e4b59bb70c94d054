"""The rules of preflight on invented facts: what is well, what warns, what fails, and what was not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch.core.checks.catalogue import CHECKS, judge
from killswitch.core.checks.facts import Facts, RightsFacts, ServerFacts, SettingsFacts, Trouble
from killswitch.core.checks.finding import Grade
from killswitch.core.fleet import Member
from tests.support.preflight import CONFIG, HEALTHY, INFO, MEMBER, SENTINEL, say, with_part, with_server

NAMES = [check.name for check in CHECKS]
SENTINELS = with_part("settings", scheme="redis+sentinel")
OOM = Trouble("redis_oom", "OOM command not allowed", "Free memory.")
DENIED = Trouble("redis_denied", "NOPERM", "Check the ACL.", denied=True)


def test_healthy_fleet_has_nothing_to_complain_of() -> None:
    """Every check is ok, but for the one that has nothing to look at."""
    found = {finding.name: finding for finding in judge(HEALTHY)}
    assert [name for name, finding in found.items() if finding.verdict is not Grade.OK] == ["sentinels"]
    assert found["sentinels"].verdict is Grade.SKIP
    assert all(finding.why and not finding.remedy for finding in found.values())


CASES: list[tuple[str, str, Facts, str]] = [
    ("settings", "fail", with_part("settings", violations=("WORKERS_POLL_MS: too small",)), "WORKERS_POLL_MS"),
    ("settings", "warn", with_part("settings", lease_ms=200), "lease 200 ms"),
    ("settings", "warn", with_part("settings", password_in_url=True), "the password stands in"),
    ("settings", "warn", with_part("settings", scheme="redis"), "not encrypted"),
    ("settings", "ok", with_part("settings", scheme="redis", local=True), "valid"),
    ("server", "fail", with_server(info={"redis_version": "6.2.20"}), "Redis 6.2.20"),
    ("server", "fail", with_server(info={"role": "slave"}), "is a slave"),
    ("server", "warn", with_server(info={"redis_version": "7.2.10"}), "Redis 7.2.10 has known holes"),
    ("server", "warn", with_server(info={"redis_version": "7.0.15"}), "CVE-2025-49844"),
    ("server", "ok", with_server(info={"redis_version": "9.9.0"}), "newer than the list"),
    ("server", "ok", with_server(info={"valkey_version": "9.1.2"}), "Valkey 9.1.2"),
    ("server", "warn", with_server(info={"valkey_version": "9.1.0"}), "Valkey 9.1.0 has known holes"),
    ("server", "fail", with_server(info={"redis_version": "what?"}), "Redis 0.0.0"),
    ("library", "fail", with_part("library", loaded=False, version=0), "not loaded"),
    ("library", "skip", replace(with_part("library", loaded=False, version=0), before_init=True), "not loaded yet"),
    (
        "library",
        "fail",
        replace(with_part("library", version=2), before_init=True, members=()),
        "2, this release needs 3",
    ),
    ("library", "fail", replace(with_part("library", version=4), before_init=True, members=()), "version 4"),
    ("library", "fail", with_part("library", version=2), "version 2, this release needs 3"),
    ("library", "fail", with_part("library", same=False), "not the one of this release"),
    ("library", "ok", with_part("library", same=None), "may not be read"),
    ("library", "warn", with_part("library", version=0, loaded=None, trouble=DENIED), "could not look: NOPERM"),
    ("library", "warn", with_part("library", version=0, trouble=OOM), "could not look: OOM"),
    ("writes", "fail", replace(HEALTHY, write_refused=OOM), "[redis_oom]"),
    ("writes", "fail", with_part("library", trouble=OOM), "[redis_oom]"),
    ("writes", "warn", replace(HEALTHY, library=None, unseen={"probe": "NOPERM"}), "could not look: NOPERM"),
    ("writes", "ok", with_part("library", answered=False, trouble=DENIED), "a write was accepted"),
    ("writes", "ok", replace(HEALTHY, unseen={"probe": "NOPERM"}), "a worker's question was answered"),
    ("persistence", "warn", with_server(appendonly="no"), "in memory only"),
    ("persistence", "warn", with_server(appendonly="no", save="3600 1"), "snapshots only"),
    ("persistence", "warn", with_server(appendfsync="everysec"), "appendfsync everysec"),
    ("persistence", "warn", with_server(save="60 1", stop_writes_on_bgsave_error="no"), "a full disk is not noticed"),
    ("persistence", "fail", with_server(info={"aof_last_write_status": "err"}), "append-only file failed"),
    ("persistence", "fail", with_server(info={"rdb_last_bgsave_status": "err"}, save="60 1"), "refuses writes"),
    ("persistence", "ok", with_server(info={"rdb_last_bgsave_status": "err"}), "appendfsync always"),
    ("eviction", "fail", with_server(info={"maxmemory_policy": "allkeys-lru"}), "allkeys-lru"),
    ("eviction", "warn", with_server(info={"maxmemory_policy": "volatile-ttl"}), "volatile-ttl"),
    ("eviction", "warn", with_server(info={"used_memory": "900"}), "90%"),
    ("eviction", "ok", with_server(info={"maxmemory_policy": "allkeys-lru", "maxmemory": "0"}), "nothing is evicted"),
    ("replicas", "fail", with_server(SENTINELS, min_replicas_to_write="0"), "without any bound"),
    ("replicas", "fail", with_server(SENTINELS, info={"connected_slaves": "0"}, min_replicas_to_write="0"), "bound"),
    ("replicas", "fail", with_server(info={"connected_slaves": "0"}), "writes are refused"),
    ("replicas", "warn", with_server(info={"connected_slaves": "0"}, min_replicas_to_write="0"), "one server alone"),
    ("replicas", "fail", with_part("replicas", acknowledged=0), "0 of 1 confirmed"),
    ("replicas", "warn", with_part("replicas", with_server(info={"connected_slaves": "2"}), asked=2), "1 of 2"),
    ("replicas", "warn", with_part("replicas", acknowledged=None), "could not look: 1 connected"),
    ("replicas", "warn", with_server(min_replicas_to_write="0"), "min-replicas-to-write 0"),
    ("replicas", "warn", with_server(min_replicas_max_lag="60"), "min-replicas-max-lag 60 s"),
    ("stale-replicas", "warn", with_server(replica_serve_stale_data="yes"), "an old state"),
    ("stale-replicas", "skip", with_server(info={"connected_slaves": "0"}), "no replica"),
    ("acl", "fail", with_part("rights", odd={"killswitch-worker": "has (+set)"}), "killswitch-worker is not its role"),
    ("acl", "warn", with_part("rights", users={"alice": "operator"}), "no user has the role worker"),
    (
        "acl",
        "warn",
        with_part("rights", users={"alice": ""}, may={"EVAL": True}),
        "no user has a role; this user, alice",
    ),
    (
        "acl",
        "warn",
        with_part("rights", user="root", may={"EVAL": True, "SWAPDB": None}),
        "may EVAL, and more that was",
    ),
    ("acl", "warn", with_part("rights", refused="ACL GETUSER was refused"), "could not look: user alice"),
    ("acl", "ok", HEALTHY, "alice (operator), web1 (worker); this user, alice, is operator"),
    ("exposure", "fail", with_server(with_part("rights", default=("on", "nopass")), protected_mode="no"), "10.0.0.5"),
    ("exposure", "warn", with_part("rights", default=("on", "nopass")), "protected-mode"),
    ("exposure", "warn", with_part("rights", default=None), "could not look"),
    ("exposure", "warn", with_part("settings", scheme="redis"), "without TLS"),
    ("exposure", "ok", with_part("rights", default=("on",)), "asks for a password"),
    ("tracking", "fail", with_part("pushes", late=1, worst_us=12_000.0), "1 of 300 changes announced after their +OK"),
    ("tracking", "ok", with_part("pushes", late=1, worst_us=150.0), "less than the way there takes"),
    ("tracking", "fail", with_part("pushes", lost=1), "never announced"),
    ("tracking", "fail", with_part("pushes", rung="keyspace"), "rung keyspace"),
    ("tracking", "warn", with_part("pushes", with_part("settings", rung="polling"), rung="polling"), "asks for it"),
    ("tracking", "warn", with_part("pushes", rounds=0), "could not look"),
    ("tracking", "warn", with_part("pushes", trouble="the server hung up"), "could not look: the server hung up"),
    ("io-threads", "warn", with_server(io_threads="2"), "io-threads 2"),
    ("io-threads", "fail", with_server(info={"redis_version": "8.0.4"}, io_threads="2"), "before the announcement"),
    ("timeouts", "fail", with_server(timeout="300"), "closed after 300 s"),
    ("timeouts", "warn", with_server(tcp_keepalive="0"), "dead workers stay"),
    ("timeouts", "warn", with_server(busy_reply_threshold="60000"), "60000 ms"),
    ("timeouts", "warn", with_server(timeout="?"), "could not look: timeout is '?'"),
    ("clients", "warn", with_server(info={"connected_clients": "9000"}), "9000 of 10000"),
    ("clients", "warn", with_server(maxmemory_clients="1mb"), "may be dropped"),
    ("clock", "fail", with_part("clock", rate=-0.2), "rate -20.000%"),
    ("clock", "warn", with_part("clock", error=0.2), "±20.000%"),
    ("clock", "warn", with_part("clock", rate=0.05), "+5.000%"),
    ("round-trip", "fail", with_part("trips", p99_us=600_000.0), "p99 600.0 ms"),
    ("round-trip", "warn", with_part("trips", p99_us=260_000.0), "p99 260.0 ms"),
    ("persons", "ok", replace(with_part("rights", anybody=()), persons=2), "a permission takes two persons"),
    (
        "persons",
        "warn",
        replace(HEALTHY, persons=2),
        "two persons; whose users those are (ACL GETUSER, ACL DRYRUN) was",
    ),
    ("persons", "ok", with_part("rights", anybody=("desk",)), "one person may permit"),
    (
        "persons",
        "warn",
        replace(with_part("rights", anybody=("desk", "x")), persons=2),
        "as user desk, x one can approve",
    ),
    ("persons", "fail", with_part("settings", persons=2), "one person may permit, KILLSWITCH_PERSONS of"),
    ("persons", "warn", replace(with_part("settings", persons=1), persons=2), "takes 2 persons, KILLSWITCH_PERSONS"),
    ("persons", "warn", replace(HEALTHY, members=None, unseen={"members": "NOPERM"}), "could not look: NOPERM"),
    ("failover", "warn", replace(HEALTHY, on_failover="resume"), "resume is on record"),
    ("failover", "warn", replace(with_part("settings", on_failover="resume"), on_failover="resume"), "trading goes on"),
    ("failover", "warn", replace(HEALTHY, members=None, unseen={"members": "NOPERM"}), "could not look: NOPERM"),
    ("queue", "fail", with_part("queue", run_id="aaaa"), "the switch's own database"),
    ("queue", "warn", with_part("queue", run_id="aaaa", db=1), "another database"),
    ("queue", "fail", with_part("queue", trouble="refused"), "refused"),
    ("queue", "warn", with_part("queue", run_id=""), "could not look"),
    ("queue", "warn", with_part("queue", policy="allkeys-lru"), "jobs may be thrown out"),
    ("versions", "warn", replace(HEALTHY, members=(replace(MEMBER, version="2.0"),)), "this tool is 1.0"),
    ("versions", "skip", replace(HEALTHY, members=()), "no worker"),
    ("members", "fail", replace(HEALTHY, members=(replace(MEMBER, rival=True),)), "two lives under one name: w1"),
    ("members", "warn", replace(HEALTHY, members=(Member("w2", known=False),)), "without a row: w2"),
    ("members", "warn", replace(HEALTHY, members=(replace(MEMBER, beat_age_ms=99_000),)), "silent: w1"),
    ("members", "warn", replace(HEALTHY, members=(replace(MEMBER, rung="polling"),)), "below bcast: w1"),
    ("members", "fail", replace(HEALTHY, members=(replace(MEMBER, beat_age_ms=99_000, in_flight=1),)), "in flight: w1"),
]


@pytest.mark.parametrize(("name", "verdict", "facts", "text"), CASES, ids=lambda value: str(value)[:40])
def test_each_rule_finds_what_it_is_about(name: str, verdict: str, facts: Facts, text: str) -> None:
    """One fact is changed, and the check says so, with a remedy where something is to be done."""
    found = say(name, facts)
    assert str(found.verdict) == verdict, found
    assert text in found.found
    assert bool(found.remedy) == (verdict in ("warn", "fail"))


def test_every_check_has_been_seen_failing_or_warning() -> None:
    """No check that cannot complain is in the list."""
    complaining = {name for name, verdict, _, _ in CASES if verdict in ("warn", "fail")}
    assert complaining | {"sentinels"} == set(NAMES)


def test_mixed_fleet_is_named_version_by_version() -> None:
    """Who runs what is told, so that somebody can go there."""
    members = (replace(MEMBER, version="1.0"), replace(MEMBER, worker_id="w2", version="0.9"))
    found = say("versions", replace(HEALTHY, members=members))
    assert found.verdict is Grade.FAIL
    assert found.found == "a mixed fleet: 0.9: w2; 1.0: w1"


def test_one_version_built_from_other_sources_is_a_mixed_fleet() -> None:
    """A host that was patched by hand carries the same number; a release that tells no build is not taken for it."""
    for build, text in (("b2", "1.0 (build b2): w2"), ("", "1.0 (build of a release that tells no build): w2")):
        members = (MEMBER, replace(MEMBER, worker_id="w2", build=build))
        found = say("versions", replace(HEALTHY, members=members))
        assert (found.verdict, text in found.found, "1.0 (build b1): w1" in found.found) == (Grade.FAIL, True, True)
    alone = say("versions", replace(HEALTHY, members=(replace(MEMBER, build="b2"),)))
    assert (alone.verdict, alone.found.endswith("this tool is 1.0 (build b1)")) == (Grade.WARN, True)


SENTINEL_CASES: list[tuple[str, tuple[Any, ...], str]] = [
    ("ok", (SENTINEL,), "3 sentinels, quorum 2"),
    ("fail", (replace(SENTINEL, trouble="silent"),), "none answers: silent"),
    ("warn", (SENTINEL, replace(SENTINEL, where="s2", trouble="silent")), "s2: silent"),
    ("fail", (SENTINEL, replace(SENTINEL, master="10.0.0.6:6379")), "different masters"),
    ("fail", (replace(SENTINEL, usable=False, verdict="NOQUORUM 1 usable"),), "NOQUORUM 1 usable"),
    ("warn", (replace(SENTINEL, others=1),), "2 sentinels"),
    ("warn", (replace(SENTINEL, quorum=1),), "quorum 1"),
    ("warn", (SENTINEL, replace(SENTINEL, down_after_ms=1)), "set up differently"),
    ("warn", (replace(SENTINEL, usable=None),), "could not look whether they can promote"),
    ("warn", (), "could not look"),
]


@pytest.mark.parametrize(("verdict", "sentinels", "text"), SENTINEL_CASES, ids=lambda value: str(value)[:20])
def test_sentinels_must_be_enough_and_of_one_mind(verdict: str, sentinels: tuple[Any, ...], text: str) -> None:
    """A fail-over that cannot happen, or that could go two ways, is found before it is needed."""
    found = say("sentinels", replace(SENTINELS, sentinels=sentinels))
    assert (str(found.verdict), text in found.found) == (verdict, True), found


def test_what_was_not_looked_at_is_never_ok() -> None:
    """Without any fact every check warns that it could not look; only what is known by itself may be well."""
    nothing = Facts(SettingsFacts("redis+sentinel", True, 1000, 250, 500))
    found = {finding.name: finding for finding in judge(nothing)}
    assert {name for name, finding in found.items() if finding.verdict is not Grade.WARN} == {"settings", "writes"}
    assert say("writes", replace(nothing, unseen={"probe": "NOPERM"})).verdict is Grade.WARN
    assert all("could not look" in finding.found for finding in found.values() if finding.verdict is Grade.WARN)


@pytest.mark.parametrize("field", sorted({*INFO, *CONFIG} - {"redis_mode", "maxmemory-clients"}))
def test_a_field_that_may_not_be_read_makes_no_check_well(field: str) -> None:
    """A server that hides one thing (a managed one, an ACL) is told as not seen, not as well set up."""
    info = {name: value for name, value in INFO.items() if name != field}
    config = {name: value for name, value in {**CONFIG, "save": "60 1"}.items() if name != field}
    hidden = replace(
        with_part("settings", scheme="redis+sentinel"),
        rights=replace(HEALTHY.rights or RightsFacts(""), default=("on", "nopass")),
        server=ServerFacts(info, config, {"INFO": "not told", "CONFIG GET": "NOPERM"}),
    )
    assert any(finding.found.startswith("could not look: ") for finding in judge(hidden)), field


texts = st.text(max_size=12) | st.integers(-5, 10**20).map(str)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from([*INFO, "valkey_version"]), texts),
    st.dictionaries(st.sampled_from([*CONFIG]), texts),
)
def test_rules_are_total(info: dict[str, str], config: dict[str, str]) -> None:
    """Whatever a server says of itself, every check ends in a finding."""
    found = judge(replace(HEALTHY, server=ServerFacts(info, config)))
    assert [finding.name for finding in found] == NAMES


def test_only_and_skip_choose_and_say_so() -> None:
    """A check that was left out on request is told as skipped; one that was not asked for is not told at all."""
    assert [finding.name for finding in judge(HEALTHY, only=["clock", "queue"])] == ["clock", "queue"]
    skipped = judge(HEALTHY, skipped=["clock"])
    assert len(skipped) == len(CHECKS)
    assert [finding.found for finding in skipped if finding.name == "clock"] == ["skipped on request"]
