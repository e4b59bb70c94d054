"""What is told next: a few one by one, a flood as one, the newest always; an end that is near once for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import FeedItem, Mode
from tests.unit.workers.notices.pictures import change, look, renewed
from workers.notices.notice import Notice
from workers.notices.planning import BURST, LONG_WINDOW_MS, MOST_OPEN, WINDOW_MS, Place, plan

START = Place("1000-0")


def told(place: Place, *items: FeedItem, at_ms: int = 1_000_000, open_jobs: int = 0) -> tuple[list[Notice], Place]:
    """What is told of `items` after `place`."""
    return plan(place, items, look(*items, at_ms=at_ms), "k", open_jobs)


def test_a_few_changes_are_told_one_by_one_and_at_once() -> None:
    """Each under the id of its entry."""
    notices, place = told(START, change(1), change(2))
    assert [notice.id for notice in notices] == ["1001-0", "1002-0"]
    assert place == Place("1002-0", 1_000_000, 2)
    assert told(place) == ([], place)


def test_a_flood_is_one_notice_and_the_next_one_comes_a_window_later() -> None:
    """What comes meanwhile waits in the record and is told then, the newest of it too."""
    notices, place = told(START, *map(change, range(1, 300)))
    assert [(notice.event, notice.count) for notice in notices] == [("several", 299)]
    assert notices[0].parts[-1].epoch == 299
    waiting = [change(n) for n in range(300, 310)]
    assert told(place, *waiting, at_ms=1_000_000 + WINDOW_MS - 1) == ([], place)
    notices, place = told(place, *waiting, at_ms=1_000_000 + WINDOW_MS)
    assert [(notice.event, notice.count, notice.parts[-1].epoch) for notice in notices] == [("several", 10, 309)]
    assert place.at == "1309-0"


def test_receiver_that_takes_nothing_is_told_less_often_and_never_not_at_all() -> None:
    """With many on their way there is one for all that has come, each minute; so what is under way stays bounded."""
    notices, place = told(START, change(1), open_jobs=MOST_OPEN)
    assert [notice.event for notice in notices] == ["several"]
    assert told(place, change(2), at_ms=1_000_000 + LONG_WINDOW_MS - 1, open_jobs=MOST_OPEN)[0] == []
    assert len(told(place, change(2), at_ms=1_000_000 + LONG_WINDOW_MS, open_jobs=MOST_OPEN)[0]) == 1
    assert len(told(place, change(2), at_ms=1_000_000 + WINDOW_MS, open_jobs=0)[0]) == 1, "it takes them again"


def test_clock_that_is_set_back_holds_nothing_up() -> None:
    """The window begins anew."""
    _, place = told(START, *map(change, range(1, 300)))
    assert len(told(place, change(300), at_ms=5)[0]) == 1


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20_000), st.integers(0, 40)), min_size=1, max_size=40)
)
def test_whatever_comes_all_of_it_is_told_once_in_order_and_seldom(steps: Sequence[tuple[int, int, int]]) -> None:
    """Every change is in one notice: as itself, or counted among several whose newest is told."""
    place, at_ms, number = START, 1_000_000, 0
    waiting: list[FeedItem] = []
    covered = 0
    windows: dict[int, int] = {}
    for fresh, pause_ms, open_jobs in [*steps, (0, LONG_WINDOW_MS, 0)]:
        at_ms += pause_ms
        waiting += [change(number + n + 1) for n in range(fresh)]
        number += fresh
        notices, place = plan(place, waiting, look(*waiting, at_ms=at_ms), "k", open_jobs)
        windows[at_ms // WINDOW_MS] = windows.get(at_ms // WINDOW_MS, 0) + len(notices)
        for notice in notices:
            covered += notice.count
            assert notice.parts[-1].epoch == covered
        waiting = [item for item in waiting if item.entry.epoch > covered]
        assert place.at == f"{1000 + covered}-0"
    assert covered == number
    assert max(windows.values()) <= 2 * BURST


@pytest.mark.parametrize(
    ("left_ms", "name"),
    [(901_000, None), (900_000, "permission:7:900"), (120_001, "permission:7:900"), (120_000, "permission:7:120")],
)
def test_end_of_a_permission_is_told_a_quarter_of_an_hour_and_two_minutes_before(
    left_ms: int, name: str | None
) -> None:
    """Once for each step and epoch, whoever looks."""
    found = look(ttl_ms=left_ms)
    notices, place = plan(START, [], found, "k", 0)
    assert [notice.id for notice in notices] == ([name] if name else [])
    assert plan(place, [], found, "k", 0)[0] == []
    again = look(ttl_ms=left_ms, epoch=8)
    assert len(plan(place, [], again, "k", 0)[0]) == len(notices)
    assert plan(START, [], look(ttl_ms=left_ms, mode=Mode.ENGAGED), "k", 0)[0] == []


def test_missed_renewal_is_told_once_each_time() -> None:
    """Not while renewals come; again after one came and the next did not."""
    assert plan(START, [], look(deadman=renewed(70_000, overdue=False)), "k", 0)[0] == []
    notices, place = plan(START, [], look(deadman=renewed(40_000, overdue=True)), "k", 0)
    assert [notice.id for notice in notices] == ["permission:7:overdue:5000"]
    assert plan(place, [], look(deadman=renewed(30_000, overdue=True)), "k", 0)[0] == []
    later = plan(place, [], look(deadman=renewed(30_000, overdue=True, at_ms=90_000)), "k", 0)[0]
    assert [notice.id for notice in later] == ["permission:7:overdue:90000"]


def test_holder_that_comes_and_goes_builds_no_flood() -> None:
    """Ends that are near count among the notices of a window."""
    place, count = START, 0
    for n in range(50):
        notices, place = plan(place, [], look(deadman=renewed(30_000, overdue=True, at_ms=n)), "k", 0)
        count += len(notices)
    assert count == BURST


@pytest.mark.parametrize("text", [None, b"", b"x", b"[]", b'["",1,1,[]]', b"[1,2,3,4]", b"\xff", b"{}", b'["a",1,1]'])
def test_place_that_cannot_be_read_is_none(text: bytes | None) -> None:
    """Somebody else wrote there: telling begins with what comes next."""
    assert Place.parse(text) is None


def test_place_is_kept_as_it_was() -> None:
    """Between two workers too."""
    place = replace(START, since_ms=5, sent=2, told=("a", "b"))
    assert Place.parse(place.text()) == place
