"""Changes become jobs once for each webhook, jobs are tried again, and what never arrives is counted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from rq.job import JobStatus

from killswitch import Code, StoreUnavailable
from tests.support.receiver import Receiver
from tests.support.waiting import eventually
from tests.unit.workers.notices.pictures import change, outcome
from tests.unit.workers_rq.doubles import MakeWorker, Switch, step
from tests.unit.workers_rq.notices_rig import (
    Record,
    Store,
    another_turn,
    fetch,
    herald,
    let_no_time_pass,
    let_time_pass,
    make_job,
    waiting,
    worker_for,
)
from workers import queues
from workers.notices.herald import Herald
from workers.notices.outbox import Outbox
from workers.notices.planning import Place


def test_history_is_not_told_and_what_comes_next_is(store: Store) -> None:
    """A webhook that is new begins now."""
    record = Record(change(1), change(2))
    teller = herald(store, record)
    assert teller.round() == 0
    assert waiting(store) == []
    record.items += [change(3), outcome(3)]
    assert teller.round() == 2
    assert waiting(store) == ["notice-ops-1003-0", "notice-ops-1003-1"]
    assert teller.round() == 0


def test_many_workers_make_one_job_of_each_change(store: Store) -> None:
    """Whoever comes first takes it, whatever the others do at that moment; and each webhook has its own."""
    record = Record(change(1))
    tellers = [herald(store, record, "ops", "risk", worker=f"w{n}") for n in range(4)]
    tellers[0].round()
    record.items += [change(n) for n in range(2, 5)]
    barrier = threading.Barrier(4)

    def race(teller: Herald) -> None:
        barrier.wait()
        for _ in range(5):
            another_turn(store)
            teller.round()

    threads = [threading.Thread(target=race, args=(teller,)) for teller in tellers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(waiting(store)) == sorted(f"notice-{w}-100{n}-0" for w in ("ops", "risk") for n in range(2, 5))


def test_turn_is_kept_by_one_and_taken_over_when_it_is_not_heard_of(store: Store) -> None:
    """One worker asks the switch's Redis, not all of them."""
    record = Record()
    first, second = herald(store, record, worker="w1"), herald(store, record, worker="w2")
    first.round()
    looked = record.looked
    second.round()
    assert record.looked == looked
    first.round()
    assert record.looked == looked + 1
    another_turn(store)
    second.round()
    assert record.looked == looked + 2


def test_place_that_another_moved_is_not_moved_back(store: Store) -> None:
    """A worker that was paused in the middle makes no second job of the same change."""
    outbox = Outbox(store, "w1")
    assert outbox.commit("ops", None, Place("1-0"), [])
    before = outbox.place("ops")
    assert outbox.commit("ops", before, Place("2-0"), [])
    assert not outbox.commit("ops", before, Place("1-5"), [])
    assert Place.parse(outbox.place("ops")) == Place("2-0")


def test_switch_that_does_not_answer_loses_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What was not read is read later."""
    record = Record(change(1))
    teller = herald(store, record)
    teller.round()
    record.items.append(change(2))
    record.fails = StoreUnavailable(Code.NO_ANSWER, "silence")
    with pytest.raises(StoreUnavailable):
        teller.round()
    record.fails = None
    assert teller.round() == 1


def test_thread_survives_whatever_a_look_raises(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would notice that changes are not told any more."""
    monkeypatch.setattr("workers.notices.herald._EVERY_S", 0.01)
    record = Record(change(1))
    teller = herald(store, record)
    record.fails = RuntimeError("a bug")
    teller.start()
    eventually(lambda: record.looked >= 3, why="it looks again")
    record.fails = None
    eventually(lambda: Outbox(store, "x").place("ops"), why="it goes on")
    teller.stop()
    assert not teller._thread.is_alive()


def test_job_delivers_while_engaged(store: Store, make_worker: MakeWorker, switch: Switch) -> None:
    """The queue that it is on is served during a halt; it carries the webhook's name and no address."""
    switch.engage()
    with Receiver() as receiver:
        worker = worker_for(make_worker, receiver)
        job_id = make_job(store)
        assert b"T0KEN" not in str(store.hgetall(f"rq:job:{job_id}")).encode()
        assert step(worker) == job_id
        assert [(post.id, post.json["epoch"]) for post in receiver.posts] == [("1002-0", 2)]
    assert fetch(store, job_id).get_status() is JobStatus.FINISHED
    assert Outbox(store, "x").counts("ops") == {"delivered": 1}
    assert Outbox(store, "x").open_jobs("ops") == 0


def test_what_did_not_arrive_is_tried_again_with_growing_waits(
    store: Store, make_worker: MakeWorker, switch: Switch
) -> None:
    """By RQ's own Retry, without a scheduler; under the same id."""
    with Receiver(500, 429, 200) as receiver:
        worker = worker_for(make_worker, receiver)
        job_id = make_job(store)
        left = []
        for _ in range(2):
            assert step(worker) == job_id
            assert step(worker) is None, "its time has not come"
            left.append(fetch(store, job_id).retries_left)
            assert Outbox(store, "x").open_jobs("ops") == 1
            let_no_time_pass(store, job_id)
            worker._recovery.run()
            assert step(worker) is None
            let_time_pass(store, job_id)
            worker._recovery.run()
        assert step(worker) == job_id
        assert [post.id for post in receiver.posts] == ["1002-0"] * 3
    assert left == [len(queues.TRIES_AFTER_S) - 1, len(queues.TRIES_AFTER_S) - 2]
    assert Outbox(store, "x").counts("ops") == {"delivered": 1}


