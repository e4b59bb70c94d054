"""The one door to a venue: no order leaves but through `GuardedBroker.send`, the only caller of `Broker.submit`.

The order of steps is the whole point. The permit announces the order, then checks the switch; with the permit held,
ownership of the engine is checked; then the order is sent; then the permit is released. Whoever stops the fleet
therefore either sees the permit, or it was refused: an order cannot slip between the check and the acknowledgement.

An order whose fate is unknown may still arrive: its permit stays announced, so that this worker is not called quiet,
until the venue has made sure that nothing more comes of it. That is so whatever ended the send (no answer, an
interrupt, a bug), unless the venue, or who was asked before it, said that nothing is on its way: an exception that
nobody thought of keeps the permit.

Whether an order reduces is checked here against what is held and what already works on the same side, not believed:
under REDUCING a strategy with a wrong idea of its position must not open a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from killswitch import Blocked, KillSwitchError
from killswitch.clock import now_ns
from workers.broker.base import Broker, BrokerError, DuplicateOrder, UnknownOutcome
from workers.domain import Fill, Order, Position, Tick, truly_reduces

__all__ = ["Gate", "GuardedBroker", "NotOwner", "Sent"]

_SETTLE_NS = 500_000_000
"""Time between two attempts of a trading loop to learn what became of an order."""


class _Permit(Protocol):
    @property
    def epoch(self) -> int: ...


class Gate(Protocol):
    """What the engine and the guard need of an agent's gate."""

    def signal(self) -> int:
        """Gate 1: the epoch in force. Raises Blocked."""
        ...

    def order(self, epoch: int, *, reduces: bool, order_id: str) -> AbstractContextManager[_Permit]:
        """Gate 2: a permit to send one order decided under `epoch`. Raises Blocked on entering."""
        ...


class NotOwner(KillSwitchError):
    """This process no longer owns its engine: another may trade in its place, so nothing was sent."""

    def __init__(self, order_id: str) -> None:
        super().__init__(order_id)
        self.order_id = order_id

    def __str__(self) -> str:
        return f"order {self.order_id} was not sent: this process no longer owns its engine"


@dataclass(frozen=True, slots=True)
class Sent:
    """Proof of a send: the epoch it carried, when its check at gate 2 started, and when the venue had it.

    Both times are `killswitch.clock.now_ns`, comparable between the processes of one host.
    """

    epoch: int
    check_ns: int
    sent_ns: int


class GuardedBroker:
    """A venue behind gate 2 and the ownership of the engine. `owns()` tells whether this process still may act."""

    def __init__(self, broker: Broker, gate: Gate, owns: Callable[[], bool]) -> None:
        self._broker = broker
        self._gate = gate
        self._owns = owns
        self.not_owner = 0
        """Orders refused because the engine was no longer owned."""
        self._unsettled: dict[str, AbstractContextManager[_Permit]] = {}
        self._next_settle_ns = 0

    def send(self, order: Order, epoch: int) -> Sent:
        """Sends `order`, decided under `epoch`, or raises.

        Raises:
            Blocked: gate 2, or the admission behind it, is closed for it; nothing was sent.
            NotOwner: the engine belongs to another process now; nothing was sent.
            BrokerError: the venue refused it, or nothing was sent; but for
            UnknownOutcome, and whatever else ends the send: it may still arrive. It counts as in flight until `settle`
                knows better.
        """
        if order.client_id in self._unsettled:  # its permit must not be returned for what becomes of a second one
            raise DuplicateOrder(order.client_id, "nothing was sent: the fate of the first order of this id is unknown")
        reduces = order.reduces and self._reduces(order)
        check_ns = now_ns()
        announced = self._gate.order(epoch, reduces=reduces, order_id=order.client_id)
        permit = announced.__enter__()
        # Kept from before the send on, not from its failure on: an interrupt may come between any two steps.
        self._unsettled[order.client_id] = announced
        try:
            if not self._owns():
                self.not_owner += 1
                raise NotOwner(order.client_id)
            self._broker.submit(order, token=permit.epoch)
            sent = Sent(permit.epoch, check_ns, now_ns())
        except UnknownOutcome:
            raise
        except (NotOwner, Blocked, BrokerError):
            self._return(order.client_id)
            raise
        self._return(order.client_id)
        return sent

    def _return(self, client_id: str) -> None:
        """Nothing is on its way of this order: its permit is returned."""
        self._unsettled.pop(client_id).__exit__(None, None, None)

    @property
    def unsettled(self) -> Sequence[str]:
        """Client ids of orders that may have been sent and of which nobody knows what became."""
        return tuple(self._unsettled)

    def settle(self) -> Mapping[str, bool]:
        """Has the venue make sure that nothing more comes of the orders whose fate is unknown; returns their permits,
        and says of each whether it had been taken.

        Raises:
            BrokerError: the venue does not say; what is left counts as in flight.
        """
        taken: dict[str, bool] = {}
        for client_id in tuple(self._unsettled):
            taken[client_id] = self._broker.void(client_id)
            self._return(client_id)
        return taken

    def _reduces(self, order: Order) -> bool:
        working = sum(
            other.quantity
            for other in self._broker.open_orders()
            if other.symbol == order.symbol and other.side is order.side
        )
        return truly_reduces(order, self._broker.position(order.symbol), working)

    # Never gated, and safe for whoever lost the engine: these orders are its own.

    def cancel(self, client_id: str) -> bool:
        """See `Broker.cancel`."""
        return self._broker.cancel(client_id)

    def cancel_all(self) -> int:
        """See `Broker.cancel_all`; orders whose fate is unknown are settled first."""
        self.settle()
        return self._broker.cancel_all()

    def raise_fence(self, epoch: int) -> None:
        """See `Broker.raise_fence`."""
        self._broker.raise_fence(epoch)

    def open_orders(self) -> Sequence[Order]:
        """See `Broker.open_orders`."""
        return self._broker.open_orders()

    def position(self, symbol: str) -> Position:
        """See `Broker.position`."""
        return self._broker.position(symbol)

    def positions(self) -> Mapping[str, Position]:
        """See `Broker.positions`."""
        return self._broker.positions()

    def on_tick(self, tick: Tick) -> Sequence[Fill]:
        """See `Broker.on_tick`. Now and then it tries to learn what became of orders whose fate is unknown."""
        fills = self._broker.on_tick(tick)
        if self._unsettled and now_ns() >= self._next_settle_ns:
            try:
                self.settle()
            except BrokerError:
                self._next_settle_ns = now_ns() + _SETTLE_NS
        return fills
