"""A lead: history that comes at once before the pace begins."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tests.unit.workers.doubles import ticks_at
from workers.feed import SyntheticFeed
from workers.feed.base import BATCH
from workers.feed.pacing import paced

HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize("lead", [1, BATCH, BATCH + 1, 300])
def test_lead_comes_at_once_and_the_pace_begins_after_it(lead: int) -> None:
    """A strategy warms up on history within a moment; from then on time passes as it was recorded."""

    async def first() -> tuple[int, bool]:
        feed = SyntheticFeed(1, speed=1e-6, lead=lead)  # the next tick after the lead would take hours
        stop = asyncio.Event()
        count = 0
        async with aclosing(feed.batches(stop)) as batches:
            async for batch in batches:
                count += len(batch)
                if count == lead:
                    asyncio.get_running_loop().call_soon(stop.set)
        return count, stop.is_set()

    assert asyncio.run(first()) == (lead, True)


def test_no_lead_is_paced_from_the_first_tick() -> None:
    """Without a lead nothing changes: the second tick waits for its time."""

    async def first() -> list[int]:
        stop = asyncio.Event()
        ticks = ticks_at(1.0, 1.0, 1.0)
        sizes = []
        async with aclosing(paced([ticks], 1e-9, stop)) as batches:
            async for batch in batches:
                sizes.append(len(batch))
                asyncio.get_running_loop().call_soon(stop.set)
        return sizes

    assert asyncio.run(first()) == [1]
