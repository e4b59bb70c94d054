"""Child program: the engine's whole loop on ticks, with the real gates, without gates, and with a GET instead of them.

    python -m ops.bench.trader <parameters as JSON>

Prints one JSON object. The stand-ins for the gate exist here only; the library has no switch to turn checks off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import redis

from killswitch import Agent, Blocked, Code, Mode, Settings, View
from ops.bench.children import live_with_parent
from ops.bench.errors import BenchError
from workers import logs
from workers.broker import GuardedBroker, PaperBroker
from workers.domain import Tick
from workers.engine import Engine
from workers.feed import Feed, FeedCounts, ReplayFeed, SyntheticFeed
from workers.report import EngineReport
from workers.strategy import MeanReversion

KINDS = ("gates", "none", "get")


class _NoPermit:
    epoch = 1

    def __enter__(self) -> _NoPermit:
        return self

    def __exit__(self, *_: object) -> None:
        return None


_NO_PERMIT = _NoPermit()


class _NoGate:
    """Costs as little as a call can: what the loop is without a switch."""

    def signal(self) -> int:
        return 1

    def order(self, epoch: int, *, reduces: bool, order_id: str) -> _NoPermit:
        return _NO_PERMIT


class _GetGate(_NoGate):
    """The usual alternative: ask Redis before every tick."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self._key = key

    def signal(self) -> int:
        if self._client.get(self._key) != b"SAFE":
            raise Blocked(Code.ENGAGED, Mode.ENGAGED, 1, "the key does not say SAFE")
        return 1


class _StandIn:
    """What the engine needs of an agent, around a stand-in gate."""

    view = View(Mode.SAFE, 1, Code.OPEN, "a stand-in", 0.0, "none")

    def __init__(self, gate: _NoGate) -> None:
        self.gate = gate

    def on_close(self, callback: Callable[[View], None], /) -> None:
        """Never calls it."""

    def annotate(self, **values: str | int | float) -> None:
        """Publishes nothing."""


class _First:
    """The first `count` ticks of a feed."""

    def __init__(self, feed: Feed, count: int) -> None:
        self._feed = feed
        self._left = count

    @property
    def counts(self) -> FeedCounts:
        """Of the feed behind."""
        return self._feed.counts

    async def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        """Until enough ticks were handed over."""
        async with contextlib.aclosing(self._feed.batches(stop)) as batches:
            async for batch in batches:
                yield batch[: self._left]
                self._left -= len(batch)
                if self._left <= 0:
                    return


def _run(agent: Any, feed: Feed) -> EngineReport:
    engine = Engine(
        "bench",
        feed=feed,
        strategy=MeanReversion(),
        broker=GuardedBroker(PaperBroker(), agent.gate, lambda: True),
        agent=agent,
    )
    return asyncio.run(engine.run())


def _feed(files: list[str], count: int) -> Feed:
    return _First(ReplayFeed(files) if files else SyntheticFeed(7, limit=count), count)


def _summary(report: EngineReport) -> dict[str, Any]:
    tick_to_order = report.latency["tick_to_order"]
    return {
        "per_s": report.ticks / report.elapsed_s,
        "ticks": report.ticks,
        "orders": report.orders,
        "tick_to_order_p50_ns": tick_to_order.quantile(0.5),
        "tick_to_order_p99_ns": tick_to_order.quantile(0.99),
        "blocked": sum(report.blocked_signals.values()),
    }


def main() -> None:
    """Takes turns between the kinds, `rounds` times, after one turn to warm up."""
    live_with_parent()
    wanted = json.loads(sys.argv[1])
    settings = Settings()
    client = redis.Redis.from_url(settings.redis_url, password=settings.redis_password or None)
    results: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    with Path(wanted["log"]).open("w") as log, Agent(settings, ["strategy:bench"], engine="bench") as agent, client:
        logs.configure(stream=log)
        if not agent.wait_open(10):
            raise BenchError(f"the gate did not open: {agent.view.reason}")
        stands: dict[str, Any] = {
            "gates": agent,
            "none": _StandIn(_NoGate()),
            "get": _StandIn(_GetGate(client, f"{settings.prefix}:state")),
        }
        for number in range(wanted["rounds"] + 1):
            for kind, stand in stands.items():
                count = wanted["gets"] if kind == "get" else wanted["ticks"]
                report = _run(stand, _feed(wanted["files"], count))
                if number:
                    results[kind].append(_summary(report))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
