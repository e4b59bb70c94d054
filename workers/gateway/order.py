"""An order as it lies in a journal: written by an engine, read by a gateway.

What comes out of a journal was written by somebody else, perhaps by hand: whatever can be misread is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from killswitch import InvalidInput, JournalEntry, Scope
from workers.domain import Order, Side
from workers.spec import EngineName, Symbol, parse

__all__ = ["AdmittedOrder", "read_order", "written"]

_WHOLE_MAX = 2**53 - 1
Whole = Annotated[StrictInt, Field(ge=0, le=_WHOLE_MAX)]


class _OrderText(BaseModel):
    """The JSON of an order. `session` and `owner` say for which session of the venue, and under which ownership."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session: EngineName
    owner: Whole
    client_id: Annotated[str, Field(min_length=1, max_length=128)]
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: Annotated[StrictInt, Field(ge=1, le=_WHOLE_MAX)]
    limit: StrictFloat | StrictInt | None = None
    reduces: StrictBool = False


@dataclass(frozen=True, slots=True)
class AdmittedOrder:
    """An order and what it was admitted under: by `worker` at `epoch`, following `scopes`, at `at_ms` (the server's
    clock, milliseconds since the Unix epoch)."""

    entry_id: str
    order: Order
    session: str
    owner: int
    worker: str
    epoch: int
    scopes: tuple[str, ...]
    at_ms: int


def written(order: Order, session: str, owner: int) -> dict[str, Any]:
    """`order` of the venue's `session`, sent under the ownership token `owner` (0: nobody owns it), for a journal."""
    return {
        "session": session,
        "owner": owner,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "limit": order.limit,
        "reduces": order.reduces,
    }


def read_order(entry: JournalEntry) -> AdmittedOrder:
    """The order of an entry.

    Raises:
        InvalidInput: a field is missing or of another form, or two fields contradict each other.
    """
    fields = entry.fields
    try:
        document = json.loads(fields["order"])
        epoch, at_ms = _whole(fields, "epoch"), _whole(fields, "at_ms")
        reduces, order_id, worker = fields["reduces"], fields["order_id"], fields["worker"]
        scopes = tuple(str(Scope.parse(word)) for word in fields["scopes"].split(",") if word)
    except KeyError as error:
        raise InvalidInput(f"the entry has no field {error}") from None
    except (ValueError, RecursionError) as error:  # InvalidInput is a ValueError
        raise InvalidInput(f"the entry cannot be read: {error}") from None
    text = parse(_OrderText, document)
    if text.client_id != order_id or reduces != str(int(text.reduces)):
        raise InvalidInput("the entry was not admitted for the order that it holds")
    limit = None if text.limit is None else float(text.limit)
    order = Order(text.client_id, text.symbol, Side(text.side), text.quantity, limit, text.reduces)
    return AdmittedOrder(entry.entry_id, order, text.session, text.owner, worker, epoch, scopes, at_ms)


def _whole(fields: Mapping[str, str], name: str) -> int:
    text = fields[name]
    if not (text.isascii() and text.isdigit() and len(text) < 17):
        raise InvalidInput(f"{name} {text[:40]!r} is no whole number")
    return int(text)
