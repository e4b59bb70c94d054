"""Taking engines down on a queue that follows a script: nothing is forgotten, nothing comes back unseen."""

from __future__ import annotations

import pytest

from ops.launching import stopping
from ops.launching.down import ended_lines
from ops.launching.stopping import Ended, Stopping
from tests.unit.ops.launch_doubles import Control, Queue
from workers.roster import Place

RUNNING, WAITING, CLAIMED = Place.RUNNING, Place.WAITING, Place.CLAIMED
REPORT = {"ticks": 10, "orders": 3, "cancelled": {"stopped": 2}}


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look follows the last at once, by a clock that goes on a tenth of a second with each."""
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += int(seconds * 1e9)

    monkeypatch.setattr(stopping, "sleep", sleep)
    monkeypatch.setattr(stopping, "now_ns", lambda: now[0])


def stop(queue: Queue, control: Control, *names: str) -> tuple[Ended, ...]:
    """Takes these down, with five seconds for each."""
    return Stopping(queue.roster, control.controller, 5.0, lambda _e: None, lambda _n, _p: None).run(names)


def end(queue: Queue, name: str) -> None:
    """The worker ended the engine as stopped."""
    queue.places.pop(name, None)
    queue.ends[name] = ("stopped", REPORT, "")


def test_waiting_engines_are_withdrawn_before_any_worker_is_set_free() -> None:
    """Otherwise the worker of the one that was stopped would start the next."""
    queue = Queue(a=RUNNING, b=WAITING)
    seen: list[list[str]] = []

    def stopped(name: str) -> None:
        seen.append(list(queue.withdrawn))
        end(queue, name)

    queue.on_stop = stopped
    found = stop(queue, Control(), "a", "b")
    assert seen == [["b"]]
    assert [(one.engine, one.how, one.down) for one in found] == [("a", "stopped", True), ("b", "withdrawn", True)]
    assert (found[0].ticks, found[0].orders, found[0].cancelled) == (10, 3, 2)


def test_a_stop_command_that_is_lost_is_sent_again() -> None:
    """Once a second, until the engine is gone."""
    queue = Queue(a=RUNNING)
    queue.on_stop = lambda name: end(queue, name) if len(queue.asked) == 3 else None
    (found,) = stop(queue, Control(), "a")
    assert (queue.asked, found.how) == (["a", "a", "a"], "stopped")
    assert 2 <= found.took_s < 4


def test_an_engine_that_its_worker_put_back_is_withdrawn() -> None:
    """A worker that drains requeues what it ran: it must not start again after somebody wanted it down."""
    queue = Queue(a=RUNNING)
    queue.on_stop = lambda name: queue.places.update({name: WAITING})
    (found,) = stop(queue, Control(), "a")
    assert (queue.withdrawn, found.how, found.down, queue.places) == (["a"], "withdrawn", True, {})


def test_an_engine_that_is_claimed_is_waited_for_and_then_stopped() -> None:
    """Between its queue and its start it is nowhere else; it is not given up."""
    queue = Queue(lambda _q: None, lambda _q: None, lambda q: q.places.update(a=RUNNING), a=CLAIMED)
    queue.on_stop = lambda name: end(queue, name)
    (found,) = stop(queue, Control(), "a")
    assert (queue.asked, found.how) == (["a"], "stopped")


def test_an_engine_that_does_not_go_is_told_and_the_others_go_on() -> None:
    """A frozen worker holds up nobody else."""
    queue = Queue(a=RUNNING, b=RUNNING)
    queue.on_stop = lambda name: end(queue, name) if name == "b" else None
    found = stop(queue, Control(), "a", "b")
    assert [(one.how, one.down) for one in found] == [("still there", False), ("stopped", True)]
    assert "is that process alive?" in found[0].why


def test_an_entry_with_orders_in_flight_is_not_down() -> None:
    """The job ended, but its worker still names the engine in the registry: somebody has to look at that order."""
    queue, control = Queue(a=RUNNING), Control()
    control.runs("a", in_flight=1, orders=("c-1",))
    queue.on_stop = lambda name: end(queue, name)
    (found,) = stop(queue, control, "a")
    assert not found.down
    assert "with 1 order in flight: c-1" in found.why


def test_without_the_switch_engines_are_stopped_all_the_same() -> None:
    """The queue is enough; that the registry was not seen is told."""
    queue, control = Queue(a=RUNNING), Control()
    control.away = True
    queue.on_stop = lambda name: end(queue, name)
    made = Stopping(queue.roster, control.controller, 5.0, lambda _e: None, lambda _n, _p: None)
    (found,) = made.run(["a"])
    assert (found.down, made.unseen) == (True, "no answer")


def test_an_engine_that_is_nowhere_and_one_that_had_failed_are_told() -> None:
    """Nothing is stopped that is not there, and a failure is not called a stop."""
    queue = Queue(b=RUNNING)

    def fails(name: str) -> None:
        queue.places.clear()
        queue.ends[name] = ("failed", {}, "boom")

    queue.on_stop = fails
    absent, failed = stop(queue, Control(), "a", "b")
    assert (absent.how, absent.down) == ("absent", True)
    assert (failed.how, failed.why) == ("failed", "it failed before: boom")


def test_lines_are_clean() -> None:
    """What a worker or a record says is shown, never obeyed."""
    lines = ended_lines(Ended("a", "stopped", "j", 1.0, 1000, 2, 1, why="evil\x1b[2J"))
    assert lines == ["      a stopped after 1.0 s: 1,000 ticks, 2 orders, 1 working order cancelled: evil\\x1b[2J"]
