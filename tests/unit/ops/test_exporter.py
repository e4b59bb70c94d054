"""A look at the fleet made into samples: what each of them says."""

from __future__ import annotations

import pytest

from killswitch import Code, Deadman, Member, Mode
from ops.exporter.catalogue import CATALOGUE
from ops.exporter.fleet import STATES, state_of
from tests.unit.ops.pictures import engaged, member, state
from tests.unit.ops.scraping import everything, scraped

# -- the switch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
def test_mode_of_switch_and_scopes_is_one_of_three(mode: Mode) -> None:
    """Exactly one mode is 1 for each scope, so that an alert compares with one number."""
    found = scraped(scopes=(state(scope="symbol:EURUSD", mode=mode),))
    assert {item.labels["mode"]: item.value for item in found.of("killswitch_mode{scope=symbol:EURUSD}")} == {
        str(one): float(one is mode) for one in Mode
    }
    assert found["killswitch_mode{scope=switch,mode=SAFE}"] == 1


def test_change_tells_epoch_time_actor_way_and_reason() -> None:
    """An alert names who stopped what and why."""
    found = scraped(switch=engaged(why="fat finger", at_ms=1_700_000_000_500))
    assert found["killswitch_epoch"] == 8
    assert found["killswitch_last_change_timestamp_seconds"] == 1_700_000_000.5
    (change,) = found.of("killswitch_change_info")
    assert change.labels == {"scope": "switch", "actor": "alice", "via": "command", "reason": "fat finger"}


def test_change_by_hand_that_nobody_recorded_tells_what_the_key_says() -> None:
    """The record still tells of the change before: its actor and reason are not shown as those of this one."""
    found = scraped(switch=engaged("by hand", recorded=False, why="go live", actor="alice"))
    assert found["killswitch_recorded"] == 0
    (change,) = found.of("killswitch_change_info")
    assert (change.labels["actor"], change.labels["reason"]) == ("", "ENGAGED by hand")


def test_permission_without_a_limit_has_no_rest() -> None:
    """No number stands for "for ever"."""
    assert not scraped().has("killswitch_permission_left_seconds")
    assert scraped(switch=state(ttl_ms=90_500))["killswitch_permission_left_seconds{scope=switch}"] == 90.5


def test_a_permission_under_a_dead_mans_switch_tells_its_rest_and_whether_it_is_renewed() -> None:
    """Its rest is no end of a time-boxed permission: it is short all day long, and renewed."""
    held = Deadman("alice", 20_000, 80_000, 1, 2, 41_500, True, "op")
    found = scraped(deadman=held)
    assert found["killswitch_deadman_left_seconds"] == 41.5
    assert found["killswitch_deadman_interval_seconds"] == 20
    assert found["killswitch_deadman_overdue"] == 1
    assert not found.has("killswitch_permission_left_seconds")
    assert not scraped().has("killswitch_deadman_overdue")


def test_refused_renewals_name_the_reason() -> None:
    """Nobody can trade, and the alert says why."""
    found = scraped(trouble=(Code.REDIS_OOM, "OOM"))
    assert [s.labels["code"] for s in found.of("killswitch_renewals_refused") if s.value] == ["redis_oom"]
    assert sum(s.value for s in scraped().of("killswitch_renewals_refused")) == 0


def test_a_user_who_may_not_ask_does_not_know_whether_renewals_are_refused() -> None:
    """That the exporter's own user is refused says nothing about the workers."""
    assert not scraped(trouble=(Code.REDIS_DENIED, "NOPERM")).has("killswitch_renewals_refused")


def test_every_refusal_that_status_can_show_has_its_code() -> None:
    """An unknown kind of refusal would be shown as none."""
    codes = {item.labels["code"] for item in scraped().of("killswitch_renewals_refused")}
    refusals = {code for code in Code if code.startswith(("redis_", "library_")) or code is Code.BAD_ANSWER}
    assert codes == set(map(str, refusals - {Code.REDIS_DENIED}))


