"""What a drill shows of a worker, and how drills are compared."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch.core.drill import bound_of, drilled, parse_acknowledgement
from killswitch.core.drill_record import (
    COMPARED,
    ENOUGH,
    DrillRecord,
    Figures,
    compare,
    figures,
    parse_record,
    parse_running,
    record_fields,
)
from killswitch.core.fleet import MEMBER_FIELDS, Member, parse_member

TOKEN = "00ff00ff00ff00ff"
GOOD = Member("w1", engine="e1", host="h", rung="bcast", lease_ms=1000, drills=True, drill=f"{TOKEN} 1500 2 10 20 30")


def record(p50: int = 2000, p99: int = 8000, **changes: Any) -> DrillRecord:
    """A drill that passed, with these figures."""
    made = parse_record("", {"verdict": "PASSED", "mode": "SAFE", "workers": "8", "acknowledged": "8"})
    return replace(made, recorded=Figures(8, p50, p50, p99, p99), **changes)


def test_an_acknowledgement_counts_with_its_times() -> None:
    """Heard in time and confirmed by the row: everything it told is there."""
    one = drilled(GOOD, TOKEN, 2000)
    assert one.acknowledged
    assert (one.heard_us, one.recorded_us, one.in_flight) == (2000, 1500, 2)
    assert (one.shut_us, one.asked_us, one.answer_us) == (10, 20, 30)
    assert one.bound_ms == bound_of(GOOD) == 1223


@pytest.mark.parametrize(
    ("changes", "heard_us", "why"),
    [
        ({}, None, "no acknowledgement within 1223 ms"),
        ({"drill": ""}, 2000, "no acknowledgement"),
        ({"drill": "ffffffff 1500 2"}, 2000, "no acknowledgement"),
        ({}, 1_223_001, "later than 1223 ms"),
        ({"known": False}, 2000, "last words are gone"),
        ({"drills": False}, 2000, "does not know drills"),
        ({"rung": "polling"}, 2000, "rung polling"),
        ({"rival": True}, 2000, "another process speaks under its name"),
        ({"drill": "", "beat_age_ms": 9000}, None, "silent for 9000 ms"),
    ],
)
def test_what_is_not_known_speaks_against_it(changes: dict[str, Any], heard_us: int | None, why: str) -> None:
    """Unheard, unconfirmed, late, or one that no drill can reach: it does not count, and it is said why."""
    one = drilled(replace(GOOD, **changes), TOKEN, heard_us)
    assert not one.acknowledged
    assert why in one.missing


def test_a_clock_of_the_server_that_jumped_is_no_duration() -> None:
    """What Redis measured can not be more than what was heard."""
    assert drilled(GOOD, TOKEN, 1499).recorded_us is None
    assert drilled(GOOD, TOKEN, 1499).acknowledged


@given(st.text(max_size=300) | st.from_regex(r"[0-9a-f]{8} [0-9 ]{0,40}", fullmatch=True))
def test_any_text_reads_as_an_acknowledgement_or_as_none(text: str) -> None:
    """Anybody may have written there."""
    found = parse_acknowledgement(text, text.partition(" ")[0])
    assert found is None or found.recorded_us >= 0
    assert parse_running(text) is None or parse_running(text).since_ms >= 0  # type: ignore[union-attr]
    fields = dict.fromkeys(MEMBER_FIELDS, text)
    assert not drilled(parse_member("w", fields, 0, 0), TOKEN, 1).acknowledged


@given(st.dictionaries(st.sampled_from([*record_fields(record()), "heard", "at_ms", "x"]), st.text(max_size=30)))
def test_any_entry_reads_as_a_record(fields: dict[str, str]) -> None:
    """And what it told can be told again."""
    found = parse_record("1-1", fields)
    assert parse_record("1-1", {**record_fields(found), "at_ms": str(found.at_ms)}) == found


@given(st.lists(st.integers(0, 10**7), max_size=300))
def test_figures_are_values_that_occurred_in_order(values: list[int]) -> None:
    """No quantile lies between two values, and at most the share it names lies above it."""
    found = figures(values)
    if found is None:
        assert values == []
        return
    told = [found.p50_us, found.p90_us, found.p99_us, found.max_us]
    assert told == sorted(told)
    assert set(told) <= set(values)
    for share, value in zip((50, 90, 99), told, strict=False):
        assert sum(one <= value for one in values) * 100 >= share * len(values)
        assert sum(one < value for one in values) * 100 < share * len(values)


def drawn(rng: random.Random, scale: float = 1.0) -> DrillRecord:
    """A drill on a machine as noisy as a shared one: long tails."""
    times = [int(scale * (500 + 2000 * rng.lognormvariate(0, 0.6))) for _ in range(8)]
    found = figures(times)
    assert found is not None
    return replace(record(), recorded=found)


def test_noise_is_hardly_ever_called_worse_or_better() -> None:
    """Without crying wolf: of a thousand drills on an unchanged, noisy line hardly any is called."""
    rng, called = random.Random(1), 0
    for _ in range(1000):
        earlier = [drawn(rng) for _ in range(COMPARED)]
        called += compare(drawn(rng), earlier).verdict != "same"
    assert called < 10


@pytest.mark.parametrize(("scale", "verdict"), [(8.0, "worse"), (0.1, "better")])
def test_a_line_that_really_changed_is_told(scale: float, verdict: str) -> None:
    """Eight times as slow, or ten times as quick, is told nearly always."""
    rng = random.Random(2)
    told = [compare(drawn(rng, scale), [drawn(rng) for _ in range(COMPARED)]).verdict for _ in range(200)]
    assert told.count(verdict) >= 190


def test_one_slow_worker_is_worse_although_the_others_are_as_ever() -> None:
    """The tail counts by itself."""
    assert compare(record(p99=300_000), [record()] * COMPARED).verdict == "worse"


def test_with_few_earlier_drills_nothing_is_said() -> None:
    """Fewer than five like this one: unknown, with their number."""
    assert compare(record(), [record()] * ENOUGH).verdict == "same"
    few = compare(record(p50=10**7, p99=10**7), [record()] * (ENOUGH - 1))
    assert (few.verdict, few.earlier) == ("unknown", ENOUGH - 1)
    assert compare(replace(record(), recorded=None), [record()] * ENOUGH).verdict == "unknown"


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"acknowledged": 10}, False),
        ({"acknowledged": 800}, False),
        ({"mode": "ENGAGED"}, False),
        ({"verdict": "CUT_SHORT"}, False),
        ({"verdict": "x"}, False),
        ({"recorded": None}, False),
        ({"verdict": "MISSED", "workers": 20}, True),
    ],
)
def test_only_drills_like_this_one_are_compared(changes: dict[str, Any], counts: bool) -> None:
    """As many workers, the same mode, brought to an end; who did not acknowledge changes nothing about the others."""
    earlier = [replace(record(), **changes)] * COMPARED
    assert (compare(record(), earlier).verdict == "same") is counts
    big = replace(record(), acknowledged=1000)
    assert compare(big, [replace(big, acknowledged=950)] * COMPARED).verdict == "same"
