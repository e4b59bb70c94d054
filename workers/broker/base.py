"""What the engine asks of a venue.

`submit` is called in one place only, `guarded.py`. Everything else here is open at all times: stopping the fleet must
blind nobody, and a cancel is always welcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from killswitch import KillSwitchError
from workers.domain import Fill, Order, Position, Tick

__all__ = ["Broker", "BrokerError", "DuplicateOrder", "StaleOwner", "StaleToken", "UnknownOutcome"]


class BrokerError(KillSwitchError):
    """The venue did not do what it was asked. `order_id` is the client id concerned, "" when it is none."""

    def __init__(self, order_id: str, reason: str) -> None:
        super().__init__(order_id, reason)
        self.order_id = order_id
        self.reason = reason

    def __str__(self) -> str:
        return f"order {self.order_id}: {self.reason}" if self.order_id else self.reason


class DuplicateOrder(BrokerError):
    """An order of this client id was sent before. The first one stands; this one had no effect."""


class StaleToken(BrokerError):
    """The order carries an epoch below the venue's fence: it was decided before a halt."""


class StaleOwner(BrokerError):
    """It comes from an owner of the engine that was replaced or fenced out: another process acts in its place."""


class UnknownOutcome(BrokerError):
    """The question left and no answer came: it may or may not have taken effect. Ask by the client id before anything
    else is decided; nothing is repeated by itself."""


class Broker(Protocol):
    """A venue for one engine's orders.

    `submit`, `cancel` and `cancel_all` raise BrokerError where the venue does not do it or cannot be reached; looking,
    quotes and fences never raise: a venue that is away must not end the engine.
    """

    def submit(self, order: Order, token: int) -> None:
        """Sends `order`; `token` is the epoch under which it was permitted.

        Raises:
            DuplicateOrder: its client id was used before.
            StaleToken: `token` is below the fence.
            StaleOwner: the sender no longer owns the session.
            UnknownOutcome: it was sent, and no answer came.
            BrokerError: the venue refused it for another reason, or it was not sent.
        """
        ...

    def raise_fence(self, epoch: int) -> None:
        """From now on refuses tokens below `epoch`. A fence is never lowered: a smaller epoch changes nothing."""
        ...

    def cancel(self, client_id: str) -> bool:
        """Cancels a working order. False when there is none of this id (filled, cancelled before, or never sent)."""
        ...

    def void(self, client_id: str) -> bool:
        """Makes sure that nothing more comes of an order whose fate is unknown: cancels it where it works, and has it
        refused where it arrives only later. Whether it had been taken.

        Raises:
            BrokerError: the venue does not say; the order's fate stays unknown.
        """
        ...

    def cancel_all(self) -> int:
        """Cancels every working order and says how many there were."""
        ...

    def open_orders(self) -> Sequence[Order]:
        """The working orders, oldest first."""
        ...

    def position(self, symbol: str) -> Position:
        """What is held of `symbol`; a flat position when it was never traded."""
        ...

    def positions(self) -> Mapping[str, Position]:
        """Every symbol that was ever traded."""
        ...

    def on_tick(self, tick: Tick) -> Sequence[Fill]:
        """Takes the market's next quote and returns the fills it brought."""
        ...
