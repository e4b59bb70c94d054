"""Positions, orders and the test whether an order reduces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import InvalidInput
from workers.domain import Fill, Order, Position, Side, Signal, truly_reduces

SIDES = st.sampled_from(Side)
FILLS = st.lists(st.tuples(SIDES, st.integers(1, 50), st.integers(1, 1000)), max_size=30)


def fill(side: Side, quantity: int, price: float) -> Fill:
    """A fill of X."""
    return Fill("c", "X", side, quantity, price, 0)


def order(side: Side, quantity: int, *, reduces: bool = False) -> Order:
    """A market order for X."""
    return Order("c", "X", side, quantity, None, reduces)


def test_adding_to_a_position_averages_the_price() -> None:
    """The average price is weighted by quantity."""
    held = Position("X").after(fill(Side.BUY, 10, 100.0)).after(fill(Side.BUY, 30, 104.0))
    assert held == Position("X", 40, 103.0, 0.0)


def test_reducing_realises_profit_and_keeps_the_average() -> None:
    """A partial exit takes the profit of what was closed, no more."""
    held = Position("X", 40, 103.0).after(fill(Side.SELL, 10, 105.0))
    assert held == Position("X", 30, 103.0, 20.0)


def test_closing_a_short_position_leaves_it_flat() -> None:
    """Flat means quantity 0 and average price 0; the profit stays."""
    assert Position("X", -10, 50.0).after(fill(Side.BUY, 10, 49.0)) == Position("X", 0, 0.0, 10.0)


def test_turning_a_position_round_starts_at_the_new_price() -> None:
    """The part beyond flat is a new position at the fill's price."""
    assert Position("X", 10, 50.0).after(fill(Side.SELL, 15, 52.0)) == Position("X", -5, 52.0, 20.0)


@given(FILLS)
def test_position_is_the_sum_of_its_fills(trades: list[tuple[Side, int, int]]) -> None:
    """For any fills, the quantity is their signed sum and all cash is accounted for by profit and open value."""
    held = Position("X")
    cash = 0
    for side, quantity, price in trades:
        held = held.after(fill(side, quantity, float(price)))
        cash -= side.sign * quantity * price
    assert held.quantity == sum(side.sign * quantity for side, quantity, _ in trades)
    assert held.realised - held.quantity * held.average_price == pytest.approx(cash, abs=1e-6)


@pytest.mark.parametrize(
    ("side", "quantity", "held", "working", "expected"),
    [
        (Side.SELL, 10, 10, 0, True),
        (Side.SELL, 11, 10, 0, False),
        (Side.SELL, 5, 10, 6, False),
        (Side.SELL, 5, 10, 5, True),
        (Side.BUY, 10, 10, 0, False),
        (Side.BUY, 10, -10, 0, True),
        (Side.BUY, 1, 0, 0, False),
    ],
)
def test_an_order_reduces_only_within_what_is_held(
    side: Side, quantity: int, held: int, working: int, expected: bool
) -> None:
    """Against the position, and together with what already works no larger than it."""
    assert truly_reduces(order(side, quantity), Position("X", held, 1.0), working) is expected


@given(SIDES, st.integers(1, 100), st.integers(-100, 100), st.integers(0, 100))
def test_an_order_that_truly_reduces_shrinks_the_position(side: Side, quantity: int, held: int, working: int) -> None:
    """Filled with everything that works beside it, it never grows or turns the position."""
    if truly_reduces(order(side, quantity), Position("X", held, 1.0), working):
        left = held + side.sign * (quantity + working)
        assert left * held >= 0
        assert abs(left) < abs(held)


@pytest.mark.parametrize("quantity", [0, -1, 1.5, True])
def test_an_order_without_a_whole_positive_quantity_cannot_be_built(quantity: int) -> None:
    """The error names the value, the rule and the remedy."""
    with pytest.raises(InvalidInput, match=r"quantity .* is not a whole number above 0: send at least one unit"):
        Order("c", "X", Side.BUY, quantity, 1.0, False)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_an_order_or_signal_without_a_positive_limit_cannot_be_built(limit: float) -> None:
    """No limit at all is a market order; a senseless one is an error."""
    with pytest.raises(InvalidInput, match="is not a positive price"):
        Order("c", "X", Side.BUY, 1, limit, False)
    with pytest.raises(InvalidInput, match="is not a positive price"):
        Signal(Side.BUY, 1, limit, False)


@pytest.mark.parametrize(("client_id", "symbol"), [("", "X"), ("c", "")])
def test_an_order_without_its_names_cannot_be_built(client_id: str, symbol: str) -> None:
    """Client id and symbol are both needed."""
    with pytest.raises(InvalidInput, match="both names are needed"):
        Order(client_id, symbol, Side.BUY, 1, None, False)


def test_sides_know_their_sign_and_their_opposite() -> None:
    """BUY adds, SELL subtracts."""
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY
