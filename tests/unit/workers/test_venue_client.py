"""A venue of another process as a broker: nothing is sent twice, nothing is lost, a venue that is away is no end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from killswitch import clock
from tests.support.venue import VenueLine
from tests.support.waiting import eventually
from tests.unit.workers.doubles import ScriptedGate, ticks_at
from tests.unit.workers.mute_venue import Mute, fine
from workers.broker import (
    Broker,
    BrokerError,
    DuplicateOrder,
    GuardedBroker,
    PaperBroker,
    StaleOwner,
    StaleToken,
    UnknownOutcome,
)
from workers.domain import Order, Side
from workers.venue import RunningVenue, VenueBroker, client, running

LONG_S = 20.0

HIGH, LOW = ticks_at(1.2)[0], ticks_at(0.8)[0]


def bid(client_id: str, limit: float | None = 1.0, quantity: int = 10) -> Order:
    """An order that works until the market falls to it."""
    return Order(client_id, "EURUSD", Side.BUY, quantity, limit, reduces=False)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that answers late, because the machine is busy, is not taken for one that is away."""
    monkeypatch.setattr(client, "_ASIDE_S", LONG_S)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the venue of a test listens."""
    return f"unix://{tmp_path}/v.sock"


@pytest.fixture
def venue(url: str) -> Iterator[RunningVenue]:
    """A running venue."""
    with running(url) as found:
        yield found


@pytest.fixture
def broker(venue: RunningVenue) -> Iterator[VenueBroker]:
    """A client of it."""
    found = VenueBroker(venue.url, "e1", owner=5, worker="w1", timeout_s=LONG_S)
    yield found
    found.close()


def test_venue_far_away_trades_as_the_one_in_here_does(broker: VenueBroker) -> None:
    """The same orders against the same quotes: same fills, same positions, same working orders, call for call."""
    here: Broker = PaperBroker()
    there: Broker = broker
    exits = Order("x", "EURUSD", Side.SELL, 25, 1.1, reduces=True)
    for step, tick in enumerate(ticks_at(1.2, 1.2, 0.8, 0.9, 1.3, 1.3, 0.7)):
        assert list(there.on_tick(tick)) == list(here.on_tick(tick))
        assert there.position("EURUSD") == here.position("EURUSD")
        if step == 0:
            for each in (here, there):
                each.submit(bid("a"), 1)
                each.submit(bid("b", limit=0.1), 1)
        if step == 3:
            for each in (here, there):
                each.submit(exits, 1)
        if step == 5:
            assert (there.cancel("b"), there.cancel("b")) == (here.cancel("b"), here.cancel("b")) == (True, False)
        assert there.open_orders() == here.open_orders()
    assert there.positions()["EURUSD"] == here.positions()["EURUSD"]
    assert there.position("EURUSD").realised != 0.0


def test_quotes_cost_nothing_while_nothing_works(broker: VenueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue is asked only while it has something to fill."""
    asked: list[str] = []
    ask = VenueBroker._ask

    def noted(self: VenueBroker, what: str, about: str, /, **values: Any) -> Any:
        asked.append(what)
        return ask(self, what, about, **values)

    monkeypatch.setattr(VenueBroker, "_ask", noted)
    for _ in range(10):
        broker.on_tick(HIGH)
    first = list(asked)
    broker.submit(bid("a"), 1)
    broker.on_tick(HIGH)
    broker.on_tick(LOW)
    broker.on_tick(LOW)
    assert first == ["cancel_all", "status"]
    assert asked[2:] == ["submit", "on_tick", "on_tick"]


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda line: line.ask("raise_fence", epoch=9), StaleToken),
        (lambda line: line.order("a", owner=5), DuplicateOrder),
        (lambda line: line.order("z", owner=6), StaleOwner),
    ],
)
def test_refusal_of_the_venue_is_its_own_error(
    broker: VenueBroker, venue: RunningVenue, prepare: Callable[[VenueLine], Any], error: type[BrokerError]
) -> None:
    """Typed as at the venue in here, with the client id."""
    broker.refresh()
    with VenueLine(venue.url) as line:
        prepare(line)
    with pytest.raises(error) as caught:
        broker.submit(bid("a"), 3)
    assert caught.value.order_id == "a"
    assert broker.open_orders() == ()


