"""Where engines are, placing one exactly once, and taking it off: on a Redis in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fakeredis
import pytest
import redis
from rq.executions import Execution

from killswitch import InvalidInput
from tests.unit.workers_rq.doubles import SHORT, MakeWorker, step
from workers import queues, roster
from workers.cleanups import Cleanups
from workers.ownership import Lease, Ownership
from workers.placement import Placement
from workers.roster import Place, Placed, Roster

NAME = str(SHORT["name"])


@pytest.fixture
def engines(store: fakeredis.FakeStrictRedis) -> Roster:
    """The engines on the queue `engines`."""
    return Roster(store)


def start(store: fakeredis.FakeStrictRedis, placed: Placed, worker: str = "w1") -> Lease:
    """The job as a worker has it that owns the engine, claimed it and started it."""
    queue = queues.open_queue(store)
    placement = Placement(store)
    assert placement.take(queue) == placed.job_id
    lease = Ownership(store, worker).acquire(placed.engine)
    assert isinstance(lease, Lease)
    job = queue.fetch_job(placed.job_id)
    assert job is not None
    assert placement.start(queue, job, worker, 90) is not None
    return lease


def test_engine_is_seen_wherever_it_is(store: fakeredis.FakeStrictRedis, engines: Roster) -> None:
    """Waiting, claimed by a worker, started by it: each is one place, and no engine is in two."""
    placed, now = engines.place_once(SHORT)
    assert (now, placed.place) == (True, Place.WAITING)
    assert engines.look() == (placed,)
    Placement(store).take(queues.open_queue(store))
    assert [one.place for one in engines.look()] == [Place.CLAIMED]
    Placement(store).put_back(queues.open_queue(store), placed.job_id)
    start(store, placed)
    (running,) = engines.look()
    assert (running.engine, running.job_id, running.place) == (NAME, placed.job_id, Place.RUNNING)
    assert Execution.fetch(running.execution, running.job_id, store).worker_name == "w1"


@pytest.mark.parametrize("place", [Place.WAITING, Place.CLAIMED, Place.RUNNING])
def test_engine_that_is_somewhere_is_not_placed_again(
    place: Place, store: fakeredis.FakeStrictRedis, engines: Roster
) -> None:
    """A launch that is run twice leaves one job, wherever the first one's is by then."""
    placed, _ = engines.place_once(SHORT)
    if place is Place.CLAIMED:
        Placement(store).take(queues.open_queue(store))
    elif place is Place.RUNNING:
        start(store, placed)
    again, now = engines.place_once(SHORT)
    assert (again.job_id, again.place, now) == (placed.job_id, place, False)
    assert len(engines.look()) == 1


