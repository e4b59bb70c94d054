"""A venue behind a journal: what an engine sees of orders that are on their way."""

from __future__ import annotations

from typing import Any, cast

import pytest

from killswitch import (
    Admission,
    AdmissionUnknown,
    Blocked,
    Code,
    InvalidInput,
    Mode,
    OrderConflict,
    StoreUnavailable,
)
from workers.broker import BrokerError, DuplicateOrder, PaperBroker, UnknownOutcome
from workers.broker.journal import JournalBroker
from workers.domain import Order, Side, Tick

QUOTE = Tick("EURUSD", 1, 1.0, 1.1)


class ScriptedAdmission:
    """Admits, or raises `error`; `waiting` are the entries that no gateway has dealt with."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.asked: list[tuple[int, str, dict[str, Any], bool]] = []
        self.waiting: set[str] = set()
        self.looks = 0
        self.closed = 0

    def admit(self, permit: Any, order_id: str, order: dict[str, Any], reduces: bool = False) -> str:
        self.asked.append((permit.epoch, order_id, order, reduces))
        if self.error is not None:
            raise self.error
        self.waiting.add(order_id)
        return order_id

    def is_waiting(self, entry_id: str) -> bool:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return entry_id in self.waiting

    def close(self) -> None:
        self.closed += 1


class Session(PaperBroker):
    """A venue that others send to."""

    refreshed = 0
    away = False

    def refresh(self) -> bool:
        self.refreshed += 1
        return True

    def void(self, client_id: str) -> bool:
        if self.away:
            raise BrokerError(client_id, "away")
        return super().void(client_id)


def order(order_id: str = "o-1", *, reduces: bool = False) -> Order:
    """A small order."""
    return Order(order_id, "EURUSD", Side.BUY, 10, 0.5, reduces)


@pytest.fixture
def admission() -> ScriptedAdmission:
    """Admits everything."""
    return ScriptedAdmission()


@pytest.fixture
def venue() -> Session:
    """An empty session."""
    return Session()


@pytest.fixture
def broker(venue: Session, admission: ScriptedAdmission) -> JournalBroker:
    """The venue behind the journal, for engine e1 under ownership 7."""
    return JournalBroker(venue, cast(Admission, admission), "e1", 7)


def test_order_is_admitted_under_the_epoch_of_its_permit(broker: JournalBroker, admission: ScriptedAdmission) -> None:
    """With the session and the ownership that the gateway needs; nothing goes to the venue from here."""
    broker.submit(order(reduces=True), 5)
    ((epoch, order_id, document, reduces),) = admission.asked
    assert (epoch, order_id, reduces) == (5, "o-1", True)
    assert document.items() >= {"session": "e1", "owner": 7, "client_id": "o-1", "quantity": 10}.items()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Blocked(Code.ENGAGED, Mode.ENGAGED, 6, "stop"), Blocked),
        (AdmissionUnknown("o-1", Code.NO_ANSWER, "silence"), UnknownOutcome),
        (OrderConflict("1-1"), DuplicateOrder),
        (InvalidInput("too long"), BrokerError),
    ],
)
def test_refusals_are_told_as_a_venue_tells_them(
    broker: JournalBroker, admission: ScriptedAdmission, error: Any, expected: type[Exception]
) -> None:
    """So the guard keeps the permit of an order whose fate is unknown, and of no other."""
    admission.error = error
    with pytest.raises(expected) as caught:
        broker.submit(order(), 5)
    assert isinstance(caught.value, UnknownOutcome) == isinstance(error, AdmissionUnknown)
    assert (broker.open_orders(), admission.closed) == ((), 0)


@pytest.mark.parametrize("cut", [KeyboardInterrupt(), RuntimeError("time limit")])
def test_question_that_was_cut_short_ends_its_line(
    broker: JournalBroker, admission: ScriptedAdmission, cut: BaseException
) -> None:
    """The answer to it may still come, and must not be taken for that of the next order."""
    broker.submit(order("o-1"), 5)
    admission.error = cut
    with pytest.raises(type(cut)):
        broker.submit(order("o-2"), 5)
    assert admission.closed == 1
    with pytest.raises(type(cut)):
        broker.on_tick(QUOTE)
    assert admission.closed == 2


def test_order_on_its_way_counts_as_working(broker: JournalBroker, venue: Session) -> None:
    """Nobody sends a second one because the first is not at the venue yet; at the venue it counts once."""
    broker.submit(order(), 5)
    broker.submit(order("o-2"), 5)
    venue.submit(order(), 5)
    assert [found.client_id for found in broker.open_orders()] == ["o-1", "o-2"]


def test_venue_is_asked_once_the_gateway_has_dealt_with_an_order(
    broker: JournalBroker, venue: Session, admission: ScriptedAdmission
) -> None:
    """From then on it is at the venue or refused, and the venue knows which."""
    broker.submit(order(), 5)
    broker.submit(order("o-2"), 5)
    broker.on_tick(QUOTE)
    assert (venue.refreshed, len(broker.open_orders())) == (0, 2)
    admission.waiting.discard("o-1")
    broker._look_ns = 0
    broker.on_tick(QUOTE)
    assert venue.refreshed == 1
    assert [found.client_id for found in broker.open_orders()] == ["o-2"]


def test_silent_redis_is_asked_again(broker: JournalBroker, venue: Session, admission: ScriptedAdmission) -> None:
    """A quote is never lost to it, and the order goes on counting."""
    broker.submit(order(), 5)
    admission.error = StoreUnavailable(Code.NO_ANSWER, "silence")
    assert broker.on_tick(QUOTE) == ()
    assert len(broker.open_orders()) == 1


def test_redis_is_not_asked_on_every_quote(broker: JournalBroker, admission: ScriptedAdmission) -> None:
    """Once a millisecond at most, and not at all while nothing is on its way."""
    broker.on_tick(QUOTE)
    assert admission.looks == 0
    broker.submit(order(), 5)
    broker._look_ns = 2**62
    broker.on_tick(QUOTE)
    assert admission.looks == 0


def test_cancelled_order_is_refused_when_it_arrives(broker: JournalBroker, venue: Session) -> None:
    """A cancel overtakes the order: the venue knows not to take it."""
    broker.submit(order(), 5)
    assert broker.cancel("o-1")
    assert broker.open_orders() == ()
    with pytest.raises(DuplicateOrder):
        venue.submit(order(), 5)
    assert not broker.cancel("o-2")


def test_cancelling_everything_includes_what_is_on_its_way(broker: JournalBroker, venue: Session) -> None:
    """Stopped, nothing works and nothing comes; an order that had arrived meanwhile counts once."""
    venue.submit(order("o-0"), 5)
    for name in ("o-1", "o-2"):
        broker.submit(order(name), 5)
    venue.submit(order("o-1"), 5)
    assert broker.cancel_all() == 3
    assert broker.open_orders() == venue.open_orders() == ()


def test_order_that_the_venue_does_not_void_goes_on_counting(broker: JournalBroker, venue: Session) -> None:
    """Who asked hears of it, and asks again."""
    broker.submit(order(), 5)
    venue.away = True
    with pytest.raises(BrokerError):
        broker.cancel_all()
    assert len(broker.open_orders()) == 1


def test_everything_else_is_the_venue(broker: JournalBroker, venue: Session) -> None:
    """Positions, fences and fills do not go through the journal."""
    venue.submit(Order("o-0", "EURUSD", Side.BUY, 10, None, False), 5)
    assert [fill.client_id for fill in broker.on_tick(QUOTE)] == ["o-0"]
    assert broker.position("EURUSD").quantity == broker.positions()["EURUSD"].quantity == 10
    broker.raise_fence(9)
    assert venue.fence == 9
