"""Phase 4 on a queue and a switch that follow a script: who runs, who waits and why, who fails."""

from __future__ import annotations

import pytest

from ops.console import Console
from ops.launching import start
from ops.launching.deployment import LaunchStopped
from ops.launching.start import Starting
from tests.unit.ops.launch_doubles import Control, Queue, engines
from workers.roster import Place

RUNNING, WAITING, CLAIMED = Place.RUNNING, Place.WAITING, Place.CLAIMED


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look follows the last at once."""
    monkeypatch.setattr(start, "sleep", lambda _seconds: None)


def starting(queue: Queue, control: Control, *names: str) -> Starting:
    """Phase 4 of engines of these names."""
    return Starting(engines(*names), queue.roster, control.controller, Console())


def test_engine_runs_when_its_job_was_started_and_its_worker_says_so() -> None:
    """Neither the queue nor the registry alone is believed."""
    control = Control()
    queue = Queue(
        lambda q: q.places.update(a=CLAIMED),
        lambda q: q.places.update(a=RUNNING),
        lambda _q: control.runs("a", code="no_state_yet", closed=True),
        lambda _q: control.runs("a", beat_age_ms=60_000),
        lambda _q: control.runs("a", code="open"),
    )
    made = starting(queue, control, "a")
    assert made.place() == 1
    assert made.wait(60, 7) == "1 running"
    (state,) = made.states
    assert (state.state, state.worker, state.gate, state.placed) == ("running", "w-a", "open", True)


def test_engine_that_is_there_is_not_placed_again() -> None:
    """A second launch only waits for it."""
    queue, control = Queue(a=RUNNING), Control()
    control.runs("a", "b")
    made = starting(queue, control, "a", "b")
    queue._turns.append(lambda q: q.places.update(b=RUNNING))
    assert made.place() == 1
    assert queue.placed == ["b"]
    assert made.wait(60, 7) == "2 running"
    assert [state.placed for state in made.states] == [False, True]


def test_while_engaged_waiting_is_the_end_of_it_and_is_said() -> None:
    """Nobody permitted: engines wait in their queue, and one that runs has a closed gate."""
    queue, control = Queue(a=RUNNING), Control()
    control.runs("a", code="engaged", closed=True, mode="ENGAGED")
    control.engaged()
    made = starting(queue, control, "a", "b")
    made.place()
    text = made.wait(60, None)
    assert text.startswith("1 running, 1 of them with a closed gate; 1 queued: the switch is engaged")
    assert [state.state for state in made.states] == ["running", "queued"]


def test_an_engagement_in_the_middle_ends_the_launch_truthfully() -> None:
    """Who permitted learns that somebody stopped; what runs has closed gates."""
    control = Control()
    queue = Queue(lambda q: q.places.update(a=RUNNING), lambda _q: control.engaged())
    control.runs("a")
    made = starting(queue, control, "a", "b")
    made.place()
    with pytest.raises(LaunchStopped, match=r"engaged meanwhile by alice: ENGAGED fat finger, epoch 8\. 1 of 2"):
        made.wait(60, 7)


def test_engine_that_fails_ends_the_launch_with_its_reason() -> None:
    """And one that somebody stopped or removed meanwhile is told as that."""
    queue, control = Queue(lambda q: q.places.clear()), Control()
    queue.ends = {"a": ("failed", {}, "FeedError: no such file"), "b": ("stopped", {}, "")}
    made = starting(queue, control, "a", "b", "c")
    made.place()
    with pytest.raises(LaunchStopped, match="engine a failed: FeedError: no such file") as caught:
        made.wait(60, 7)
    assert caught.value.details == ("engine b was stopped by somebody", "engine c is not on the queue any more")


def test_engine_whose_feed_ended_has_run() -> None:
    """A short replay may be over before it was seen running."""
    queue = Queue(lambda q: q.places.clear())
    queue.ends = {"a": ("finished", {}, "")}
    made = starting(queue, Control(), "a")
    made.place()
    assert made.wait(60, 7) == "1 ran to the end of its feed"


def test_no_worker_in_time_is_a_failure_that_says_where_the_engines_are() -> None:
    """Bounded by the timeout: what waits stays on its queue, and is named."""
    made = starting(Queue(), Control(), "a")
    made.place()
    with pytest.raises(LaunchStopped, match=r"1 of 1 engines do not run after 0\.01 s; they stay") as caught:
        made.wait(0.01, 7)
    assert caught.value.details == ("engine a: no free worker took it off its queue, which 2 worker processes serve",)


def test_an_engine_that_has_not_heard_of_the_permission_is_waited_for() -> None:
    """What it said while the switch was engaged is no closed gate to warn of; one that never hears of it is told."""
    control = Control()
    queue = Queue(lambda q: q.places.update(a=RUNNING), lambda _q: None, lambda _q: control.runs("a", code="open"))
    control.runs("a", code="engaged", closed=True)
    made = starting(queue, control, "a")
    made.place()
    assert made.wait(60, 7) == "1 running"
    control.runs("a", code="engaged", closed=True)
    assert made.wait(0.01, 7) == "1 running, 1 of them with a closed gate"
