"""An order decided before a halt is never sent after it, and the sender is told why."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest
from rq.job import JobStatus

from killswitch import Code, InvalidInput
from tests.unit.workers_rq.doubles import MakeWorker, Switch, step
from workers import queues


def order(epoch: int, client_id: str = "c-1") -> dict[str, Any]:
    """An intent made under `epoch`."""
    return {
        "account": "desk",
        "epoch": epoch,
        "client_id": client_id,
        "symbol": "EURUSD",
        "side": "BUY",
        "quantity": 10,
        "limit": 1.3,
    }


def test_intent_from_before_a_halt_is_refused_as_stale(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """It waits out the halt in its queue, and the reset that lets it run has made it stale."""
    job = queues.submit_order(store, order(switch.epoch))
    worker = make_worker()
    switch.engage()
    assert step(worker) is None
    switch.reset()
    step(worker)
    assert job.get_status() is JobStatus.FINISHED
    answer = job.return_value()
    assert answer is not None
    assert (answer["accepted"], answer["code"]) == (False, str(Code.STALE_SIGNAL))
    assert (answer["made_under"], answer["in_force"]) == (1, 3)


def test_intent_of_this_epoch_is_sent_and_can_be_cancelled(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """The order reaches the venue with its epoch as token, and a cleanup job withdraws it, engaged or not."""
    sent = queues.submit_order(store, order(switch.epoch, "c-2"))
    worker = make_worker()
    step(worker)
    answer = sent.return_value()
    assert answer is not None
    assert (answer["accepted"], answer["token"]) == (True, 1)
    switch.engage()
    cancel = queues.cancel_orders(store, {"engine": "desk"})
    step(worker)
    assert cancel.return_value() == {"engine": "desk", "cancelled": 1}


def test_intent_of_an_epoch_that_was_never_seen_is_refused(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """An epoch from the future is no permission either."""
    job = queues.submit_order(store, order(switch.epoch + 5, "c-3"))
    step(make_worker())
    answer = job.return_value()
    assert answer is not None
    assert (answer["accepted"], answer["code"]) == (False, str(Code.STALE_SIGNAL))


def test_order_sent_twice_is_refused_by_the_venue(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, switch: Switch
) -> None:
    """The refusal of the venue is an answer, not a failed job that somebody might run again."""
    worker = make_worker()
    queues.submit_order(store, order(switch.epoch, "c-4"))
    again = queues.submit_order(store, order(switch.epoch, "c-4"))
    step(worker)
    step(worker)
    answer = again.return_value()
    assert answer is not None
    assert (answer["accepted"], answer["code"]) == (False, "DuplicateOrder")


@pytest.mark.parametrize(
    ("change", "word"),
    [({"epoch": 0}, "epoch"), ({"side": "HOLD"}, "side"), ({"quantity": -1}, "quantity"), ({"extra": 1}, "extra")],
)
def test_wrong_intent_is_the_callers_error(store: fakeredis.FakeStrictRedis, change: dict[str, Any], word: str) -> None:
    """Nothing is enqueued that could only fail."""
    with pytest.raises(InvalidInput, match=word):
        queues.submit_order(store, {**order(1), **change})
    assert queues.open_queue(store).count == 0
