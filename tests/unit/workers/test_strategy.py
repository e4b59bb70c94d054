"""The reference strategy: when it enters, when it leaves, and that it stays within its bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch import InvalidInput
from tests.unit.workers.doubles import ticks_at
from workers.broker import PaperBroker
from workers.domain import Order, Position, Side, Signal, Tick
from workers.feed import SyntheticFeed
from workers.strategy import MeanReversion

CALM = [1.0, 1.001] * 10
"""Prices that give an average of about 1.0005 and a band of some 0.0005."""


def small(**changes: Any) -> MeanReversion:
    """A strategy with numbers small enough to reckon with."""
    return MeanReversion(**{"span": 10, "width": 2.0, "quantity": 10, "max_position": 25, "pause": 3, **changes})


def feed(strategy: MeanReversion, ticks: list[Tick], held: int = 0) -> list[Signal]:
    """The signals that `ticks` bring while `held` does not change."""
    found = []
    for tick in ticks:
        strategy.on_tick(tick)
        signal = strategy.signal(tick, Position("EURUSD", held, 1.0 if held else 0.0))
        if signal is not None:
            found.append(signal)
    return found


def after_calm(*mids: float, held: int = 0, **changes: Any) -> list[Signal]:
    """The signals that `mids` bring once the averages have settled on CALM."""
    strategy = small(**changes)
    for tick in ticks_at(*CALM):
        strategy.on_tick(tick)
    return feed(strategy, ticks_at(*mids), held)


def test_a_fall_below_the_band_buys_at_the_bid() -> None:
    """An entry rests at the near touch and does not claim to reduce."""
    (tick,) = ticks_at(0.99)
    assert after_calm(0.99) == [Signal(Side.BUY, 10, tick.bid, reduces=False)]


def test_a_rise_above_the_band_sells_at_the_ask() -> None:
    """The mirror image."""
    (tick,) = ticks_at(1.01)
    assert after_calm(1.01) == [Signal(Side.SELL, 10, tick.ask, reduces=False)]


def test_a_price_inside_the_band_brings_nothing_when_flat() -> None:
    """No signal without a reason."""
    assert after_calm(1.0008) == []


@pytest.mark.parametrize(("held", "mid", "side"), [(20, 1.0, Side.SELL), (-20, 1.001, Side.BUY)])
def test_inside_the_band_an_exit_rests_at_the_average(held: int, mid: float, side: Side) -> None:
    """For all that is held, better than the market is now, and it reduces."""
    (signal,) = after_calm(mid, held=held)
    assert (signal.side, signal.quantity, signal.reduces) == (side, 20, True)
    assert signal.limit == pytest.approx(1.0005, abs=2e-4)


@pytest.mark.parametrize("mid", [1.0008, 1.01])
def test_beyond_the_average_a_long_position_is_left_at_the_touch(mid: float) -> None:
    """It does not wait for more, and an opposite entry does not take the place of the exit."""
    (tick,) = ticks_at(mid)
    assert after_calm(mid, held=20) == [Signal(Side.SELL, 20, tick.bid, reduces=True)]


@pytest.mark.parametrize("mid", [1.0002, 0.99])
def test_beyond_the_average_a_short_position_is_left_at_the_touch(mid: float) -> None:
    """The mirror image."""
    (tick,) = ticks_at(mid)
    assert after_calm(mid, held=-20) == [Signal(Side.BUY, 20, tick.ask, reduces=True)]


def test_the_last_entry_is_cut_to_the_room_that_is_left() -> None:
    """25 is the limit and 20 are held, so 5 are bought."""
    assert [signal.quantity for signal in after_calm(0.99, held=20)] == [5]


def test_a_full_position_is_not_added_to() -> None:
    """No room for an entry: the exit rests instead."""
    assert [signal.reduces for signal in after_calm(0.99, held=25)] == [True]


def test_signals_keep_the_pause() -> None:
    """After a signal there is none for `pause` ticks."""
    assert len(after_calm(0.99, 0.98, 0.97, 0.96, pause=3, width=0.5)) == 2


def test_nothing_is_decided_before_the_averages_mean_something() -> None:
    """The first `span` ticks of a symbol only teach."""
    assert feed(small(), ticks_at(1.0, 1.1, 0.9, 1.2, 0.8)) == []


def test_symbols_do_not_disturb_each_other() -> None:
    """Each has averages of its own."""
    strategy = small()
    for one, other in zip(ticks_at(*CALM), ticks_at(*[50.0] * len(CALM), symbol="XAUUSD"), strict=True):
        strategy.on_tick(one)
        strategy.on_tick(other)
    assert [signal.side for signal in feed(strategy, ticks_at(0.99))] == [Side.BUY]


@pytest.mark.parametrize("change", [{"span": 0}, {"width": 0.0}, {"quantity": 0}, {"pause": -1}])
def test_a_senseless_parameter_is_refused(change: dict[str, Any]) -> None:
    """The error names the parameter and its value."""
    with pytest.raises(InvalidInput, match=rf"{next(iter(change))} .* is not above 0"):
        small(**change)


def test_a_limit_below_one_entry_is_refused() -> None:
    """Such a strategy could never trade."""
    with pytest.raises(InvalidInput, match="is below one entry"):
        small(max_position=9)


async def _trade(seed: int) -> tuple[list[Signal], int, int]:
    """Signals, fills and the largest position of a run on the synthetic market with a paper venue."""
    strategy, broker = MeanReversion(), PaperBroker()
    signals: list[Signal] = []
    fills = largest = 0
    async for batch in SyntheticFeed(seed, limit=5_000).batches(asyncio.Event()):
        for tick in batch:
            fills += len(broker.on_tick(tick))
            strategy.on_tick(tick)
            held = broker.position(tick.symbol)
            largest = max(largest, abs(held.quantity))
            signal = strategy.signal(tick, held)
            if signal is not None:
                broker.cancel_all()
                signals.append(signal)
                order = Order(
                    str(len(signals)), tick.symbol, signal.side, signal.quantity, signal.limit, signal.reduces
                )
                broker.submit(order, token=1)
    return signals, fills, largest


def test_on_the_synthetic_market_it_really_trades() -> None:
    """Entries on both sides, reducing exits, fills, and never more than the limit held."""
    signals, fills, largest = asyncio.run(_trade(seed=1))
    kinds = {(signal.side, signal.reduces) for signal in signals}
    assert kinds == {(side, reduces) for side in Side for reduces in (False, True)}
    assert fills > 50
    assert 0 < largest <= 5_000


def test_the_same_ticks_give_the_same_signals() -> None:
    """No clock, no chance: a run can be repeated."""
    assert asyncio.run(_trade(seed=2)) == asyncio.run(_trade(seed=2))


@given(st.lists(st.floats(0.5, 2.0), max_size=80), st.integers(-25, 25))
def test_no_signal_leads_beyond_the_limit(mids: list[float], held: int) -> None:
    """Whatever the prices, a filled signal leaves the position within its bound, and an exit leaves it flat."""
    for signal in feed(small(pause=1), ticks_at(*mids), held):
        left = held + signal.side.sign * signal.quantity
        assert abs(left) <= 25
        assert left == 0 or not signal.reduces
