"""The record from a place on: each entry once and in order, and the switch beside it. On both makes of server."""

from __future__ import annotations

import pytest

from killswitch import ApprovalPending, Controller, EpochConflict, Mode, RecordFeed, StoreRefused, Verdict
from tests.support.agents import open_epoch
from tests.support.switch import Switch
from tests.support.waiting import eventually


@pytest.fixture
def feed(switch: Switch) -> RecordFeed:
    """A feed of `switch`."""
    return RecordFeed(switch.settings())


def test_entries_after_a_place_are_told_once_and_in_order(switch: Switch, feed: RecordFeed) -> None:
    """From where the last look ended, in portions; without a place only where the record ends."""
    begin = feed.look(None, 5.0)
    assert (begin.items, begin.more) == ((), False)
    epochs = [switch.control.engage(f"stop {n}").epoch for n in range(5)]
    first = feed.look(begin.newest, 5.0, most=3)
    rest = feed.look(first.items[-1].entry.entry_id, 5.0)
    assert (first.more, rest.more) == (True, False)
    assert [item.entry.epoch for item in (*first.items, *rest.items)] == epochs
    assert rest.items[-1].entry.entry_id == rest.newest
    assert feed.look(rest.newest, 5.0).items == ()


def test_outcome_of_a_wait_is_told_apart_from_changes(switch: Switch, feed: RecordFeed) -> None:
    """It says of which stop, by scope and epoch."""
    open_epoch(switch.agent())
    begin = feed.look(None, 5.0)
    outcome = switch.control.engage("fat finger", wait_s=20)
    assert outcome.verdict is Verdict.QUIET
    eventually(lambda: len(feed.look(begin.newest, 5.0).items) == 2, why="the end of the wait is on record")
    stop, proof = feed.look(begin.newest, 5.0).items
    assert (stop.is_change, proof.is_change) == (True, False)
    assert proof.entry.outcome is not None
    assert (proof.entry.outcome.verdict, proof.entry.epoch) == ("QUIET", stop.entry.epoch)


def test_an_attempt_to_permit_is_no_change(switch: Switch, feed: RecordFeed) -> None:
    """P10: what was refused, and what the first of two persons approved, is told as that, and listed as no change."""
    begin, epoch = feed.look(None, 5.0), switch.control.engage("stop").epoch
    with pytest.raises(EpochConflict):
        switch.control.reset(epoch - 1, "too late", "alice")
    Controller(switch.settings(persons=2)).init()
    with pytest.raises(ApprovalPending):
        switch.control.reset(epoch, "checked", "alice")
    stop, refused, rule, approved = feed.look(begin.newest, 5.0).items
    assert [item.is_change for item in (stop, refused, rule, approved)] == [True, False, True, False]
    assert refused.attempt == f"reset was refused: {epoch - 1} is not the current epoch"
    assert approved.attempt.startswith("reset was approved by the first of two persons")
    assert [entry.scope for entry in switch.control.audit(2)] == ["switch", "persons"]
    told = switch.control.audit(4, attempts=True)
    assert [(entry.kind, entry.epoch) for entry in told] == [
        ("change", epoch),
        ("refused", epoch),
        ("change", rule.entry.epoch),
        ("approved", epoch),
    ]
    assert [entry.reason for entry in told if entry.kind != "change"] == ["too late", "checked"]


def test_record_that_was_lost_is_told_from_its_beginning(switch: Switch, feed: RecordFeed) -> None:
    """What is younger than the place that was remembered belongs to another record."""
    switch.control.engage("before")
    ahead = "99999999999999-0"
    assert [item.entry.reason for item in feed.look(ahead, 5.0).items][-1] == "before"


def test_switch_is_told_with_both_limits_of_its_permission(switch: Switch, feed: RecordFeed) -> None:
    """As status tells it."""
    epoch = switch.control.engage("x").epoch
    assert feed.look(None, 5.0).switch.mode is Mode.ENGAGED
    switch.control.reset(epoch, "again", for_s=600)
    found = feed.look(None, 5.0)
    assert found.deadman is None
    assert found.switch.ttl_ms is not None
    assert 500_000 < found.switch.ttl_ms <= 600_000


def test_something_else_under_the_record_is_an_error_and_no_news(switch: Switch, feed: RecordFeed) -> None:
    """Whoever tells others waits, and says why."""
    switch.raw("RENAME", "killswitch:audit", "away")
    switch.raw("SET", "killswitch:audit", "x")
    with pytest.raises(StoreRefused):
        feed.look("0-0", 5.0)
