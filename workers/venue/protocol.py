"""The words between a venue and those who ask it: one JSON object a line, each answered by one, in order.

    {"id": 1, "do": "submit", "session": "e1", "client_id": "c-1", "symbol": "EURUSD", "side": "BUY", "quantity": 10,
     "limit": 1.1, "reduces": false, "token": 7, "owner": 3, "worker": "host-1"}     (owner 0: nobody owns the session)
    {"id": 1, "ok": true}      or      {"id": 1, "ok": false, "error": "StaleToken", "reason": "..."}

    do            needs besides `session`                    answers
    submit        see above                                  nothing more
    cancel        client_id, owner                           cancelled: true | false
    void          client_id, owner                           the same, and known: whether it was ever taken
    cancel_all    owner (left out: everybody's), refuse      cancelled: how many, orders: their ids, owner: the lowest
                                                             one still accepted
    open_orders   -                                          orders
    positions     -                                          positions
    on_tick       symbol, time_ns, bid, ask, owner, since    fills after `since`, seq, working: ids; positions if filled
    raise_fence   epoch                                      fence: what stands now, never lower than before; name
    status        since, client_id (both may be left out)    everything about the session; known: the token that came
                                                             with client_id, or null. Without session: all sessions

`void` makes sure that nothing more comes of an order whose fate is unknown: it is cancelled where it works, and refused
as a duplicate where it arrives only later.
`cancel_all` with an owner cancels the orders of owners up to it and, unless `refuse` is false, from then on refuses
what they send. Whatever can be misread is refused: error is BadRequest, and the connection goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from killswitch import InvalidInput
from workers.broker import BrokerError, DuplicateOrder, StaleOwner, StaleToken
from workers.domain import Fill, Order, Position, Side

__all__ = [
    "ERRORS",
    "LINE_MAX",
    "BadRequest",
    "Fields",
    "decode",
    "encode",
    "fill_fields",
    "order_fields",
    "position_fields",
    "read_fill",
    "read_order",
    "read_position",
]

LINE_MAX = 65_536
"""Longest request in bytes. Whoever sends a longer one is cut off, because the rest cannot be told from the next."""

_WHOLE_MAX = 2**53
_TIME_MAX_NS = 2**63
_NUMBER_MAX = 1e15
_TEXT_MAX = 128


class BadRequest(BrokerError):
    """What came is no request of this protocol; it had no effect."""


ERRORS: Mapping[str, type[BrokerError]] = {
    kind.__name__: kind for kind in (BadRequest, BrokerError, DuplicateOrder, StaleOwner, StaleToken)
}
"""The errors that an answer may name; any other name is read as BrokerError."""


def encode(document: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The object of one line. Raises BadRequest when it is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRequest("", "the line is not JSON") from None
    if not isinstance(found, dict):
        raise BadRequest("", "the line is not a JSON object")
    return found


class Fields:
    """Typed access to the fields of a request: a value of another form is a BadRequest, never a guess."""

    __slots__ = ("_found",)

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found

    def text(self, name: str, default: str | None = None) -> str:
        """A text of 1 to 128 characters, or the default where the field is absent or null."""
        value = self._found.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
            raise BadRequest("", f"{name} must be a text of 1 to {_TEXT_MAX} characters")
        return value

    def whole(self, name: str, default: int | None = None, most: int = _WHOLE_MAX) -> int:
        """A whole number from 0 to `most`."""
        value = self._found.get(name)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 0 <= value <= most:
            raise BadRequest("", f"{name} must be a whole number from 0 to {most}")
        return value

    def number(self, name: str) -> float:
        """A number between -10^15 and 10^15: sums and products of a few of these are finite."""
        value = self._found.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -_NUMBER_MAX <= value <= _NUMBER_MAX:
            raise BadRequest("", f"{name} must be a number between -10^15 and 10^15")
        return float(value)

    def time_ns(self) -> int:
        """The time of a quote, UTC nanoseconds since the Unix epoch."""
        return self.whole("time_ns", most=_TIME_MAX_NS)

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        value = self._found.get(name, default)
        if not isinstance(value, bool):
            raise BadRequest("", f"{name} must be true or false")
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._found.get(name) is not None

    def order(self) -> Order:
        """The order that these fields describe."""
        side = self.text("side")
        if side not in ("BUY", "SELL"):
            raise BadRequest("", "side must be BUY or SELL")
        limit = self.number("limit") if self.has("limit") else None
        reduces = self.flag("reduces", False)
        try:
            return Order(
                self.text("client_id"), self.text("symbol"), Side(side), self.whole("quantity"), limit, reduces
            )
        except InvalidInput as error:
            raise BadRequest("", str(error)) from None


def order_fields(order: Order) -> dict[str, Any]:
    """An order as it travels."""
    return {
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "limit": order.limit,
        "reduces": order.reduces,
    }


def read_order(found: Mapping[str, Any]) -> Order:
    """The order that travelled. Raises BadRequest."""
    return Fields(found).order()


def fill_fields(fill: Fill) -> dict[str, Any]:
    """A fill as it travels."""
    return {
        "client_id": fill.client_id,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
        "time_ns": fill.time_ns,
    }


def read_fill(found: Mapping[str, Any]) -> Fill:
    """The fill that travelled. Raises KeyError, ValueError or TypeError for another form."""
    side = Side(found["side"])
    quantity, time_ns = int(found["quantity"]), int(found["time_ns"])
    return Fill(str(found["client_id"]), str(found["symbol"]), side, quantity, float(found["price"]), time_ns)


def position_fields(position: Position) -> dict[str, Any]:
    """A position as it travels, under its symbol."""
    return {
        "quantity": position.quantity,
        "average_price": position.average_price,
        "realised": position.realised,
    }


def read_position(symbol: str, found: Mapping[str, Any]) -> Position:
    """The position that travelled. Raises KeyError, ValueError or TypeError for another form."""
    return Position(symbol, int(found["quantity"]), float(found["average_price"]), float(found["realised"]))