NO_ANSWERS: dict[str, Callable[[dict[str, Any]], bytes | None]] = {
    "silence": lambda q: b"",
    "the end": lambda q: None,
    "half a line": lambda q: b'{"id": 1, "ok"',
    "another's answer": lambda q: b'{"id": 999, "ok": true}\n',
    "no JSON": lambda q: b"hello\n",
    "a list": lambda q: b"[]\n",
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_order_without_an_answer_is_unknown_and_sent_once(tmp_path: Path, kind: str) -> None:
    """It says that nobody knows; it is not repeated; what became of it can be asked."""
    bad = NO_ANSWERS[kind]
    mute = Mute(f"{tmp_path}/v.sock", lambda q: bad(q) if q["do"] == "submit" else fine(q))
    broker = VenueBroker(f"unix://{tmp_path}/v.sock", "e1", timeout_s=LONG_S)
    try:
        assert broker.refresh()
        broker._limit_s = 0.2  # of the one answer that does not come
        with pytest.raises(UnknownOutcome, match=r"unknown|something else") as caught:
            broker.submit(bid("a"), 1)
        assert caught.value.order_id == "a"
        broker._limit_s = LONG_S
        eventually(lambda: len(mute.heard) > 1, why="the venue has heard the order")
        assert [question["do"] for question in mute.heard] == ["status", "submit"]
        assert broker.known("a") is False
    finally:
        broker.close()
        mute.close()


def test_order_decided_on_an_old_picture_is_not_sent(broker: VenueBroker, venue: RunningVenue) -> None:
    """A fill that was missed changes what is held: the next order is refused before it leaves, the one after goes."""
    broker.submit(bid("a"), 1)
    broker.close()
    with VenueLine(venue.url) as line:
        line.ask("on_tick", symbol="EURUSD", time_ns=1, bid=0.8, ask=0.9, owner=5)
    with pytest.raises(BrokerError, match="nothing was sent") as caught:
        broker.submit(bid("b"), 1)
    assert not isinstance(caught.value, UnknownOutcome)
    assert [fill.client_id for fill in broker.on_tick(HIGH)] == ["a"]
    assert broker.position("EURUSD").quantity == 10
    broker.submit(bid("c"), 1)
    assert [order.client_id for order in broker.open_orders()] == ["c"]


def test_venue_that_is_away_ends_nothing_and_everything_is_made_up_for(url: str, tmp_path: Path) -> None:
    """Quotes, looks and fences go on without it; orders and cancels say that nothing was sent; when it is back the
    fence goes out before the next order."""
    broker = VenueBroker(url, "e1", owner=5, timeout_s=LONG_S)
    events = tmp_path / "events.jsonl"
    with running(url, events=events):
        broker.on_tick(HIGH)
        broker.submit(bid("a"), 1)
    broker.raise_fence(3)
    assert not broker.on_tick(HIGH)
    assert [order.client_id for order in broker.open_orders()] == ["a"]
    for attempt in (lambda: broker.submit(bid("b"), 3), broker.cancel_all, lambda: broker.cancel("a")):
        with pytest.raises(BrokerError, match="nothing was sent"):
            attempt()
    with running(url, events=events) as venue:
        with pytest.raises(BrokerError, match="has changed since"):  # its working order ended with the venue
            broker.submit(bid("c"), 3)
        broker.submit(bid("d"), 3)
        with VenueLine(venue.url) as line:
            assert line.ask("status")["fence"] == 3
    broker.close()


def test_venue_that_is_away_costs_a_trading_loop_little_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one question without an answer, quotes leave the venue alone for a while."""
    mute = Mute(f"{tmp_path}/v.sock", lambda q: b"")
    monkeypatch.setattr(client, "_ASIDE_S", 0.2)
    broker = VenueBroker(f"unix://{tmp_path}/v.sock", "e1")
    try:
        began = clock.now_ns()
        while clock.now_ns() - began < 500_000_000:
            broker.on_tick(HIGH)
        eventually(lambda: mute.heard, why="the venue was asked")
        assert len(mute.heard) <= 3
    finally:
        broker.close()
        mute.close()


def test_new_owner_takes_over_and_the_old_one_can_do_no_harm(venue: RunningVenue) -> None:
    """The first word of the successor cancels what was left, and refuses what still comes; the former owner neither
    sends, nor withdraws its successor's orders, nor moves the market, whatever it believes."""
    former, heir = (VenueBroker(venue.url, "e1", owner=owner, timeout_s=LONG_S) for owner in (5, 6))
    former.on_tick(HIGH)
    former.submit(bid("a"), 1)
    heir.on_tick(HIGH)
    heir.submit(bid("b"), 1)
    for _ in range(2):
        assert not former.on_tick(LOW)
        with pytest.raises(StaleOwner):
            former.submit(bid("late"), 1)
    assert former.cancel_all() == 0
    assert not former.cancel("b")
    with VenueLine(venue.url) as line:
        assert [order["client_id"] for order in line.ask("open_orders")["orders"]] == ["b"]
    assert [fill.client_id for fill in heir.on_tick(LOW)] == ["b"]
    for each in (former, heir):
        each.close()


def test_orders_withdrawn_by_others_are_no_longer_held_for_working(broker: VenueBroker, venue: RunningVenue) -> None:
    """What a cleanup or an operator cancelled is seen with the next quote."""
    broker.submit(bid("a"), 1)
    with VenueLine(venue.url) as line:
        line.ask("cancel_all")
    broker.on_tick(HIGH)
    assert broker.open_orders() == ()


def test_order_of_unknown_fate_stays_in_flight_until_the_venue_has_voided_it(
    broker: VenueBroker, venue: RunningVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a permit whose order may still arrive is not returned; once it can arrive no more, it is."""
    gate = ScriptedGate()
    guard = GuardedBroker(broker, gate, lambda: True)
    broker.refresh()
    monkeypatch.setattr(VenueBroker, "_line", lambda *_: (_ for _ in ()).throw(TimeoutError()))
    with pytest.raises(UnknownOutcome):
        guard.send(bid("a"), 1)
    assert (gate.in_flight, guard.unsettled) == (1, ("a",))
    guard.on_tick(HIGH)
    with pytest.raises(BrokerError):
        guard.cancel_all()
    assert gate.in_flight == 1
    monkeypatch.undo()
    guard._next_settle_ns = 0
    guard.on_tick(HIGH)
    assert (gate.in_flight, guard.unsettled) == (0, ())
    with VenueLine(venue.url) as line:
        assert line.order("a", owner=5)["error"] == "DuplicateOrder"
        assert line.ask("open_orders")["orders"] == []


def test_order_that_is_cut_short_after_its_bytes_left_stays_in_flight_until_it_is_voided(
    broker: VenueBroker, venue: RunningVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a time limit between the bytes and the answer; the answer that comes too late is taken for no other one."""
    gate = ScriptedGate()
    guard = GuardedBroker(broker, gate, lambda: True)
    broker.refresh()
    monkeypatch.setattr(VenueBroker, "_line", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        guard.send(bid("a"), 1)
    assert (gate.in_flight, guard.unsettled) == (1, ("a",))
    monkeypatch.undo()
    assert guard.cancel_all() == 0
    assert (gate.in_flight, guard.unsettled) == (0, ())
    with VenueLine(venue.url) as line:
        assert line.order("a", owner=5)["error"] == "DuplicateOrder"
        assert line.ask("open_orders")["orders"] == []