def test_two_launches_at_the_same_moment_place_one_engine(
    store: fakeredis.FakeStrictRedis, engines: Roster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rival that places it between our look and our placing makes us look again."""
    rival = Roster(store)
    place = queues.place_engine
    turns: list[Callable[[], Any]] = [lambda: rival.place_once(SHORT)]

    def interrupted(*args: Any, **options: Any) -> Any:
        if turns:
            turns.pop()()
        return place(*args, **options)

    monkeypatch.setattr(roster, "place_engine", interrupted)
    placed, now = engines.place_once(SHORT)
    assert now is False
    assert [one.job_id for one in engines.look()] == [placed.job_id]


def test_engine_that_ended_is_placed_anew_and_its_end_is_told(
    store: fakeredis.FakeStrictRedis, engines: Roster, make_worker: MakeWorker
) -> None:
    """A finished engine is nowhere, its record says how it went, and a later launch starts it again."""
    placed, _ = engines.place_once(SHORT)
    assert not engines.known(NAME)
    step(make_worker())
    assert engines.look() == ()
    status, report, why = engines.outcome(placed.job_id)
    assert (status, why) == ("finished", "")
    assert report["ticks"] > 0
    assert engines.known(NAME)
    again, now = engines.place_once(SHORT)
    assert now
    assert again.job_id != placed.job_id


def test_engine_that_cannot_run_is_told_with_its_reason(
    store: fakeredis.FakeStrictRedis, engines: Roster, make_worker: MakeWorker
) -> None:
    """One that is to send elsewhere than its worker does fails before anything of it is started."""
    placed, _ = engines.place_once({**SHORT, "broker": "lmax"})
    worker = make_worker()
    step(worker)
    status, _, why = engines.outcome(placed.job_id)
    assert status == "failed"
    assert "its orders are to go to lmax, and this worker sends to paper" in why
    assert engines.outcome("engine-nobody-00000000") == ("gone", {}, "")


def test_engine_that_waits_is_withdrawn_without_a_trace(store: fakeredis.FakeStrictRedis, engines: Roster) -> None:
    """Its job is gone from the queue and from Redis; one that a worker took meanwhile is left alone."""
    placed, _ = engines.place_once(SHORT)
    assert engines.withdraw(placed)
    assert engines.look() == ()
    assert not store.exists(f"rq:job:{placed.job_id}")
    placed, _ = engines.place_once(SHORT)
    start(store, placed)
    assert not engines.withdraw(placed)
    assert [one.place for one in engines.look()] == [Place.RUNNING]


def test_engine_of_a_living_worker_is_asked_to_stop(store: fakeredis.FakeStrictRedis, engines: Roster) -> None:
    """The command goes to the worker that runs it; its job stays where it is until that worker ends it."""
    placed, _ = engines.place_once(SHORT)
    start(store, placed)
    listener = store.pubsub()
    listener.subscribe("rq:pubsub:w1")
    listener.get_message()
    engines.ask_to_stop(engines.look()[0])
    message = listener.get_message()
    assert message is not None
    assert placed.job_id.encode() in message["data"]
    assert [one.place for one in engines.look()] == [Place.RUNNING]


def test_engine_of_a_dead_worker_goes_back_and_its_orders_are_noted(
    store: fakeredis.FakeStrictRedis, engines: Roster
) -> None:
    """Where nobody is left to hear the command, the engine is put back to be withdrawn, and cancelled after."""
    placed, _ = engines.place_once(SHORT)
    lease = start(store, placed)
    store.delete(Ownership(store, "w1").key(NAME))
    engines.ask_to_stop(engines.look()[0])
    assert [one.place for one in engines.look()] == [Place.WAITING]
    assert [(due.engine, due.token) for due in Cleanups(store, "workers").claim()] == [(NAME, lease.token)]


def test_engine_of_another_fleets_prefix_is_never_taken_for_abandoned(store: fakeredis.FakeStrictRedis) -> None:
    """A wrong WORKERS_PREFIX sees no owner of any engine; nothing may follow from that."""
    placed, _ = Roster(store).place_once(SHORT)
    start(store, placed)
    other = Roster(store, prefix="elsewhere")
    other.ask_to_stop(other.look()[0])
    assert [one.place for one in other.look()] == [Place.RUNNING]


def test_jobs_that_place_no_engine_are_none(store: fakeredis.FakeStrictRedis, engines: Roster) -> None:
    """Orders on the same queue, and records that cannot be read, are nobody's engine."""
    intent = {"epoch": 1, "client_id": "c1", "symbol": "EURUSD", "side": "BUY", "quantity": 1}
    queues.submit_order(store, intent)
    store.rpush("rq:queue:engines", "engine-broken-00000000", "engine-absent-00000000")
    store.hset("rq:job:engine-broken-00000000", "data", b"\xff")
    assert engines.look() == ()


def test_bad_engine_is_refused_and_a_silent_queue_is_an_error(engines: Roster) -> None:
    """Nothing is placed on a guess."""
    with pytest.raises(InvalidInput, match="symbol"):
        engines.place_once({"name": "x"})
    server = fakeredis.FakeServer()
    gone = Roster(fakeredis.FakeStrictRedis(server=server))
    server.connected = False
    with pytest.raises(redis.ConnectionError):
        gone.look()


def test_workers_that_serve_the_queue_are_counted(engines: Roster, make_worker: MakeWorker) -> None:
    """Only living ones, and only those that serve this queue."""
    assert engines.workers() == 0
    make_worker("w1")
    make_worker("w2", queues=("cleanup",))
    assert engines.workers() == 1
