"""Engine workers that die or sleep with orders on their way, and those that take over from them."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from killswitch import Verdict, clock
from tests.faults.conftest import make_world
from tests.faults.engines import Engine
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.trader import PATIENCE_S
from tests.faults.world import World
from tests.history.events import Event
from tests.support.switch import STATE
from tests.support.venue import VenueLine
from tests.support.waiting import eventually
from workers import queues

_OWNED_MS = "900"
_OWNED_LONG_MS = "3000"  # where nobody may lose an engine because the machine is busy
_WAIT_S = 3.0
_HANGS_NS = 800_000_000  # less than the engine waits for an answer


@contextmanager
def _one_engine(owned_ms: str) -> Iterator[World]:
    with make_world("redis") as world:
        world.engine(WORKERS_OWNERSHIP_MS=owned_ms).opens()
        yield world


@pytest.fixture
def manned() -> Iterator[World]:
    """One engine that trades on recorded ticks, at a venue of its own process."""
    with _one_engine(_OWNED_LONG_MS) as world:
        yield world


@pytest.fixture
def briefly_manned() -> Iterator[World]:
    """The same, with an engine that is taken over soon."""
    with _one_engine(_OWNED_MS) as world:
        yield world


def _arrived(world: World, engine: Engine) -> list[Event]:
    return [e for e in world.arrivals.read() if e["kind"] == "arrive" and e["session"] == engine.name]


def _working(world: World, engine: Engine) -> list[str]:
    with VenueLine(world.venue_url) as line:
        return [order["client_id"] for order in line.ask("open_orders", engine.name)["orders"]]


def _orders(world: World, engine: Engine) -> tuple[str, ...]:
    """What its row tells of orders on their way."""
    return next((m.orders for m in world.control.status().members if m.worker_id == engine.worker_id), ())


def _trades(world: World, engine: Engine, more: int = 3) -> None:
    wanted = len(_arrived(world, engine)) + more
    eventually(lambda: len(_arrived(world, engine)) >= wanted, timeout_s=PATIENCE_S, why=f"{engine.name} trades")


def _order_hangs(world: World, engine: Engine) -> str:
    """Stops the venue just before an order comes to it; the order's id, once the worker has told of it."""
    assert world.venue is not None
    for _ in range(40):
        # An engine withdraws its working order before it sends another, and would hang there instead.
        eventually(lambda: not _working(world, engine), timeout_s=PATIENCE_S, why="the book is empty")
        world.venue.send(signal.SIGSTOP)
        end = clock.now_ns() + _HANGS_NS
        while clock.now_ns() < end:
            if orders := _orders(world, engine):
                return str(orders[0])
            clock.sleep(0.02)
        world.venue.send(signal.SIGCONT)
    raise AssertionError("no order came to the venue while it was stopped")


@prop("P6", "P7", "P11", "S1", "S3", "S16", "L2")
def test_a_worker_killed_with_an_order_on_its_way_is_named_fenced_and_cleaned_up_after(briefly_manned: World) -> None:
    """kill -9 while the venue holds an order of it: the operator hears its id and no false word, the fence ends its
    chance, another worker cancels what it left, and after a permission the engine goes on there."""
    engine = briefly_manned.engines[0]
    assert briefly_manned.venue is not None
    order = _order_hangs(briefly_manned, engine)
    engine.worker.child.send(signal.SIGKILL)
    engine.worker.child.wait()
    killed_ns = clock.now_ns()
    spare = briefly_manned.worker(engine.name, WORKERS_OWNERSHIP_MS=_OWNED_MS)

    first = briefly_manned.engage(wait_s=_WAIT_S)
    assert first.verdict is Verdict.UNCERTAIN  # the venue does not answer, so nothing is fenced
    assert [(m.worker_id, m.in_flight, m.orders) for m in first.pending if m.in_flight] == [
        (engine.worker_id, 1, (order,))
    ]
    briefly_manned.venue.send(signal.SIGCONT)
    again = briefly_manned.engage(wait_s=PATIENCE_S)
    assert again.verdict is Verdict.FENCED, again
    assert [member.worker_id for member in again.pending] == [engine.worker_id]
    said_ns = clock.now_ns()

    spare.saw("orders_cancelled", engine=engine.name)
    cleaned_ns = clock.now_ns()
    assert _working(briefly_manned, engine) == []
    sound(briefly_manned)
    briefly_manned.raw("FCALL", "ks_leave", 1, STATE, engine.worker_id)
    permitted_ns = briefly_manned.permit()
    before = len(_arrived(briefly_manned, engine))
    _trades(briefly_manned, engine)
    later = _arrived(briefly_manned, engine)[before:]
    assert {event["worker"] for event in later if event["accepted"]} == {spare.name}
    row(
        briefly_manned,
        "engine worker killed with an order on its way",
        "P6 P7 S1 S16 L2",
        sends_after=sum(e["accepted"] and e["t"] > said_ns and e["worker"] == engine.worker_id for e in later),
        recovered_ns=int(later[0]["t"]) - permitted_ns,
        note=f"UNCERTAIN naming {order.rpartition('.')[0]}.*, FENCED {again.waited_ms:.0f} ms after the next engage; "
        f"its orders cancelled {(cleaned_ns - killed_ns) / 1e6:.0f} ms after its death",
    )


