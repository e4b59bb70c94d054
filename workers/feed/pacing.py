"""How fast recorded time passes: as fast as the engine can take it, or as it was, or a multiple of that.

Paced, a tick is due when as much time has passed since the first tick as had when it was recorded, divided by the
speed. A gap in the record of more than MAX_GAP_S (a weekend, the change of a file) is passed over. A lead is history:
ticks handed over at once before the pace begins, for a strategy to warm up on.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Literal, TypeAlias

from killswitch.clock import now_ns
from workers.domain import Tick
from workers.feed.base import BATCH, FeedError

__all__ = ["MAX_GAP_S", "Speed", "paced", "parse_speed"]

Speed: TypeAlias = float | Literal["max"]
"""`"max"`, or how many recorded seconds pass in one second."""

MAX_GAP_S = 60
_MAX_GAP_NS = MAX_GAP_S * 1_000_000_000


def parse_speed(value: str | float) -> Speed:
    """Reads a speed: `max`, or a number above 0 such as 1 or 10.

    Raises:
        FeedError: neither of these.
    """
    if value == "max":
        return "max"
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise FeedError(f"speed {value!r} is neither max nor a number above 0: use max, 1 or 10")
    return number


async def paced(
    batches: Iterable[Sequence[Tick]],
    speed: Speed,
    stop: asyncio.Event,
    *,
    lead: int = 0,
    clock: Callable[[], int] = now_ns,
) -> AsyncGenerator[Sequence[Tick], None]:
    """Hands `batches` over at `speed`, the first `lead` ticks at once, until they end or `stop` is set; other tasks run
    after every batch."""
    if speed == "max":
        for batch in batches:
            if stop.is_set():
                return
            if batch:
                yield batch
            await asyncio.sleep(0)
        return
    anchor_wall = anchor_recorded = 0
    last: int | None = None
    due: list[Tick] = []
    for tick in (tick for batch in batches for tick in batch):
        lead -= 1
        if last is None or lead >= 0 or not 0 <= tick.time_ns - last <= _MAX_GAP_NS:
            anchor_wall, anchor_recorded = clock(), tick.time_ns
        last = tick.time_ns
        wait_ns = anchor_wall + (tick.time_ns - anchor_recorded) / speed - clock()
        if due and (wait_ns > 0 or len(due) >= BATCH):
            yield due
            due = []
            await asyncio.sleep(0)
        if stop.is_set() or (wait_ns > 0 and await _stopped_within(stop, wait_ns / 1e9)):
            return
        due.append(tick)
    if due:
        yield due


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
