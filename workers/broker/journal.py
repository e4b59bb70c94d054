"""A venue behind a journal: orders are admitted by Redis in the step that also finds trading permitted, and a gateway
forwards them. Everything else goes to the venue directly.

Between its admission and the gateway's word an order is on its way. It counts as working here, so nobody takes it for
gone; whoever withdraws it has the venue refuse it should it still arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from killswitch import (
    Admission,
    AdmissionUnknown,
    Blocked,
    InvalidInput,
    OrderConflict,
    StoreRefused,
    StoreUnavailable,
)
from killswitch.clock import NS_PER_MS, now_ns
from workers.broker.base import Broker, BrokerError, DuplicateOrder, UnknownOutcome
from workers.domain import Fill, Order, Position, Tick
from workers.gateway.order import written

__all__ = ["JournalBroker", "Session"]

_LOOK_NS = NS_PER_MS


class Session(Broker, Protocol):
    """A session of a venue to which others send as well."""

    def refresh(self) -> bool:
        """Learns what works and what is held there; whether the venue answered."""
        ...


@dataclass(frozen=True, slots=True)
class _Under:
    """The permit that the guard holds, as far as it is known here."""

    epoch: int


class JournalBroker:
    """The session `session` of `venue`, orders going through the journal of `admission` under the ownership `owner`.

    `submit` is called with a permit of the admission's agent held; besides what `Broker.submit` raises it raises
    Blocked. One thread uses it.
    """

    def __init__(self, venue: Session, admission: Admission, session: str, owner: int) -> None:
        self._venue = venue
        self._admission = admission
        self._session = session
        self._owner = owner
        self._coming: dict[str, tuple[Order, str]] = {}  # admitted, in this order; not known to be dealt with
        self._look_ns = 0

    def submit(self, order: Order, token: int) -> None:
        """Has `order` admitted into the journal; see `Broker.submit`.

        Raises:
            Blocked: trading is not permitted any more; it was not admitted.
        """
        document = written(order, self._session, self._owner)
        try:
            entry = self._admission.admit(_Under(token), order.client_id, document, order.reduces)
        except AdmissionUnknown as error:
            raise UnknownOutcome(order.client_id, str(error)) from None
        except OrderConflict as error:
            raise DuplicateOrder(order.client_id, str(error)) from None
        except InvalidInput as error:
            raise BrokerError(order.client_id, f"nothing was sent: {error}") from None
        except Blocked:
            raise
        except BaseException:
            self._hang_up()
            raise
        self._coming[order.client_id] = (order, entry)

    def cancel(self, client_id: str) -> bool:
        """See `Broker.cancel`. An order on its way is refused by the venue when it arrives."""
        if client_id in self._coming:
            self.void(client_id)
            return True
        return self._venue.cancel(client_id)

    def void(self, client_id: str) -> bool:
        """See `Broker.void`."""
        taken = self._venue.void(client_id)
        self._coming.pop(client_id, None)
        return taken

    def cancel_all(self) -> int:
        """See `Broker.cancel_all`; those on their way count."""
        coming = tuple(self._coming)
        for client_id in coming:
            self.void(client_id)
        # The ones that had arrived were cancelled by that already.
        return len(coming) + self._venue.cancel_all()

    def open_orders(self) -> Sequence[Order]:
        """The working orders and those on their way, oldest first."""
        working = self._venue.open_orders()
        if not self._coming:
            return working
        known = {order.client_id for order in working}
        return (*working, *(order for name, (order, _) in self._coming.items() if name not in known))

    def raise_fence(self, epoch: int) -> None:
        """See `Broker.raise_fence`."""
        self._venue.raise_fence(epoch)

    def position(self, symbol: str) -> Position:
        """See `Broker.position`."""
        return self._venue.position(symbol)

    def positions(self) -> Mapping[str, Position]:
        """See `Broker.positions`."""
        return self._venue.positions()

    def on_tick(self, tick: Tick) -> Sequence[Fill]:
        """See `Broker.on_tick`; while orders are on their way, looks whether the gateway has dealt with them."""
        if self._coming and now_ns() >= self._look_ns:
            self._look()
        return self._venue.on_tick(tick)

    def _look(self) -> None:
        """Orders that left the journal are at the venue, or were refused: from here on the venue is asked for them."""
        arrived = False
        try:
            for client_id, (_, entry) in tuple(self._coming.items()):
                if self._admission.is_waiting(entry):
                    break  # those behind it wait as well
                arrived = True
                del self._coming[client_id]
        except (StoreUnavailable, StoreRefused):
            pass  # asked again with a later quote
        except BaseException:
            self._hang_up()
            raise
        if arrived:
            self._venue.refresh()
        self._look_ns = now_ns() + _LOOK_NS

    def _hang_up(self) -> None:
        """After a question that was cut short, by an interrupt or a time limit: its answer, which nobody waits for any
        more, would be taken for that of the next question."""
        self._admission.close()
