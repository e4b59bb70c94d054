"""The one door to a venue: permit, check, ownership, send, release, in this order and no other."""

from __future__ import annotations

import pytest

from killswitch import Blocked, Code, Mode
from tests.unit.workers.doubles import ScriptedAgent, ScriptedGate, ticks_at
from workers.broker import (
    BrokerError,
    DuplicateOrder,
    GuardedBroker,
    NotOwner,
    PaperBroker,
    StaleOwner,
    StaleToken,
    UnknownOutcome,
)
from workers.domain import Order, Side

(TICK,) = ticks_at(1.0)


class WatchedBroker(PaperBroker):
    """A paper venue that notes how many permits were held at each send, and can be told to fail."""

    def __init__(self, gate: ScriptedGate) -> None:
        super().__init__()
        self.gate = gate
        self.in_flight: list[int] = []
        self.failure: BaseException | None = None
        self.arrives = False
        """Whether the order is taken before the failure."""

    def submit(self, order: Order, token: int) -> None:
        self.in_flight.append(self.gate.in_flight)
        if self.failure is not None:
            if self.arrives:
                super().submit(order, token)
            raise self.failure
        super().submit(order, token)


class Bench:
    """A guarded venue with everything around it in reach."""

    def __init__(self) -> None:
        self.agent = ScriptedAgent()
        self.gate = self.agent.gate
        self.venue = WatchedBroker(self.gate)
        self.owned = True
        self.guarded = GuardedBroker(self.venue, self.gate, self.owns)
        self.asked_holding: list[int] = []

    def owns(self) -> bool:
        self.asked_holding.append(self.gate.in_flight)
        return self.owned


@pytest.fixture
def bench() -> Bench:
    """An open gate and an owned engine."""
    return Bench()


def buy(client_id: str = "a", quantity: int = 10, *, reduces: bool = False) -> Order:
    """An order that fills on the next tick."""
    return Order(client_id, "EURUSD", Side.BUY, quantity, None, reduces)


def sell(client_id: str, quantity: int, *, limit: float | None = None, symbol: str = "EURUSD") -> Order:
    """An order that claims to reduce."""
    return Order(client_id, symbol, Side.SELL, quantity, limit, reduces=True)


def test_an_order_is_sent_with_the_permit_held_and_released_after(bench: Bench) -> None:
    """Ownership and the send both lie inside the permit."""
    bench.guarded.send(buy(), epoch=1)
    assert (bench.asked_holding, bench.venue.in_flight, bench.gate.in_flight) == ([1], [1], 0)


def test_the_permit_names_the_order_and_its_epoch(bench: Bench) -> None:
    """The operator reads the names of orders in flight; the venue gets the epoch as token."""
    bench.guarded.send(buy("a-17"), epoch=1)
    assert bench.gate.orders == [("a-17", 1, False)]
    assert bench.venue.token_of("a-17") == 1


def test_a_send_is_proved_by_its_epoch_and_its_times(bench: Bench) -> None:
    """The check started before the venue had the order."""
    sent = bench.guarded.send(buy(), epoch=1)
    assert sent.epoch == 1
    assert 0 < sent.check_ns <= sent.sent_ns


def test_a_blocked_order_reaches_neither_owner_nor_venue(bench: Bench) -> None:
    """Closed means that nothing further is asked."""
    bench.agent.engage()
    with pytest.raises(Blocked) as caught:
        bench.guarded.send(buy(), epoch=2)
    assert caught.value.code is Code.ENGAGED
    assert (bench.asked_holding, bench.venue.in_flight, bench.gate.in_flight) == ([], [], 0)


def test_a_signal_from_before_a_halt_is_blocked_after_it(bench: Bench) -> None:
    """The switch is open again, but under a newer epoch."""
    epoch = bench.gate.signal()
    bench.agent.engage()
    bench.agent.reset()
    with pytest.raises(Blocked) as caught:
        bench.guarded.send(buy(), epoch)
    assert caught.value.code is Code.STALE_SIGNAL
    assert bench.venue.in_flight == []


def test_without_ownership_nothing_is_sent(bench: Bench) -> None:
    """A typed error, counted, and the permit is released."""
    bench.owned = False
    with pytest.raises(NotOwner, match="order a was not sent: this process no longer owns its engine"):
        bench.guarded.send(buy(), epoch=1)
    assert (bench.venue.in_flight, bench.guarded.not_owner, bench.gate.in_flight) == ([], 1, 0)


@pytest.mark.parametrize("failure", [BrokerError("a", "refused"), StaleToken("a", "old"), StaleOwner("a", "replaced")])
def test_a_venue_that_refuses_an_order_leaks_no_permit(bench: Bench, failure: BrokerError) -> None:
    """A leaked permit would keep the fleet from ever being proved quiet."""
    bench.venue.failure = failure
    with pytest.raises(type(failure)):
        bench.guarded.send(buy(), epoch=1)
    assert (bench.gate.in_flight, bench.guarded.unsettled) == (0, ())


def test_an_order_that_its_admission_blocks_leaks_no_permit(bench: Bench) -> None:
    """What Redis did not admit goes nowhere."""
    bench.venue.failure = bench.gate.blocked(Code.ENGAGED)
    with pytest.raises(Blocked):
        bench.guarded.send(buy(), epoch=1)
    assert (bench.gate.in_flight, bench.guarded.unsettled) == (0, ())


