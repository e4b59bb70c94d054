"""What a dead worker left at the venue is cancelled by a living one: once noted it is not forgotten, and nothing of its
successor's is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from rq.job import Job, JobStatus

from tests.support.venue import VenueLine
from tests.unit.workers_rq.doubles import SHORT, MakeWorker, Switch, step
from workers import queues, wiring
from workers.broker import BrokerError
from workers.cleanups import Cleanups
from workers.domain import Order, Side
from workers.ownership import Lease
from workers.venue import RunningVenue, VenueBroker, running
from workers.worker import EngineWorker

BID = Order("left-1", "EURUSD", Side.BUY, 10, 0.5, reduces=False)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    """A venue that outlives the workers."""
    with running(f"unix://{tmp_path}/v.sock", events=tmp_path / "events.jsonl") as found:
        yield found


@pytest.fixture
def cleanups(store: fakeredis.FakeStrictRedis) -> Cleanups:
    """The notes."""
    return Cleanups(store)


def make_due(store: fakeredis.FakeStrictRedis) -> None:
    """As if the time until the next attempt had passed."""
    store.zadd("workers:cleanups", {"e1": 0}, xx=True)


def died(make_worker: MakeWorker, store: fakeredis.FakeStrictRedis, **settings: str) -> tuple[EngineWorker, Job, Lease]:
    """A worker that took the engine e1, started it, and is not heard of any more; its lease has run out."""
    job = queues.place_engine(store, SHORT)
    dead = make_worker("dead", **settings)
    claimed = dead._claims.next()
    assert claimed is not None
    lease = dead.ownership.acquire("e1")
    assert isinstance(lease, Lease)
    assert dead._placement.start(claimed[1], claimed[0], dead.name, 60) is not None
    store.delete(dead.ownership.key("e1"))
    return dead, job, lease


def left_working(venue: RunningVenue, token: int, *ids: str) -> VenueBroker:
    """What the dead worker had at the venue, and its line there."""
    broker = VenueBroker(venue.url, "e1", owner=token, worker="dead")
    broker.refresh()
    for name in ids:
        broker.submit(Order(name, "EURUSD", Side.BUY, 10, 0.5, reduces=False), 1)
    return broker


def open_ids(venue: RunningVenue, session: str = "e1") -> list[str]:
    """Ids of the orders that work at the venue."""
    with VenueLine(venue.url) as line:
        return [found["client_id"] for found in line.ask("open_orders", session)["orders"]]


def run_cleanup(worker: EngineWorker, store: fakeredis.FakeStrictRedis) -> Job:
    """The job that comes of a look of this worker, run by it."""
    worker._recovery.run()
    (job,) = queues.open_queue(store, "cleanup").jobs
    assert step(worker) == job.id
    return job


def test_orders_of_a_dead_worker_are_cancelled_and_it_is_locked_out(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch
) -> None:
    """A living worker cancels in its place, engaged or not; says so in result, log and registry; and whatever the dead
    one still sends is refused."""
    _, _, lease = died(make_worker, store, venue_url=venue.url)
    dead_line = left_working(venue, lease.token, "a", "b")
    switch.engage()
    job = run_cleanup(make_worker("alive", venue_url=venue.url), store)
    assert job.return_value() == {"engine": "e1", "owner": lease.token, "cancelled": 2, "orders": ["a", "b"]}
    assert open_ids(venue) == []
    with pytest.raises(BrokerError, match="was replaced"):
        dead_line.submit(BID, 99)
    dead_line.close()
    assert store.keys("workers:cleanup*") == []
    assert any("e1: 2 cancelled" in str(agent.info.get("cleanup")) for agent in switch.made)


def test_cleanup_may_be_repeated_and_spares_the_successor(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue
) -> None:
    """The second run finds nothing; what an owner with a higher token has working stays."""
    left_working(venue, 5, "a").close()
    worker = make_worker("alive", venue_url=venue.url)
    results = []
    for number in range(2):
        queues.cancel_orders(store, {"engine": "e1", "owner": 5}, job_id=f"j{number}")
        if number == 1:
            left_working(venue, 9, "heir").close()
        step(worker)
        results.append(Job.fetch(f"j{number}", store, serializer=queues.open_queue(store).serializer).return_value())
    assert [(found["cancelled"], found["orders"]) for found in results if found] == [(1, ["a"]), (0, [])]
    assert open_ids(venue) == ["heir"]


def test_venue_that_is_down_is_tried_again_with_growing_waits_until_it_is_back(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, cleanups: Cleanups, tmp_path: Path
) -> None:
    """Each failed job says why; the note stays, with the reason; no job is made before it is due."""
    url = f"unix://{tmp_path}/v.sock"
    cleanups.add("e1", 5)
    worker = make_worker("alive", venue_url=url)
    for number in range(3):
        make_due(store)
        job = run_cleanup(worker, store)
        assert job.get_status() is JobStatus.FAILED
        assert "cannot be reached" in str(job.latest_result().exc_string)  # type: ignore[union-attr]
        assert store.hget(cleanups.key("e1"), "tries") == str(number + 1).encode()
        assert worker._recovery.run() == 0
        assert queues.open_queue(store, "cleanup").count == 0
    with running(url) as venue:
        left_working(venue, 5, "a").close()
        make_due(store)
        assert run_cleanup(worker, store).get_status() is JobStatus.FINISHED
        assert open_ids(venue) == []
    assert store.keys("workers:cleanup*") == []


def test_waits_double_up_to_ten_seconds(cleanups: Cleanups, store: fakeredis.FakeStrictRedis) -> None:
    """Soon at first, for a venue that is restarted; seldom later, for one that is gone."""
    cleanups.add("e1", 5)
    waits = [cleanups.failed("e1", 5, "down") for _ in range(8)]
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]
    assert store.hget(cleanups.key("e1"), "reason") == b"down"


def test_note_survives_whoever_saw_the_death_and_whoever_took_the_job(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, cleanups: Cleanups, venue: RunningVenue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It is written by the step that puts the engine back; a worker that dies right after, or with the job in hand,
    costs time and nothing else."""
    _, _, lease = died(make_worker, store, venue_url=venue.url)
    left_working(venue, lease.token, "a").close()
    first = make_worker("first", venue_url=venue.url)
    with monkeypatch.context() as patch:
        patch.setattr(first._cleanups, "add_dead", lambda _: None)  # it dies here
        patch.setattr(first._recovery, "_clean_up", lambda: None)
        assert first._recovery.run() == 1
    assert store.hget(cleanups.key("e1"), "token") == str(lease.token).encode()
    second = make_worker("second", venue_url=venue.url)
    second._recovery.run()
    claimed = second._claims.next()
    assert claimed is not None
    second._placement.start(claimed[1], claimed[0], second.name, 60)  # and it dies here, with the job in its hand
    third = make_worker("third", venue_url=venue.url)
    third._recovery.run()
    assert queues.open_queue(store, "cleanup").count == 0
    make_due(store)
    assert run_cleanup(third, store).get_status() is JobStatus.FINISHED
    assert open_ids(venue) == []


