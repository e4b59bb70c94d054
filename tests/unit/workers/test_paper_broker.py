"""The paper venue: when orders fill and at what price, what it refuses, and that its books balance."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.workers.doubles import ticks_at
from workers.broker import Broker, DuplicateOrder, PaperBroker, StaleToken
from workers.domain import Fill, Order, Position, Side, Tick


def quote(bid: float, ask: float, symbol: str = "EURUSD") -> Tick:
    """A tick with these prices."""
    return ticks_at(1.0, symbol=symbol)[0]._replace(bid=bid, ask=ask)


def order(
    client_id: str, side: Side, quantity: int, limit: float | None, *, symbol: str = "EURUSD", reduces: bool = False
) -> Order:
    """An order, most often for EURUSD."""
    return Order(client_id, symbol, side, quantity, limit, reduces)


def test_it_is_a_broker() -> None:
    """It has everything that the protocol asks for."""
    broker: Broker = PaperBroker()
    assert broker.cancel_all() == 0


@pytest.mark.parametrize(
    ("side", "limit", "tick", "price"),
    [
        (Side.BUY, 1.10, quote(1.09, 1.10), 1.10),
        (Side.BUY, 1.10, quote(1.05, 1.06), 1.10),
        (Side.BUY, 1.10, quote(1.10, 1.11), None),
        (Side.SELL, 1.10, quote(1.10, 1.11), 1.10),
        (Side.SELL, 1.10, quote(1.20, 1.21), 1.10),
        (Side.SELL, 1.10, quote(1.09, 1.10), None),
        (Side.BUY, None, quote(1.10, 1.11), 1.11),
        (Side.SELL, None, quote(1.10, 1.11), 1.10),
        (Side.BUY, 1.10, quote(1.0, 1.0, symbol="XAUUSD"), None),
    ],
)
def test_an_order_fills_when_the_far_side_reaches_it(
    side: Side, limit: float | None, tick: Tick, price: float | None
) -> None:
    """A limit fills at its limit and never better, a market order at the touch, neither on another symbol's tick."""
    broker = PaperBroker()
    broker.submit(order("a", side, 10, limit), token=1)
    expected = [] if price is None else [Fill("a", "EURUSD", side, 10, price, tick.time_ns)]
    assert list(broker.on_tick(tick)) == expected
    assert len(broker.open_orders()) == (1 if price is None else 0)


def test_a_fill_happens_once() -> None:
    """A filled order is gone."""
    broker = PaperBroker()
    broker.submit(order("a", Side.BUY, 10, None), token=1)
    assert len(broker.on_tick(quote(1.0, 1.1))) == 1
    assert len(broker.on_tick(quote(1.0, 1.1))) == 0
    assert broker.position("EURUSD") == Position("EURUSD", 10, 1.1)


def test_orders_fill_oldest_first() -> None:
    """The order in which they were sent decides, so that a run can be repeated."""
    broker = PaperBroker()
    for name in ("a", "b", "c"):
        broker.submit(order(name, Side.BUY, 1, None), token=1)
    assert [fill.client_id for fill in broker.on_tick(quote(1.0, 1.1))] == ["a", "b", "c"]


def test_a_round_trip_realises_its_profit() -> None:
    """Bought at 1.0, sold at 1.5."""
    broker = PaperBroker()
    broker.submit(order("in", Side.BUY, 100, 1.0), token=1)
    broker.on_tick(quote(0.9, 1.0))
    broker.submit(order("out", Side.SELL, 100, 1.5, reduces=True), token=1)
    broker.on_tick(quote(1.5, 1.6))
    assert broker.positions() == {"EURUSD": Position("EURUSD", 0, 0.0, 50.0)}


def test_a_client_id_is_accepted_once() -> None:
    """A repeated send has no second effect, also after the first order was filled or cancelled."""
    broker = PaperBroker()
    broker.submit(order("a", Side.BUY, 10, 1.0), token=1)
    with pytest.raises(DuplicateOrder, match="order a: this client id was used before: the first order stands"):
        broker.submit(order("a", Side.BUY, 10, 1.0), token=1)
    broker.cancel("a")
    with pytest.raises(DuplicateOrder):
        broker.submit(order("a", Side.BUY, 10, 1.0), token=2)
    assert broker.open_orders() == ()


def test_memory_for_client_ids_is_bounded() -> None:
    """The oldest are forgotten first; the working order itself is not."""
    broker = PaperBroker(remember=2)
    for name in ("a", "b", "c"):
        broker.submit(order(name, Side.BUY, 1, 1.0), token=7)
    assert [broker.token_of(name) for name in ("a", "b", "c")] == [None, 7, 7]
    assert [working.client_id for working in broker.open_orders()] == ["a", "b", "c"]


def test_a_voided_id_is_cancelled_or_refused_later() -> None:
    """Nothing more comes of it, whether the order was here before or arrives only then."""
    broker = PaperBroker()
    broker.submit(order("a", Side.BUY, 10, 1.0), 1)
    assert (broker.void("a"), broker.void("b")) == (True, False)
    assert broker.open_orders() == ()
    with pytest.raises(DuplicateOrder):
        broker.submit(order("b", Side.BUY, 10, 1.0), 1)


def test_a_token_below_the_fence_is_refused() -> None:
    """An order decided before a halt has no effect however late it comes, and does not use up its client id."""
    broker = PaperBroker()
    broker.raise_fence(5)
    with pytest.raises(StaleToken, match="token 4 is below the fence 5: decided before a halt"):
        broker.submit(order("a", Side.BUY, 1, 1.0), token=4)
    assert broker.open_orders() == ()
    broker.submit(order("a", Side.BUY, 1, 1.0), token=5)
    assert broker.token_of("a") == 5