UNFORESEEN = [UnknownOutcome("a", "no answer"), RuntimeError("bug"), KeyboardInterrupt(), SystemExit(), OSError("line")]


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("failure", UNFORESEEN)
def test_a_send_that_ends_without_a_word_of_the_venue_stays_in_flight_until_it_is_settled(
    bench: Bench, failure: BaseException, arrives: bool
) -> None:
    """P7: whatever ended the send, the order may have left: its permit is returned when the venue has voided it."""
    bench.venue.failure, bench.venue.arrives = failure, arrives
    with pytest.raises(type(failure)):
        bench.guarded.send(buy(), epoch=1)
    assert (bench.gate.in_flight, bench.guarded.unsettled) == (1, ("a",))
    bench.venue.failure = None
    assert bench.guarded.settle() == {"a": arrives}
    assert (bench.gate.in_flight, bench.guarded.unsettled, list(bench.guarded.open_orders())) == (0, (), [])
    with pytest.raises(DuplicateOrder):  # should it arrive only now
        bench.venue.submit(buy(), 1)


def test_an_interrupt_before_the_send_keeps_the_order_in_flight_until_it_is_withdrawn(bench: Bench) -> None:
    """P7: the permit is kept from before the send on, so there is no moment at which an interrupt could lose it."""
    interrupted: list[int] = []

    def owns() -> bool:
        interrupted.append(len(bench.guarded.unsettled))
        raise KeyboardInterrupt

    bench.guarded = GuardedBroker(bench.venue, bench.gate, owns)
    with pytest.raises(KeyboardInterrupt):
        bench.guarded.send(buy(), epoch=1)
    assert (interrupted, bench.gate.in_flight, bench.guarded.cancel_all(), bench.gate.in_flight) == ([1], 1, 0, 0)


def test_an_order_whose_fate_is_unknown_is_not_sent_again_under_its_id(bench: Bench) -> None:
    """The refusal of the second one says nothing about the first, whose permit stays."""
    bench.venue.failure = RuntimeError("bug")
    with pytest.raises(RuntimeError):
        bench.guarded.send(buy(), epoch=1)
    with pytest.raises(DuplicateOrder, match="nothing was sent: the fate of the first order of this id is unknown"):
        bench.guarded.send(buy(), epoch=1)
    assert (bench.venue.in_flight, bench.gate.in_flight, bench.guarded.unsettled) == ([1], 1, ("a",))


def test_a_repeated_client_id_is_refused_by_the_venue(bench: Bench) -> None:
    """The guard passes the venue's word on."""
    bench.guarded.send(buy(), epoch=1)
    with pytest.raises(DuplicateOrder):
        bench.guarded.send(buy(), epoch=1)
    assert bench.gate.in_flight == 0


def held(bench: Bench, quantity: int) -> None:
    """Buys `quantity` and fills it."""
    bench.guarded.send(buy("in", quantity), epoch=1)
    assert len(bench.guarded.on_tick(TICK)) == 1
    bench.gate.orders.clear()


@pytest.mark.parametrize(
    ("quantity", "working", "symbol", "believed"),
    [(10, 0, "EURUSD", True), (11, 0, "EURUSD", False), (5, 6, "EURUSD", False), (10, 0, "XAUUSD", False)],
)
def test_a_claim_to_reduce_is_checked_against_what_is_held(
    bench: Bench, quantity: int, working: int, symbol: str, believed: bool
) -> None:
    """Gate 2 hears that an order reduces only if it does, together with what already works on its side."""
    held(bench, 10)
    if working:
        bench.guarded.send(sell("out-1", working, limit=99.0), epoch=1)
    bench.guarded.send(sell("out-2", quantity, symbol=symbol), epoch=1)
    assert bench.gate.orders[-1] == ("out-2", 1, believed)


def test_under_reducing_only_true_exits_pass(bench: Bench) -> None:
    """An entry is blocked, an exit passes, and an entry that calls itself an exit is blocked as well."""
    held(bench, 10)
    bench.agent.set(Mode.REDUCING, Code.REDUCING)
    for refused in (buy("entry"), buy("liar", reduces=True), sell("too much", 11)):
        with pytest.raises(Blocked):
            bench.guarded.send(refused, epoch=1)
    bench.guarded.send(sell("exit", 10), epoch=1)
    assert [order.client_id for order in bench.guarded.open_orders()] == ["exit"]


def test_cancels_and_fills_pass_while_engaged_and_without_ownership(bench: Bench) -> None:
    """Stopping blinds nobody: everything but a send goes on."""
    for name in ("a", "b", "c", "d"):
        bench.guarded.send(Order(name, "EURUSD", Side.BUY, 1, None if name == "a" else 0.5, False), epoch=1)
    bench.agent.engage()
    bench.owned = False
    checks = bench.gate.checks
    assert len(bench.guarded.on_tick(TICK)) == 1
    assert bench.guarded.cancel("b") is True
    assert bench.guarded.cancel_all() == 2
    bench.guarded.raise_fence(9)
    assert bench.venue.fence == 9
    assert bench.guarded.positions() == {"EURUSD": bench.guarded.position("EURUSD")}
    assert (bench.gate.checks, bench.gate.in_flight) == (checks, 0)
