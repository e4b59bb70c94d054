"""The synthetic market: the same for a seed, sound, bounded when asked."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.unit.workers.feed.files import all_ticks
from workers.feed import FeedError, SyntheticFeed


def test_a_seed_gives_the_same_ticks_again() -> None:
    """Two feeds of one seed are equal; another seed is another market."""
    one = all_ticks(SyntheticFeed(7, limit=1000))
    assert one == all_ticks(SyntheticFeed(7, limit=1000))
    assert one != all_ticks(SyntheticFeed(8, limit=1000))


@pytest.mark.parametrize("limit", [1, 127, 128, 129, 1000])
def test_a_limited_feed_gives_exactly_that_many(limit: int) -> None:
    """And a longer one starts with the same ticks."""
    feed = SyntheticFeed(1, limit=limit)
    ticks = all_ticks(feed)
    assert len(ticks) == limit == feed.counts.ticks == feed.counts.rows
    assert ticks == all_ticks(SyntheticFeed(1, limit=1500))[:limit]


def test_ticks_are_sound_and_go_forward() -> None:
    """Never crossed, never at or below zero, each later than the one before."""
    ticks = all_ticks(SyntheticFeed(3, symbol="X", price=100.0, limit=20_000))
    assert all(0 < tick.bid < tick.ask and tick.symbol == "X" for tick in ticks)
    assert all(one.time_ns < other.time_ns for one, other in itertools.pairwise(ticks))


def test_an_unlimited_feed_goes_on_until_it_is_stopped() -> None:
    """It never ends by itself, and ends at once when asked."""

    async def run() -> int:
        stop = asyncio.Event()
        seen = 0
        async for batch in SyntheticFeed(1).batches(stop):
            seen += len(batch)
            if seen > 5_000:
                stop.set()
        return seen

    assert 5_000 < asyncio.run(run()) < 5_500


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    """No ticks at all is a mistake, endless is None."""
    with pytest.raises(FeedError, match="give a number above 0, or none for an endless feed"):
        SyntheticFeed(1, limit=limit)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    """A market needs a positive price to start from."""
    with pytest.raises(FeedError, match="price"):
        SyntheticFeed(1, price=price)
