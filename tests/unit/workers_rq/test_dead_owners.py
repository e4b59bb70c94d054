"""Owners of engines that died are found by the tokens that they were given, whatever became of their jobs and whoever
looks: what they left at the venue is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import fakeredis
import pytest
from rq.job import JobStatus
from rq.registry import StartedJobRegistry
from rq.utils import as_text

from tests.support.waiting import eventually
from tests.unit.workers_rq.doubles import SHORT, MakeWorker, step
from tests.unit.workers_rq.test_cleanups import died, left_working, make_due, open_ids, run_cleanup, venue
from workers import queues, wiring
from workers.cleanups import Cleanups
from workers.ownership import Lease, Ownership
from workers.venue import RunningVenue

__all__ = ["venue"]

Store = fakeredis.FakeStrictRedis


def owned(store: Store, engine: str = "e1", owner: str = "dead") -> Lease:
    """A lease that was just taken."""
    lease = Ownership(store, owner).acquire(engine)
    assert isinstance(lease, Lease)
    return lease


def gone(store: Store, engine: str = "e1", owner: str = "dead") -> Lease:
    """A lease whose owner died and whose record ran out."""
    lease = owned(store, engine, owner)
    store.delete(f"workers:owner:{engine}")
    return lease


def noted(store: Store) -> dict[str, int]:
    """Which owner of which engine is to be cleaned up after."""
    names = [as_text(key).removeprefix("workers:cleanup:") for key in store.keys("workers:cleanup:*")]
    return {name: int(store.hget(f"workers:cleanup:{name}", "token") or 0) for name in names}


def look(store: Store) -> dict[str, int]:
    """One look for dead owners, and what is noted after it."""
    Cleanups(store).add_dead(Ownership(store, "looker"))
    return noted(store)


def marked_failed(store: Store) -> None:
    """As `rq info` does it, once the record of the worker is gone."""
    registry = StartedJobRegistry(queue=queues.open_queue(store))
    for member in store.zrange(registry.key, 0, -1):
        store.zadd(registry.key, {as_text(cast(bytes, member)): 1}, xx=True)
    registry.cleanup()
    assert store.zcard(registry.key) == 0


def deleted(store: Store) -> None:
    """By hand."""
    store.delete(*store.keys("rq:*"))


def left_alone(store: Store) -> None:
    """It lies on a queue that whoever looks does not serve."""


@pytest.mark.parametrize("happens", [left_alone, marked_failed, deleted])
def test_orders_of_a_dead_owner_are_cancelled_by_a_worker_that_serves_cleanup_only(
    store: Store, make_worker: MakeWorker, venue: RunningVenue, happens: Callable[[Store], None]
) -> None:
    """Whatever became of its job: nobody else has to be idle, and no job has to be on record."""
    _, job, lease = died(make_worker, store, venue_url=venue.url)
    left_working(venue, lease.token, "a", "b").close()
    happens(store)
    if happens is marked_failed:
        assert job.get_status() is JobStatus.FAILED
    found = run_cleanup(make_worker("cleaner", queues="cleanup", venue_url=venue.url), store)
    assert found.return_value() == {"engine": "e1", "owner": lease.token, "cancelled": 2, "orders": ["a", "b"]}
    assert (open_ids(venue), noted(store)) == ([], {})


def test_owner_that_died_is_noted_once_and_cleaned_up_after_once(store: Store, make_worker: MakeWorker) -> None:
    """Neither a second look, nor the return of the engine to its queue, makes another job of what was done; the death
    of a later owner does."""
    _, job, lease = died(make_worker, store)
    cleaner, other = make_worker("cleaner", queues="cleanup"), make_worker("other", queues="engines")
    assert run_cleanup(cleaner, store).get_status() is JobStatus.FINISHED
    assert look(store) == {}
    assert other._recovery.run() == 1
    assert queues.open_queue(store).get_job_ids() == [job.id]
    assert (noted(store), queues.open_queue(store, "cleanup").count) == ({}, 0)
    later = gone(store)
    assert later.token > lease.token
    assert look(store) == {"e1": later.token}


def test_cleanup_that_failed_is_tried_again_and_not_noted_anew(store: Store) -> None:
    """The count of tries, and with it the growing wait, outlives the looks in between."""
    token = gone(store).token
    cleanups = Cleanups(store)
    assert look(store) == {"e1": token}
    assert [cleanups.failed("e1", token, "down") for _ in range(2)] == [250, 500]
    assert look(store) == {"e1": token}
    assert cleanups.failed("e1", token, "down") == 1000


def test_living_owners_and_those_that_gave_back_are_left_alone(store: Store) -> None:
    """A look takes nothing from an engine that trades, and makes no work of one that ended; a gateway has no orders of
    its own."""
    owned(store, "trading")
    owned(store, "ended").release()
    gone(store, "gateway:journal")
    assert look(store) == {}


def test_living_owner_keeps_the_engine_of_one_that_died_before_it(store: Store) -> None:
    """Its first word to the venue cancels what that one left; cleaning up is not to touch an engine that trades."""
    gone(store)
    owned(store, owner="heir")
    assert look(store) == {}


def test_dead_owner_is_noted_while_the_worker_runs_an_engine(
    store: Store, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread is busy: the thread that keeps the lease looks, so the note is there for whoever can act."""
    dead = gone(store, "e9")
    seen: list[dict[str, int]] = []
    build = wiring.build_feed

    def busy(spec: Any) -> Any:
        seen.append(eventually(lambda: noted(store), why="the heart looks"))
        return build(spec)

    monkeypatch.setattr(wiring, "build_feed", busy)
    worker = make_worker(ownership_ms=600)
    worker._heart.start()
    try:
        job = queues.place_engine(store, SHORT)
        assert step(worker) == job.id
    finally:
        worker._heart.stop()
    assert seen == [{"e9": dead.token}]
    assert job.get_status() is JobStatus.FINISHED


def test_note_under_a_name_that_no_engine_can_have_ends_no_worker(store: Store, make_worker: MakeWorker) -> None:
    """Whoever writes nonsense into the queue's Redis cannot stop the cancelling of what others left."""
    gone(store, "no engine")
    token = gone(store, "e1").token
    worker = make_worker("cleaner", queues="cleanup")
    worker._recovery.run()
    assert noted(store) == {"e1": token}
    (job,) = queues.open_queue(store, "cleanup").jobs
    make_due(store)
    worker._recovery.run()
    assert queues.open_queue(store, "cleanup").get_job_ids() == [job.id]