def test_queue_that_nobody_serves_gets_one_job_and_not_one_a_while(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, cleanups: Cleanups
) -> None:
    """While the job waits in its queue no second one is made."""
    cleanups.add("e1", 5)
    worker = make_worker("alive", queues="engines")
    for _ in range(3):
        make_due(store)
        worker._recovery.run()
    assert queues.open_queue(store, "cleanup").count == 1


def test_later_death_is_not_forgotten_with_the_one_before(cleanups: Cleanups, store: fakeredis.FakeStrictRedis) -> None:
    """Done is what was done: up to that token and no further; an older death adds nothing."""
    cleanups.add("e1", 5)
    cleanups.add("e1", 7)
    cleanups.add("e1", 6)
    (due,) = cleanups.claim()
    assert (due.engine, due.token) == ("e1", 7)
    assert not cleanups.done("e1", 5)
    assert cleanups.failed("e1", 5, "late") == -1
    assert cleanups.failed("e1", 7, "down") > 0
    assert cleanups.done("e1", 7)
    assert (cleanups.claim(), store.keys("workers:cleanup*")) == ([], [])


def test_note_made_under_another_clock_is_due_now(cleanups: Cleanups, store: fakeredis.FakeStrictRedis) -> None:
    """A wall clock that was set back does not put a cleanup off for an hour."""
    cleanups.add("e1", 5)
    assert [due.engine for due in cleanups.claim()] == ["e1"]
    assert cleanups.claim() == []
    store.zadd("workers:cleanups", {"e1": int(store.time()[0]) * 1000 + 3_600_000})
    assert [due.engine for due in cleanups.claim()] == ["e1"]


def test_note_that_was_done_meanwhile_leaves_nothing_behind(
    cleanups: Cleanups, store: fakeredis.FakeStrictRedis
) -> None:
    """Between the claim and the look at it somebody else finished it."""
    cleanups.add("e1", 5)
    store.delete(cleanups.key("e1"))
    assert cleanups.claim() == []
    assert store.keys("workers:cleanup*") == []


def test_engine_whose_venue_is_away_at_its_end_leaves_a_note(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, cleanups: Cleanups, venue: RunningVenue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It tried, and does not end as if nothing were left: others will cancel, under its own token."""
    monkeypatch.setattr("workers.jobs._LAST_PAUSE_S", 0.0)
    build = wiring.build_engine

    def gone(*args: Any, **values: Any) -> object:
        engine = build(*args, **values)
        venue.stop()
        return engine

    monkeypatch.setattr(wiring, "build_engine", gone)
    job = queues.place_engine(store, SHORT)
    worker = make_worker("w1", venue_url=venue.url)
    step(worker)
    assert job.get_status() is JobStatus.FINISHED
    token = store.hget("workers:tokens", "e1")
    assert store.hget(cleanups.key("e1"), "token") == token


class Ended(BaseException):
    """Stands for the end of the process."""


def test_worker_that_cannot_end_in_time_leaves_a_note(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, cleanups: Cleanups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine is back in the queue, so no recovery would ever see that it died."""

    def leave(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, "_exit", leave)
    queues.place_engine(store, SHORT)
    worker = make_worker()

    def hang(*_: object, **__: object) -> None:
        with pytest.raises(Ended, match="75"):
            worker._overrun()
        assert [due.engine for due in cleanups.claim()] == ["e1"]
        raise Ended

    monkeypatch.setattr(wiring, "build_feed", hang)
    step(worker)


def test_engine_takes_over_what_its_predecessor_left_before_it_trades(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue
) -> None:
    """Also where nobody had the time to clean up: the first word of the new owner cancels and locks out."""
    _, job, lease = died(make_worker, store, venue_url=venue.url)
    dead_line = left_working(venue, lease.token, "a", "b")
    heir = make_worker("heir", venue_url=venue.url, queues="engines", ownership_ms=300)
    assert heir._recovery.run() == 1
    heir._heart.start()
    try:
        step(heir)
    finally:
        heir._heart.stop()
    assert job.get_status() is JobStatus.FINISHED
    assert not {"a", "b"} & set(open_ids(venue))
    with pytest.raises(BrokerError):
        dead_line.submit(BID, 99)
    dead_line.close()
