"""Builds what a checked specification describes: feed, strategy, venue, recorder and engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from killswitch import Agent
from workers.broker import Broker, Gate, GuardedBroker, PaperBroker
from workers.engine import Engine
from workers.feed import Feed, ReplayFeed, SyntheticFeed
from workers.recorder import JsonLinesRecorder, Recorder
from workers.spec import EngineSpec, ReplaySpec
from workers.strategy import MeanReversion

__all__ = ["Venues", "build_engine", "build_feed", "build_recorder", "build_strategy"]

_ENTRIES_HELD = 5


class Venues:
    """The paper venues of this process, one per engine or account. They end with the process, like a broker session."""

    def __init__(self) -> None:
        self._brokers: dict[str, Broker] = {}

    def of(self, account: str) -> Broker:
        """The venue of `account`, opened when it is asked for the first time."""
        return self._brokers.setdefault(account, PaperBroker())

    def fresh(self, account: str) -> Broker:
        """A new venue for one run of an engine, in place of the one before."""
        self._brokers[account] = PaperBroker()
        return self._brokers[account]


def build_feed(spec: EngineSpec) -> Feed:
    """The feed of `spec`. Raises FeedError (an InvalidInput) when a file cannot be replayed."""
    feed = spec.feed
    if isinstance(feed, ReplaySpec):
        return ReplayFeed(feed.files, speed=feed.speed, symbol=spec.symbol, venue=feed.venue, lead=feed.lead)
    return SyntheticFeed(feed.seed, symbol=spec.symbol, limit=feed.count, speed=feed.speed, lead=feed.lead)


def build_strategy(spec: EngineSpec) -> MeanReversion:
    """The reference strategy at the size of `spec`. Raises InvalidInput for a limit below one entry."""
    most = spec.max_position or spec.quantity * _ENTRIES_HELD
    return MeanReversion(quantity=spec.quantity, max_position=most)


def build_recorder(spec: EngineSpec) -> Recorder | JsonLinesRecorder:
    """The recorder of `spec`: a file when it names one, otherwise none. Raises OSError when it cannot be opened."""
    return Recorder() if spec.events is None else JsonLinesRecorder(Path(spec.events), spec.name)


def build_engine(
    spec: EngineSpec,
    *,
    feed: Feed,
    venue: Broker,
    agent: Agent,
    owns: Callable[[], bool],
    run: str,
    recorder: Recorder,
) -> Engine:
    """The engine of `spec`, behind the gates of `agent`. `run` tells this run from every other of the same engine."""
    gate: Gate = agent.gate
    return Engine(
        spec.name,
        feed=feed,
        strategy=build_strategy(spec),
        broker=GuardedBroker(venue, gate, owns),
        agent=agent,
        order_prefix=f"{spec.name}-{run}",
        recorder=recorder,
    )