def test_a_fence_is_never_lowered() -> None:
    """A late messenger with an old epoch changes nothing."""
    broker = PaperBroker()
    broker.raise_fence(5)
    broker.raise_fence(3)
    assert broker.fence == 5


def test_cancelling_takes_working_orders_away_and_counts_them() -> None:
    """A cancelled order never fills; cancelling twice, or what is unknown, is harmless and says so."""
    broker = PaperBroker()
    for name in ("a", "b", "c"):
        broker.submit(order(name, Side.BUY, 1, None), token=1)
    assert broker.cancel("b") is True
    assert broker.cancel("b") is False
    assert broker.cancel("never") is False
    assert broker.cancel_all() == 2
    assert broker.cancel_all() == 0
    assert list(broker.on_tick(quote(1.0, 1.1))) == []


def test_a_reducing_order_is_cut_to_what_is_still_held() -> None:
    """Two exits that were both right when sent do not turn the position round, whichever fills first."""
    broker = PaperBroker()
    broker.submit(order("in", Side.BUY, 10, None), token=1)
    broker.on_tick(quote(1.0, 1.1))
    for name in ("x", "y", "z"):
        broker.submit(order(name, Side.SELL, 6, None, reduces=True), token=1)
    fills = broker.on_tick(quote(1.0, 1.1))
    assert [(fill.client_id, fill.quantity) for fill in fills] == [("x", 6), ("y", 4)]
    assert broker.position("EURUSD").quantity == 0
    assert broker.open_orders() == ()


PRICES = st.integers(90, 110).map(float)


class Books(RuleBasedStateMachine):
    """Any sequence of sends, cancels and ticks; the books balance after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = PaperBroker()
        self.sent: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.cancelled: set[str] = set()
        self.dropped: set[str] = set()
        self.fence = 0

    @rule(
        symbol=st.sampled_from(["X", "Y"]),
        side=st.sampled_from(Side),
        quantity=st.integers(1, 9),
        limit=st.none() | PRICES,
        reduces=st.booleans(),
        token=st.integers(0, 5),
    )
    def submit(self, symbol: str, side: Side, quantity: int, limit: float | None, reduces: bool, token: int) -> None:
        made = order(f"o{len(self.sent)}", side, quantity, limit, symbol=symbol, reduces=reduces)
        try:
            self.broker.submit(made, token)
        except StaleToken:
            assert token < self.fence
            return
        assert token >= self.fence
        self.sent[made.client_id] = made

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        again = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        with pytest.raises(DuplicateOrder):
            self.broker.submit(again, token=99)

    @rule(epoch=st.integers(0, 5))
    def fence_off(self, epoch: int) -> None:
        self.broker.raise_fence(epoch)
        self.fence = max(self.fence, epoch)
        assert self.broker.fence == self.fence

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.sent)))
        was_open = name in {working.client_id for working in self.broker.open_orders()}
        assert self.broker.cancel(name) is was_open
        if was_open:
            self.cancelled.add(name)

    @rule()
    def cancel_all(self) -> None:
        open_ids = {working.client_id for working in self.broker.open_orders()}
        assert self.broker.cancel_all() == len(open_ids)
        self.cancelled |= open_ids

    @rule(symbol=st.sampled_from(["X", "Y"]), bid=PRICES, spread=st.integers(0, 5))
    def tick(self, symbol: str, bid: float, spread: int) -> None:
        held = {name: position.quantity for name, position in self.broker.positions().items()}
        before = {working.client_id for working in self.broker.open_orders()}
        fills = self.broker.on_tick(Tick(symbol, 0, bid, bid + spread))
        for fill in fills:
            sent = self.sent[fill.client_id]
            quantity = held.get(symbol, 0)
            held[symbol] = quantity + fill.side.sign * fill.quantity
            if sent.reduces:
                assert abs(held[symbol]) < abs(quantity)
                assert held[symbol] * quantity >= 0
            assert 0 < fill.quantity <= sent.quantity
            assert fill.price == (sent.limit or (bid + spread if sent.side is Side.BUY else bid))
        self.fills.extend(fills)
        after = {working.client_id for working in self.broker.open_orders()}
        gone = before - after - {fill.client_id for fill in fills}
        assert all(self.sent[name].reduces for name in gone)
        self.dropped |= gone

    @invariant()
    def positions_are_the_sum_of_fills(self) -> None:
        total: Counter[str] = Counter()
        for fill in self.fills:
            total[fill.symbol] += fill.side.sign * fill.quantity
        assert all(self.broker.position(symbol).quantity == total[symbol] for symbol in ("X", "Y"))

    @invariant()
    def money_is_accounted_for(self) -> None:
        for symbol in ("X", "Y"):
            held = self.broker.position(symbol)
            cash = sum(-fill.side.sign * fill.quantity * fill.price for fill in self.fills if fill.symbol == symbol)
            assert held.realised - held.quantity * held.average_price == pytest.approx(cash, abs=1e-6)

    @invariant()
    def every_order_has_exactly_one_fate(self) -> None:
        filled = [fill.client_id for fill in self.fills]
        working = [still.client_id for still in self.broker.open_orders()]
        fates = filled + working + list(self.cancelled) + list(self.dropped)
        assert sorted(fates) == sorted(self.sent)


TestBooks = Books.TestCase