# -- the workers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        (Member("w", known=False, beat_age_ms=9_000_000), "unknown"),
        (member(rival=True), "rival"),
        (member(beat_age_ms=3001), "silent"),
        (member(beat_age_ms=3001, quiet_epoch=9, closed=True), "silent"),
        (member(closed=True), "closed"),
        (member(closed=True, quiet_epoch=9), "quiet"),
        (member(closed=True, quiet_epoch=9, in_flight=1), "closed"),
        (member(closed=True, quiet_epoch=7), "closed"),
        (member(), "open"),
    ],
)
def test_a_worker_is_in_the_first_state_that_fits(worker: Member, expected: str) -> None:
    """Quiet is said only with the proof under the stop in force, and of nobody of whom something is not known."""
    assert state_of(worker, 8) == expected
    found = scraped(switch=engaged(), members=(worker,))
    assert [item.labels["state"] for item in found.of("killswitch_worker_state")] == [expected]
    assert {s.labels["state"]: s.value for s in found.of("killswitch_workers")} == {
        one: float(one == expected) for one in STATES
    }


def test_followers_of_a_stop_that_are_not_quiet_are_counted() -> None:
    """Who is not known, and two under one name, concern every stop; who does not follow one is not awaited."""
    members = (
        member("quiet", scopes=("a:1",), quiet_epoch=9, closed=True),
        member("early", scopes=("a:1",), quiet_epoch=8, closed=True),
        member("elsewhere", scopes=("b:2",)),
        Member("lost", known=False),
        member("two", rival=True, quiet_epoch=9, closed=True),
    )
    found = scraped(scopes=(engaged(scope="a:1", epoch=9), state(scope="b:2")), members=members)
    assert (found["killswitch_followers{scope=a:1}"], found["killswitch_followers_not_quiet{scope=a:1}"]) == (4, 3)
    assert found["killswitch_followers{scope=switch}"] == 5
    assert [item.labels["scope"] for item in found.of("killswitch_followers_not_quiet")] == ["a:1"]


def test_in_flight_is_told_for_each_in_total_and_at_most() -> None:
    """The total counts also those that are not shown one by one."""
    found = scraped(members=(member("a", in_flight=2), member("b", in_flight=5)))
    assert found["killswitch_orders_in_flight"] == 7
    assert found["killswitch_orders_in_flight_max"] == 5
    assert found["killswitch_worker_orders_in_flight{worker=b}"] == 5


def test_slack_of_somebody_silent_is_not_the_fleets() -> None:
    """The least slack is of those that are heard of; a silent one has its own alert."""
    members = (member("a", slack_ms=700), member("b", slack_ms=-20, beat_age_ms=99_999), member("c", slack_ms=None))
    found = scraped(members=members)
    assert found["killswitch_lease_slack_min_seconds"] == 0.7
    assert found["killswitch_worker_lease_slack_seconds{worker=b}"] == -0.02
    assert not found.of("killswitch_worker_lease_slack_seconds{worker=c}")


def test_refused_checks_are_counted_by_gate_and_code() -> None:
    """Which gate, and why."""
    found = scraped(members=(member("a", refused={"engaged": (3, 1)}),))
    assert found["killswitch_worker_blocked_checks_total{worker=a,gate=1,code=engaged}"] == 3
    assert found["killswitch_worker_blocked_checks_total{worker=a,gate=2,code=engaged}"] == 1


def test_rungs_and_versions_are_counted() -> None:
    """A rung that nobody knows is none of the four; each version has its count."""
    members = (member("a"), member("b", rung="polling", version="2.0"), member("c", rung="x"))
    found = scraped(members=members)
    assert {s.labels["rung"]: s.value for s in found.of("killswitch_workers_by_rung") if s.value} == {
        "bcast": 1,
        "polling": 1,
        "none": 1,
    }
    assert found["killswitch_versions"] == 2
    assert found["killswitch_workers_by_version{version=2.0}"] == 1


# -- the catalogue --------------------------------------------------------------------------------------------------


def test_what_is_exported_is_what_is_catalogued() -> None:
    """No metric without documentation, none documented that never comes, each of its kind and with its labels."""
    found = everything()
    kinds = {metric.name: "gauge" if metric.kind == "info" else metric.kind for metric in CATALOGUE}
    assert found.families == kinds
    for metric in CATALOGUE:
        sample = next(s for s in found.samples if s.name.startswith(metric.name))
        assert set(sample.labels) - {"le"} == set(metric.labels), metric.name
