"""A market made of a seed: the same seed gives the same ticks, on every machine and every run.

The mid price wanders and is drawn back to a level that wanders itself more slowly (an Ornstein-Uhlenbeck process about
a random walk), with a sudden jump now and then. That gives a mean-reverting strategy something to trade, and shocks to
be stopped in. Quotes come at random intervals of about 100 ms, their spread between one and four price steps.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator, Sequence

from workers.domain import Tick
from workers.feed.base import BATCH, FeedCounts, FeedError
from workers.feed.pacing import Speed, paced

__all__ = ["SyntheticFeed"]

_START_NS = 1_399_507_200_000_000_000  # 2014-05-08 00:00 UTC: any fixed moment will do
_MEAN_GAP_NS = 100_000_000
_STEP = 1e-5  # of the starting price
_PULL = 0.01  # share of the way back to the level in one tick
_NOISE = 1.0  # steps a tick
_DRIFT = 0.2  # steps a tick, of the level
_JUMP_CHANCE = 1 / 20_000
_JUMP = 150.0  # steps


class SyntheticFeed:
    """`limit` ticks (None: without end) of `symbol` around `price`, made from `seed`; the first `lead` come at once.

    Raises:
        FeedError: a limit or a price that is not above 0.
    """

    def __init__(
        self,
        seed: int,
        *,
        symbol: str = "EURUSD",
        price: float = 1.39,
        limit: int | None = None,
        speed: Speed = "max",
        lead: int = 0,
    ) -> None:
        if limit is not None and limit <= 0:
            raise FeedError(f"synthetic feed: {limit} ticks: give a number above 0, or none for an endless feed")
        if not 0 < price < float("inf"):
            raise FeedError(f"synthetic feed: price {price}: give a number above 0")
        self._seed = seed
        self._symbol = symbol
        self._price = price
        self._limit = limit
        self._speed = speed
        self._lead = lead
        self.counts = FeedCounts()

    def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        """Yields the ticks; see `Feed`."""
        return paced(self._make(), self._speed, stop, lead=self._lead)

    def _make(self) -> Iterator[list[Tick]]:
        walk = _walk(random.Random(self._seed), self._symbol, self._price)
        left = self._limit
        while left is None or left > 0:
            size = BATCH if left is None else min(BATCH, left)
            ticks = [next(walk) for _ in range(size)]
            self.counts.rows += size
            self.counts.ticks += size
            left = None if left is None else left - size
            yield ticks


def _walk(rng: random.Random, symbol: str, price: float) -> Iterator[Tick]:
    gauss, uniform, wait = rng.gauss, rng.random, rng.expovariate
    step = price * _STEP
    floor = price / 2  # reflects a walk that goes on for days, so that no price ever reaches zero
    level = mid = price
    time_ns = _START_NS
    while True:
        time_ns += 1 + int(wait(1.0) * _MEAN_GAP_NS)
        level += gauss(0.0, _DRIFT) * step
        if uniform() < _JUMP_CHANCE:
            level += _JUMP * step * (1 if uniform() < 0.5 else -1)
        level = floor + abs(level - floor)
        mid += (level - mid) * _PULL + gauss(0.0, _NOISE) * step
        half = (1 + int(uniform() * 4)) * step / 2
        bid = max(step, mid - half)
        yield Tick(symbol, time_ns, bid, bid + 2 * half)
