"""What a worker says of the steps between an announcement and its question."""

from __future__ import annotations

from killswitch.gate.steps import Steps

US = 1000


def test_a_beat_after_an_announcement_tells_the_steps_once() -> None:
    """From seen to closed, from seen to asked, and how long the question before had taken."""
    steps = Steps()
    steps.asked(100 * US)
    steps.answered(150 * US)
    steps.seen(1000 * US)
    steps.shut(1007 * US)
    steps.asked(1020 * US)
    assert steps.line(1025 * US) == "7 25 50"
    assert steps.line(1030 * US) is None


def test_of_several_announcements_before_a_beat_the_first_counts() -> None:
    """A question was under way: the beat waits for its answer, and that wait is part of the time."""
    steps = Steps()
    steps.seen(1000 * US)
    steps.shut(1001 * US)
    steps.seen(2000 * US)
    steps.shut(2001 * US)
    assert steps.line(3000 * US) == "1 2000 0"


def test_the_first_beat_of_a_connection_says_that_drills_are_known() -> None:
    """With nothing in it: no announcement came before. One on the connection before is forgotten."""
    steps = Steps()
    steps.seen(1000 * US)
    steps.connected()
    assert steps.line(2000 * US) == ""
    assert steps.line(3000 * US) is None
    steps.connected()
    steps.seen(4000 * US)
    assert steps.line(4005 * US) == "5 5 0"


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    """Durations are never below zero."""
    steps = Steps()
    steps.seen(1000 * US)
    steps.shut(900 * US)
    assert steps.line(800 * US) == "0 0 0"
