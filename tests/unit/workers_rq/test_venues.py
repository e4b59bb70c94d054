"""A worker whose orders go to a venue of another process: it says where before it sends, and leaves nothing there."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException

from tests.support.venue import VenueLine
from tests.unit.workers_rq.doubles import SHORT, AgentDouble, MakeWorker, Switch, step
from tests.unit.workers_rq.test_intents import order
from workers import queues, wiring
from workers.broker import BrokerError, GuardedBroker, UnknownOutcome
from workers.cleanups import Cleanups
from workers.domain import Order, Side
from workers.runtime import StopReason
from workers.venue import RunningVenue, VenueBroker, running

BID = Order("left-1", "EURUSD", Side.BUY, 10, 0.5, reduces=False)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    """A venue that outlives the workers."""
    with running(f"unix://{tmp_path}/v.sock") as found:
        yield found


def open_ids(venue: RunningVenue, session: str = "e1") -> list[str]:
    """Ids of the orders that work at the venue."""
    with VenueLine(venue.url) as line:
        return [found["client_id"] for found in line.ask("open_orders", session)["orders"]]


def sinks(agent: AgentDouble) -> str:
    """Where this agent says that its orders go."""
    return str(agent.info.get("sinks", ""))


def test_where_orders_go_is_said_before_the_first_permission(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """P6: a fence is only a proof when no order goes anywhere else, so the entry names the session from its first beat
    on; and it names none while the worker is idle or its venue ends with it."""
    said: list[str] = []
    start = AgentDouble.start

    def started(agent: AgentDouble) -> AgentDouble:
        said.append(sinks(agent))
        return start(agent)

    monkeypatch.setattr(AgentDouble, "start", started)
    queues.place_engine(store, SHORT)
    step(make_worker("w1", venue_url=venue.url, venue_name="lse"))
    assert said == ["", "lse/e1", ""]
    said.clear()
    queues.place_engine(store, {**SHORT, "name": "e2"})
    step(make_worker("w2"))
    assert said == ["", "", ""]


def test_submitted_orders_name_their_account_and_swap_the_agent_once(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch
) -> None:
    """The idle agent is replaced by one whose entry names the account, before the order goes; the next order of the
    same account finds it so."""
    worker = make_worker("w1", venue_url=venue.url)
    jobs = [queues.submit_order(store, order(1, f"c-{n}")) for n in range(2)]
    for _ in jobs:
        step(worker)
    assert [job.return_value()["accepted"] for job in jobs] == [True, True]  # type: ignore[index]
    assert [sinks(agent) for agent in switch.made] == ["", "venue/desk"]
    assert open_ids(venue, "desk") == ["c-0", "c-1"]


@pytest.mark.parametrize(("arrives", "accepted"), [(True, True), (False, False)])
def test_submitted_order_without_an_answer_is_settled(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch,
    monkeypatch: pytest.MonkeyPatch, arrives: bool, accepted: bool,
) -> None:  # fmt: skip
    """The venue makes sure that nothing more comes of it, and the result tells whether it had been taken; the permit
    is returned."""
    submit = VenueBroker.submit

    def lost(broker: VenueBroker, wanted: Order, token: int) -> None:
        if arrives:
            submit(broker, wanted, token)
        raise UnknownOutcome(wanted.client_id, "no answer")

    monkeypatch.setattr(VenueBroker, "submit", lost)
    job = queues.submit_order(store, order(1, "c-1"))
    step(make_worker("w1", venue_url=venue.url))
    answer = job.return_value()
    assert answer is not None
    assert (answer["accepted"], answer["code"]) == (accepted, "UnknownOutcome")
    assert open_ids(venue, "desk") == []
    assert [agent.in_flight for agent in switch.made] == [0, 0]


def test_order_of_unknown_fate_keeps_the_agent_and_its_entry(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """P7: where the venue says nothing at all the order stays in flight, "accepted" is unknown, and nothing else is
    started until the venue has said what became of it."""
    monkeypatch.setattr("workers.jobs._LAST_PAUSE_S", 0.0)

    def silent(_broker: VenueBroker, wanted: Order, token: int) -> None:
        raise UnknownOutcome(wanted.client_id, "no answer")

    def unsaid(_broker: GuardedBroker) -> None:
        raise BrokerError("", "no answer")

    worker = make_worker("w1", venue_url=venue.url)
    first, second = (queues.submit_order(store, {**order(1, "c-1"), "account": name}) for name in ("desk", "other"))
    with monkeypatch.context() as away:
        away.setattr(VenueBroker, "submit", silent)
        away.setattr(GuardedBroker, "settle", unsaid)
        step(worker)
        gc.collect()  # the job is over, and nobody but the worker remembers what it sent with
        worker.venues.settle()
        assert step(worker) is None
    answer = first.return_value()
    assert answer is not None
    assert answer["accepted"] is None
    assert [(sinks(agent), agent.in_flight) for agent in switch.made] == [("", 0), ("venue/desk", 1)]
    worker.venues.settle()
    assert step(worker) == second.id
    assert [agent.in_flight for agent in switch.made] == [0, 0, 0]


@pytest.mark.parametrize("cut", [JobTimeoutException("time limit"), RuntimeError("bug"), KeyboardInterrupt()])
def test_submitted_order_whose_job_is_cut_short_stays_in_flight_until_it_is_settled(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, switch: Switch,
    monkeypatch: pytest.MonkeyPatch, cut: BaseException,
) -> None:  # fmt: skip
    """P7: the job failed after the order left: the venue is asked at once to withdraw it; while it says nothing the
    order counts as in flight, and nothing gated is started."""
    monkeypatch.setattr("workers.jobs._LAST_PAUSE_S", 0.0)
    submit = VenueBroker.submit

    def interrupted(broker: VenueBroker, wanted: Order, token: int) -> None:
        submit(broker, wanted, token)
        raise cut

    def unsaid(_broker: GuardedBroker) -> None:
        raise BrokerError("", "no answer")

    worker = make_worker("w1", venue_url=venue.url)
    first, second, third = (
        queues.submit_order(store, {**order(1, name), "account": name}) for name in ("desk", "other", "third")
    )
    with monkeypatch.context() as patch:
        patch.setattr(VenueBroker, "submit", interrupted)
        patch.setattr(GuardedBroker, "settle", unsaid)
        step(worker)
    assert first.get_status() is JobStatus.FAILED
    gc.collect()
    assert [(sinks(agent), agent.in_flight) for agent in switch.made] == [("", 0), ("venue/desk", 1)]
    assert step(worker) is None
    worker.venues.settle()
    with monkeypatch.context() as patch:
        patch.setattr(VenueBroker, "submit", interrupted)
        step(worker)
    assert second.get_status() is JobStatus.FAILED
    assert (open_ids(venue, "desk"), open_ids(venue, "other")) == ([], [])
    assert [agent.in_flight for agent in switch.made] == [0, 0, 0]
    assert step(worker) == third.id


def test_engine_that_cannot_even_ask_for_its_cancels_leaves_a_note(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the way of the cancels is no reason to forget the orders."""
    monkeypatch.setattr("workers.jobs._LAST_PAUSE_S", 0.0)

    def broken(_broker: GuardedBroker) -> int:
        raise RuntimeError("bug")

    monkeypatch.setattr(GuardedBroker, "cancel_all", broken)
    job = queues.place_engine(store, SHORT)
    step(make_worker("w1"))
    assert job.get_status() is JobStatus.FAILED
    assert store.hget(Cleanups(store).key("e1"), "token") == store.hget("workers:tokens", "e1")


