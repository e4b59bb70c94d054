"""The judges of the soak see what they are there for."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tests.history.events import Event
from tests.soak.faults import FAULTS
from tests.soak.growth import Sample, judge_growth
from tests.soak.judge import Judge, closed_within_lease, quiet_members_were_quiet
from tests.soak.log import Log
from tests.soak.plan import ACTIONS, cycles
from tests.soak.record import Pressed, Record
from tests.soak.stage import Cut

MS = 1_000_000


def life(rss_per_s: float = 0.0, fds_per_s: float = 0.0, seconds: int = 1800) -> list[Sample]:
    """Samples of a process every 3 s, with the noise of a real one, and a rise in its first minute as every one has."""
    chance = random.Random(1)
    return [
        Sample(
            t,
            30_000 + min(t, 60) * 100 + rss_per_s * t + chance.uniform(0, 1500),
            20 + int(fds_per_s * t) + chance.choice((0, 0, 1, 2)),
            4,
        )
        for t in range(0, seconds, 3)
    ]


def grown(samples: list[Sample], grant_kb: float = 0.0) -> set[str]:
    """Measures that the rule calls growing."""
    return {found.measure for found in judge_growth("it", samples, grant_kb) if found.grows}


def test_a_steady_life_is_not_called_growing() -> None:
    """Warm-up, noise and a single peak are no growth."""
    samples = life()
    samples[400] = Sample(samples[400].at_s, 400_000, 500, 50)
    assert grown(samples) == set()


@pytest.mark.parametrize(
    ("samples", "measure"), [(life(rss_per_s=12), "rss_kb"), (life(fds_per_s=0.01), "fds")], ids=["memory", "fds"]
)
def test_a_slow_leak_is_called_growing(samples: list[Sample], measure: str) -> None:
    """12 KB a second, or one descriptor in 100 s, is found in half an hour."""
    assert grown(samples) == {measure}


def test_what_is_stored_on_purpose_is_no_growth() -> None:
    """A server that keeps records is allowed their size, and no more."""
    samples = life(rss_per_s=12)
    assert grown(samples, grant_kb=12 * 1800) == set()
    assert grown(samples, grant_kb=12 * 100) == {"rss_kb"}


def test_a_short_life_is_not_judged() -> None:
    """Too few samples say nothing, and the rule does not pretend that they do."""
    assert judge_growth("it", life(seconds=30)) == []


def one(kind: str, at_ms: float, **values: Any) -> Event:
    """An event at a millisecond."""
    return {"kind": kind, "t": int(at_ms * MS), "worker": "w", **values}


def passed(at_ms: float, epoch: int = 1, order: str = "") -> Event:
    """A check that passed; of gate 2 for an order."""
    start = int(at_ms * MS)
    if not order:
        return one("pass1", at_ms, epoch=epoch, start=start)
    return one("pass2", at_ms, epoch=epoch, start=start, order=order, reduces=False)


@pytest.mark.parametrize(("at_ms", "wrong"), [(1300, False), (1400, True), (2100, False)])
def test_a_pass_beyond_the_lease_of_a_cut_is_seen(at_ms: float, wrong: bool) -> None:
    """Inside a cut, only what comes later than the worker's own bound is wrong; behind its end nothing is."""
    cut = Cut("freeze", ("w",), 1000 * MS, 2000 * MS)
    found = list(closed_within_lease([passed(900), passed(at_ms)], [cut], {"w": 334 * MS}))
    assert [violation is not None for _, violation in found] == [wrong]


def uncertain(pending: list[str], at_ms: float = 50) -> list[Event]:
    """A wait that ended in UNCERTAIN about two workers."""
    return [
        {"kind": "op", "t": 0, "op": "a", "action": "engage", "scope": "switch", "wait_s": 1.0},
        {
            "kind": "op_end",
            "t": int(at_ms * MS),
            "op": "a",
            "result": "UNCERTAIN",
            "epoch": 2,
            "members": ["w", "dead"],
            "pending": pending,
        },
    ]


@pytest.mark.parametrize(
    ("pending", "released_ms", "wrong"), [(["dead"], 60, 1), (["dead"], 40, 0), (["dead", "w"], 60, 0)]
)
def test_an_order_in_flight_of_a_member_called_quiet_is_seen(
    pending: list[str], released_ms: float, wrong: int
) -> None:
    """Also under UNCERTAIN, whoever is not named must have had nothing on its way."""
    events = [passed(10, order="o"), one("release", released_ms, order="o"), *uncertain(pending)]
    assert len(list(quiet_members_were_quiet(events, {"w": ()}))) == wrong


