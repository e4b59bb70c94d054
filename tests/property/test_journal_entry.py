"""An entry of a journal is an order, or InvalidInput: whatever lies there, a gateway goes on."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from killswitch import InvalidInput, JournalEntry
from workers.domain import Order, Side
from workers.gateway.order import read_order, written

FIELDS = ("epoch", "worker", "order_id", "reduces", "scopes", "order", "at_ms")
GOOD = {
    "epoch": "3", "worker": "w", "order_id": "o-1", "reduces": "0", "scopes": "symbol:EURUSD", "at_ms": "7",
    "order": json.dumps(written(Order("o-1", "EURUSD", Side.BUY, 5, 1.5, False), "e1", 2)),
}  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
documents = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("session", "owner", "client_id", "symbol", "side", "quantity"), json_values)
    ),
    st.tuples(st.sampled_from(sorted(json.loads(GOOD["order"]))), json_values).map(
        lambda change: {**json.loads(GOOD["order"]), change[0]: change[1]}
    ),
)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40)), documents)
def test_any_entry_is_an_order_or_invalid_input(junk: dict[str, str], document: Any) -> None:
    """And an order that was read says what its entry says."""
    for fields in (junk, {**GOOD, **junk}, {**GOOD, "order": json.dumps(document)}):
        with contextlib.suppress(InvalidInput):
            found = read_order(JournalEntry("1-1", fields))
            assert found.order.client_id == fields["order_id"]
            assert (str(found.epoch), found.worker) == (str(int(fields["epoch"])), fields["worker"])
            assert json.loads(fields["order"])["quantity"] == found.order.quantity


whole = st.integers(1, 2**53 - 1)


@given(
    st.text("abcXYZ019._-", min_size=1, max_size=100),
    st.sampled_from(Side),
    whole,
    st.none() | st.floats(1e-9, 1e12),
    st.booleans(),
    whole,
)
def test_order_that_was_written_is_read_back(
    order_id: str, side: Side, quantity: int, limit: float | None, reduces: bool, owner: int
) -> None:
    """Nothing of it is lost or changed on its way through the journal."""
    order = Order(order_id, "EURUSD", side, quantity, limit, reduces)
    text = json.dumps(written(order, "engine-1", owner), sort_keys=True)
    fields = {**GOOD, "order_id": order_id, "reduces": str(int(reduces)), "order": text}
    found = read_order(JournalEntry("1-1", fields))
    assert (found.order, found.owner, found.session) == (order, owner, "engine-1")