def test_drained_engine_cancels_its_orders_at_the_venue(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that ends in order leaves nothing working, and no note."""
    worker = make_worker("w1", venue_url=venue.url)
    build = wiring.build_engine

    def stopped(*args: Any, **values: Any) -> object:
        engine = build(*args, **values)
        values["broker"]._broker.submit(BID, 1)
        assert open_ids(venue) == ["left-1"]
        worker._claimed.runtime.stop(StopReason.DRAIN)  # type: ignore[union-attr]
        return engine

    monkeypatch.setattr(wiring, "build_engine", stopped)
    queues.place_engine(store, SHORT)
    step(worker)
    assert open_ids(venue) == []
    assert store.keys("workers:cleanup*") == []


def test_queue_that_is_away_at_the_end_does_not_hide_the_trouble(
    store: fakeredis.FakeStrictRedis, make_worker: MakeWorker, venue: RunningVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note cannot be written; the engine's own outcome is still recorded."""
    monkeypatch.setattr("workers.jobs._LAST_PAUSE_S", 0.0)

    def away(*_: object) -> None:
        raise redis.ConnectionError("away")

    def down(_broker: GuardedBroker) -> int:
        raise BrokerError("", "down")

    monkeypatch.setattr(Cleanups, "add", away)
    monkeypatch.setattr(GuardedBroker, "cancel_all", down)
    job = queues.place_engine(store, SHORT)
    step(make_worker("w1", venue_url=venue.url))
    assert job.get_status() is JobStatus.FINISHED