def state(at_ms: float, mode: str, epoch: int) -> Event:
    """The switch changed at this very moment."""
    told = {"server": "switch", "scope": "switch", "mode": mode, "epoch": epoch, "via": "test", "looked": None}
    return {"kind": "state", "t": int(at_ms * MS), "from_t": int(at_ms * MS), **told}


def test_the_judge_carries_the_state_from_window_to_window_and_reports_once() -> None:
    """What was engaged in one window stays engaged in the next; what was told is not told again."""
    meta: Event = {"kind": "meta", "t": 0, "lease_ms": 100, "rate_error": 0.0, "p2": True}
    judge = Judge(meta)
    first = judge.window([state(1, "SAFE", 1), passed(5), state(10, "ENGAGED", 2)], 20 * MS, [], {}, {"w": ()}, {})
    second = judge.window([passed(500)], 600 * MS, [], {}, {"w": ()}, {})
    third = judge.window([], 700 * MS, [], {}, {"w": ()}, {})
    assert [first, [v.prop for v in second], third] == [[], ["S2"], []]
    assert judge.count == 1


class Stream:
    """A line to a server that holds these audit entries."""

    def __init__(self, *notes: dict[str, str]) -> None:
        self.answer = [[f"{n}-0", list(itertools.chain(*note.items()))] for n, note in enumerate(notes, 1)]

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def call(self, *_words: object) -> object:
        return self.answer


def entry(epoch: int, tag: int, via: str = "library", to: str = "ENGAGED x") -> dict[str, str]:
    """An audit entry as Redis holds it."""
    text = f"soak #{tag}"
    return {"epoch": str(epoch), "scope": "switch", "to": to, "reason": text, "via": via, "at_ms": "1000"}


def command(tag: int, epoch: int, action: str = "engage") -> Pressed:
    """A command that was answered."""
    return Pressed(tag, "library", action, "switch", tag * MS, "ENGAGED", tag * MS + 1, tag * MS + 2, epoch=epoch)


@pytest.mark.parametrize(
    ("notes", "wrong"),
    [
        ([entry(1, 1), entry(2, 2)], 0),
        ([entry(1, 1)], 1),
        ([entry(1, 1), entry(2, 2), entry(3, 2)], 1),
    ],
    ids=["each has one", "one is missing", "one is there twice"],
)
def test_a_change_without_its_one_entry_is_seen(notes: list[dict[str, str]], wrong: int) -> None:
    """P10: a change that was answered with an epoch has exactly one entry."""
    record = Record(lambda: Stream(*notes))  # type: ignore[arg-type, return-value]
    for done in (command(1, 1), command(2, 2)):
        record.pressed(done)
    record.sync()
    states, found = record.settle()
    assert (len(states), len(found)) == (len(notes), wrong)


def test_the_order_of_the_record_narrows_when_changes_took_effect() -> None:
    """A change that was answered late took effect before the recorded one that followed it."""
    late, next_one = command(1, 1), command(2, 2)
    late.ok_ns, late.end_ns = 9 * MS, 9 * MS
    record = Record(lambda: Stream(entry(1, 1), entry(2, 2)))  # type: ignore[arg-type, return-value]
    record.pressed(late)
    record.pressed(next_one)
    record.sync()
    first, second = record.settle()[0]
    assert first["t"] <= second["t"] == next_one.ok_ns


def test_a_plan_repeats_itself_and_leaves_no_fault_and_no_act_out() -> None:
    """The same seed gives the same plan, and a long one has everything."""
    plan, again = (list(itertools.islice(cycles(3, known=tuple(FAULTS)), 600)) for _ in range(2))
    assert plan == again
    assert {name for cycle in plan for name in cycle.faults} == set(FAULTS)
    assert {cycle.action for cycle in plan} == set(ACTIONS)


def test_the_log_hands_over_one_window_and_keeps_what_is_younger() -> None:
    """Memory is bounded by the window: what was taken is gone."""
    log = Log()
    for at_ms in (1, 2, 3):
        log.put(passed(at_ms))
    assert [len(log.take(2 * MS)), len(log.take(5 * MS)), len(log.take(9 * MS))] == [2, 1, 0]