def test_tries_end_and_the_loss_is_logged_and_counted(
    store: Store, make_worker: MakeWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the last one the job has failed, and nothing is under way any more."""
    with Receiver(500) as receiver:
        worker = worker_for(make_worker, receiver)
        job_id = make_job(store)
        tries = 0
        while step(worker) is not None:
            tries += 1
            if store.zscore("rq:scheduled:cleanup", job_id) is not None:
                let_time_pass(store, job_id)
                worker._recovery.run()
    assert tries == len(queues.TRIES_AFTER_S) + 1
    assert fetch(store, job_id).get_status() is JobStatus.FAILED
    assert Outbox(store, "x").counts("ops") == {"undelivered": 1}
    assert Outbox(store, "x").open_jobs("ops") == 0
    said = capsys.readouterr().out
    assert said.count("notice_undelivered") == 1
    assert "T0KEN" not in said


def test_what_the_receiver_does_not_want_is_not_tried_again(store: Store, make_worker: MakeWorker) -> None:
    """A hook that was revoked is a loss at once."""
    with Receiver(410) as receiver:
        worker = worker_for(make_worker, receiver)
        job_id = make_job(store)
        assert step(worker) == job_id
        assert len(receiver.posts) == 1
    assert store.zcard("rq:scheduled:cleanup") == 0
    assert Outbox(store, "x").counts("ops") == {"undelivered": 1}


def test_worker_without_that_webhook_leaves_it_to_others(store: Store, make_worker: MakeWorker) -> None:
    """The address is the worker's own affair: where it is not known, the job is tried elsewhere."""
    job_id = make_job(store)
    assert step(make_worker("w1")) == job_id
    with Receiver() as receiver:
        let_time_pass(store, job_id)
        other = worker_for(make_worker, receiver, "w2")
        other._recovery.run()
        assert step(other) == job_id
        assert len(receiver.posts) == 1


@pytest.mark.parametrize(
    "document",
    [{}, {"webhook": "ops"}, {"webhook": "ops", "notice": {"id": "x\r\nA: b", "event": "test", "switch": "k"}}, []],
)
def test_job_of_another_form_is_refused(store: Store, make_worker: MakeWorker, document: Any) -> None:
    """Whoever writes into the queue makes no other request of it."""
    with Receiver() as receiver:
        worker = worker_for(make_worker, receiver)
        job = queues.open_queue(store, "cleanup").enqueue_call("workers.jobs.send_notice", args=(document,))
        assert step(worker) == job.id
        assert receiver.posts == []
    assert job.get_status() is JobStatus.FAILED


def test_cancelling_comes_before_telling(store: Store, make_worker: MakeWorker) -> None:
    """A receiver that is slow must not hold up the orders of a dead worker."""
    notice = make_job(store)
    cancel = queues.cancel_orders(store, {"engine": "e1"})
    assert waiting(store) == [cancel.id, notice]


def test_open_entries_whose_jobs_were_lost_go_by_themselves(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that somebody deleted must not silence a webhook for ever."""
    make_job(store)
    outbox = Outbox(store, "w1")
    assert outbox.open_jobs("ops") == 1
    store.zadd("workers:notices:open:ops", {"notice-ops-1002-0": 1})
    assert outbox.open_jobs("ops") == 0


def test_flood_makes_few_jobs_and_tells_the_newest(store: Store) -> None:
    """An attacker who flaps the switch fills neither the queue nor anybody's screen."""
    record = Record(change(1))
    teller = herald(store, record)
    teller.round()
    for n in range(2, 2002):
        record.items.append(change(n))
        record.at_ms += 10
        if n % 100 == 0:
            teller.round()
    record.at_ms += 5_000
    teller.round()
    jobs = [fetch(store, name) for name in waiting(store)]
    assert len(jobs) <= 6
    last = jobs[-1].args[0]["notice"]
    assert (last["event"], last["parts"][-1]["epoch"]) == ("several", 2001)
    assert sum(job.args[0]["notice"]["count"] for job in jobs) == 2000


def test_two_that_look_for_due_retries_put_each_back_once(store: Store, make_worker: MakeWorker) -> None:
    """Every worker looks."""
    workers = [make_worker(f"w{n}") for n in range(2)]
    job_id = make_job(store)
    step(workers[0])
    let_time_pass(store, job_id)
    for worker in workers:
        worker._recovery.run()
    assert waiting(store) == [job_id]
    store.zadd("rq:scheduled:cleanup", {"deleted-meanwhile": 0})
    workers[0]._recovery.run()
    assert waiting(store) == [job_id]
    assert store.zcard("rq:scheduled:cleanup") == 0
