"""A paper venue: deterministic, pessimistic, in memory.

An order works from the tick after the one it was sent on, so nothing trades on a price that was already gone. A buy
fills when the ask is at or below its limit, a sell when the bid is at or above it; always the whole quantity, always at
the limit and never better: a resting order is filled by whoever comes to its price. A market order fills at the touch
of the next tick. An order sent as reducing never opens a position: at the fill it is cut to what is still held, and
dropped when that is nothing.

The fence is what a venue or gateway in front of it would hold: an order that carries an older epoch is refused, however
late the process that sent it wakes up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from workers.broker.base import DuplicateOrder, StaleToken
from workers.domain import Fill, Order, Position, Side, Tick

__all__ = ["PaperBroker"]

_NO_FILLS: tuple[Fill, ...] = ()


class PaperBroker:
    """A venue for one engine. `remember` bounds how many client ids are kept to recognise a repeated one."""

    def __init__(self, *, remember: int = 100_000) -> None:
        self._working: dict[str, Order] = {}
        self._positions: dict[str, Position] = {}
        self._tokens: OrderedDict[str, int] = OrderedDict()
        self._remember = remember
        self._fence = 0

    @property
    def fence(self) -> int:
        """The lowest token that is accepted."""
        return self._fence

    def raise_fence(self, epoch: int) -> None:
        """Refuses tokens below `epoch` from now on; never lowers the fence."""
        self._fence = max(self._fence, epoch)

    def token_of(self, client_id: str) -> int | None:
        """The token that came with this order; None when it is unknown or long past."""
        return self._tokens.get(client_id)

    def submit(self, order: Order, token: int) -> None:
        """Takes `order` to work; see `Broker.submit`."""
        if token < self._fence:
            raise StaleToken(order.client_id, f"token {token} is below the fence {self._fence}: decided before a halt")
        if order.client_id in self._tokens:
            raise DuplicateOrder(order.client_id, "this client id was used before: the first order stands")
        self.remember(order.client_id, token)
        self._working[order.client_id] = order

    def remember(self, client_id: str, token: int) -> None:
        """Knows this client id as used, under `token`, without an order that works."""
        self._tokens[client_id] = token
        if len(self._tokens) > self._remember:
            self._tokens.popitem(last=False)

    def cancel(self, client_id: str) -> bool:
        """Cancels a working order; see `Broker.cancel`."""
        return self._working.pop(client_id, None) is not None

    def void(self, client_id: str) -> bool:
        """See `Broker.void`."""
        known = client_id in self._tokens
        if not known:
            self.remember(client_id, 0)
        self.cancel(client_id)
        return known

    def cancel_all(self) -> int:
        """Cancels every working order; see `Broker.cancel_all`."""
        cancelled = len(self._working)
        self._working.clear()
        return cancelled

    def open_orders(self) -> Sequence[Order]:
        """The working orders, oldest first."""
        return tuple(self._working.values())

    def position(self, symbol: str) -> Position:
        """What is held of `symbol`."""
        held = self._positions.get(symbol)
        if held is None:
            held = self._positions[symbol] = Position(symbol)
        return held

    def positions(self) -> Mapping[str, Position]:
        """Every symbol that was asked for or traded."""
        return dict(self._positions)

    def on_tick(self, tick: Tick) -> Sequence[Fill]:
        """Fills what `tick` reaches, oldest order first."""
        if not self._working:  # most ticks
            return _NO_FILLS
        fills = []
        for order in tuple(self._working.values()):
            price = _fill_price(order, tick)
            if price is None:
                continue
            del self._working[order.client_id]
            quantity = self._fillable(order)
            if quantity:
                fill = Fill(order.client_id, order.symbol, order.side, quantity, price, tick.time_ns)
                self._positions[order.symbol] = self.position(order.symbol).after(fill)
                fills.append(fill)
        return fills

    def _fillable(self, order: Order) -> int:
        if not order.reduces:
            return order.quantity
        held = self.position(order.symbol).quantity * -order.side.sign
        return max(0, min(order.quantity, held))


def _fill_price(order: Order, tick: Tick) -> float | None:
    """The price at which `tick` fills `order`, None when it does not."""
    if order.symbol != tick.symbol:
        return None
    touch = tick.ask if order.side is Side.BUY else tick.bid
    if order.limit is None:
        return touch
    reached = touch <= order.limit if order.side is Side.BUY else touch >= order.limit
    return order.limit if reached else None