@prop("P3", "P7", "S1", "L4")
def test_a_worker_that_slept_through_its_replacement_sends_nothing_when_it_wakes(manned: World) -> None:
    """Stopped for longer than it owns its engine: another trades in its place, and of what the sleeper still sends the
    venue accepts nothing."""
    engine = manned.engines[0]
    _trades(manned, engine)
    os.kill(engine.worker.child.pid, signal.SIGSTOP)
    stopped_ns = clock.now_ns()
    spare = manned.worker(engine.name, WORKERS_OWNERSHIP_MS=_OWNED_LONG_MS)
    eventually(
        lambda: any(event["worker"] == spare.name for event in _arrived(manned, engine)),
        timeout_s=PATIENCE_S,
        why="the other one trades",
    )
    taken_ns = next(event["t"] for event in _arrived(manned, engine) if event["worker"] == spare.name)
    os.kill(engine.worker.child.pid, signal.SIGCONT)
    engine.worker.saw("engine_end")
    _trades(manned, engine)
    late = [e for e in _arrived(manned, engine) if e["worker"] == engine.worker_id and e["t"] > taken_ns]
    assert not any(event["accepted"] for event in late)
    row(
        manned,
        "engine worker asleep through its replacement",
        "P3 P7 S1",
        sends_after=sum(event["accepted"] for event in late),
        recovered_ns=int(taken_ns) - stopped_ns,
        note=f"{len(late)} orders of the sleeper arrived after it was replaced, none accepted",
    )
    sound(manned)


@prop("P6", "P7", "S1", "S8")
def test_an_order_whose_fate_nobody_knows_keeps_everybody_from_saying_quiet(manned: World) -> None:
    """The venue froze while a job's order was on its way: the job is over, the order is not. It is named until the
    venue has said what became of it, and what comes out of the ice is no surprise to anybody."""
    assert manned.queue is not None
    assert manned.venue is not None
    sender = manned.worker("orders").name
    client, epoch = manned.queue.client(), manned.control.status().epoch
    order = {"account": "desk", "epoch": epoch, "symbol": "EURUSD", "side": "BUY", "quantity": 10}

    ids = map("c-{}".format, itertools.count(1))

    def sent(accepted: bool | None) -> str:
        """The id of an order of which this is known; a gate that lapsed, or a late venue, calls for another."""
        client_id = next(ids)
        job = queues.submit_order(client, {**order, "client_id": client_id}, queue="orders")
        result = eventually(lambda: job.latest_result(), timeout_s=PATIENCE_S, why=f"{client_id} has an answer")
        assert result is not None
        return client_id if dict(result.return_value or {}).get("accepted", "?") is accepted else ""

    eventually(lambda: sent(True), timeout_s=PATIENCE_S, why="an order is accepted")
    manned.venue.send(signal.SIGSTOP)
    hangs = eventually(lambda: sent(None), timeout_s=PATIENCE_S, why="the fate of an order is unknown")
    outcome = manned.engage(wait_s=_WAIT_S)
    assert outcome.verdict is Verdict.UNCERTAIN, outcome
    assert hangs in [order for member in outcome.pending if member.worker_id == sender for order in member.orders]
    manned.venue.send(signal.SIGCONT)
    again = manned.engage(wait_s=PATIENCE_S)
    assert again.verdict in (Verdict.QUIET, Verdict.FENCED), again
    last = manned.engage(wait_s=PATIENCE_S)
    assert last.verdict is Verdict.QUIET, last
    row(
        manned,
        "venue frozen with the order of a job on its way",
        "P6 P7 S1 S8",
        note=f"UNCERTAIN naming {hangs}, then {again.verdict} after {again.waited_ms:.0f} ms, then QUIET",
    )
    sound(manned)


@prop("P3", "S9", "L4")
def test_an_engine_whose_queue_froze_stops_trading_with_its_ownership_and_comes_back(briefly_manned: World) -> None:
    """Who cannot renew the right to run an engine cannot know whether another runs it: it stops within the life of
    that right, though the switch says SAFE, and the engine is started again when the queue is back."""
    engine = briefly_manned.engines[0]
    assert briefly_manned.queue is not None
    _trades(briefly_manned, engine)
    briefly_manned.queue.sigstop()
    frozen_ns = clock.now_ns()
    bound_ns = frozen_ns + int(_OWNED_MS) * clock.NS_PER_MS
    engine.worker.saw("engine_end")
    briefly_manned.queue.sigcont()
    healed_ns = clock.now_ns()
    orders = [line for line in engine.events.read() if line["event"] == "order"]
    last_ns = max(order["check_ns"] for order in orders if order["check_ns"] < healed_ns)
    assert last_ns <= bound_ns
    _trades(briefly_manned, engine)
    again_ns = next(e["t"] for e in _arrived(briefly_manned, engine) if e["t"] > healed_ns)
    row(
        briefly_manned,
        "server of the queue frozen",
        "P3 S9",
        closed_ns=last_ns - frozen_ns,
        bound_ns=bound_ns - frozen_ns,
        recovered_ns=int(again_ns) - healed_ns,
        note="bound: the life of the ownership of an engine",
    )
    sound(briefly_manned)
