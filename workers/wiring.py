"""Builds what a checked specification describes: feed, strategy, venue, recorder and engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from killswitch import Admission, Agent, InvalidInput
from workers.broker import Broker, BrokerError, GuardedBroker, PaperBroker
from workers.broker.journal import JournalBroker
from workers.engine import Engine
from workers.feed import Feed, ReplayFeed, SyntheticFeed
from workers.recorder import JsonLinesRecorder, Recorder
from workers.spec import EngineSpec, ReplaySpec
from workers.strategy import MeanReversion, Strategy
from workers.venue import VenueBroker

__all__ = ["Venues", "build_engine", "build_feed", "build_recorder", "build_strategy"]

PAPER = "paper"
"""What a specification calls the venue inside of a worker."""


class Venues:
    """Where the orders of this process go, one session for each engine or account.

    With a `url` that is the venue process there, which the fleet calls `name`: its sessions outlive this process.
    Without one they are paper venues in here, and end with the process. With a `journal` engines send to that venue
    through it: Redis admits their orders, and a gateway forwards them.
    """

    def __init__(self, url: str = "", name: str = "venue", journal: str = "") -> None:
        self._url = url
        self._name = name
        self._journal = journal
        self._brokers: dict[str, Broker] = {}
        self._guards: list[GuardedBroker] = []

    def must_be(self, broker: str | None) -> None:
        """Raises InvalidInput where orders of this process go somewhere else than to `broker`; None is anywhere."""
        here = self._name if self._url else PAPER
        if broker not in (None, here):
            raise InvalidInput(
                f"its orders are to go to {broker}, and this worker sends to {here}: start workers "
                + (
                    "without WORKERS_VENUE_URL"
                    if broker == PAPER
                    else f"with the URL and the name of the venue {broker}"
                )
            )

    def said(self, account: str) -> dict[str, str]:
        """What the entry of whoever sends for `account` says: where its orders can be refused when it cannot be asked.
        Nothing for a venue that ends with the process."""
        return {"sinks": f"{self._name}/{account}"} if self._url else {}

    def of(self, account: str, worker: str = "") -> Broker:
        """The session of `account` for orders that nobody owns, opened when it is asked for the first time."""
        if account not in self._brokers:
            self._brokers[account] = self._open(account, 0, worker)
        return self._brokers[account]

    def guarded(self, account: str, agent: Agent, owns: Callable[[], bool]) -> GuardedBroker:
        """That session behind the gates of `agent`, for one job. It is kept for as long as it does not know the fate of
        an order, because a permit is returned with the last who holds it, and the order is still in flight."""
        guard = GuardedBroker(self.of(account, agent.worker_id), agent.gate, owns)
        self._guards.append(guard)
        return guard

    @property
    def settled(self) -> bool:
        """Whether the fate of every order is known that a job sent here."""
        self._guards = [guard for guard in self._guards if guard.unsettled]
        return not self._guards

    def settle(self) -> None:
        """Asks the venue again about orders of unknown fate, where there are any."""
        for guard in () if self.settled else self._guards:
            with suppress(BrokerError):
                guard.settle()

    def fresh(self, account: str, *, owner: int = 0, worker: str = "") -> Broker:
        """The session of `account` for one run of an engine under the ownership token `owner`."""
        self.hang_up(account)
        self._brokers[account] = self._open(account, owner, worker)
        return self._brokers[account]

    @contextmanager
    def sending(self, account: str, agent: Agent, owner: int) -> Iterator[Broker]:
        """The session of `account` for one run of an engine behind `agent`, under the ownership token `owner`."""
        session = self.fresh(account, owner=owner, worker=agent.worker_id)
        if not self._journal or not isinstance(session, VenueBroker):
            yield session
            return
        with Admission(agent, self._journal) as admission:
            yield JournalBroker(session, admission, account, owner)

    def hang_up(self, *accounts: str) -> None:
        """Closes the lines of these accounts, or of all; at a venue of another process their orders go on working."""
        for account in accounts or tuple(self._brokers):
            session = self._brokers.get(account)
            if isinstance(session, VenueBroker):
                session.close()
                del self._brokers[account]

    def clean(self, account: str, owner: int) -> Sequence[str]:
        """Cancels what owners of `account` up to `owner` left working, and has them refused from now on; the ids.

        May be repeated. Raises BrokerError when the venue did not do it.
        """
        if self._url:
            session = VenueBroker(self._url, account)
            try:
                return session.fence_out(owner)
            finally:
                session.close()
        left = self._brokers.get(account, PaperBroker())
        ids = tuple(order.client_id for order in left.open_orders())
        left.cancel_all()
        return ids

    def _open(self, account: str, owner: int, worker: str) -> Broker:
        if not self._url:
            return PaperBroker()
        session = VenueBroker(self._url, account, owner=owner, worker=worker)
        session.refresh()  # where it is away now, the first quote tries again
        return session


def build_feed(spec: EngineSpec) -> Feed:
    """The feed of `spec`. Raises FeedError (an InvalidInput) when a file cannot be replayed."""
    feed = spec.feed
    if isinstance(feed, ReplaySpec):
        return ReplayFeed(feed.files, speed=feed.speed, symbol=spec.symbol, venue=feed.venue, lead=feed.lead)
    return SyntheticFeed(feed.seed, symbol=spec.symbol, limit=feed.count, speed=feed.speed, lead=feed.lead)


_STRATEGIES: Mapping[str, Callable[..., Strategy]] = {"mean-reversion": MeanReversion}
"""Every strategy that a specification may name; each takes `quantity` and `max_position`."""


def build_strategy(spec: EngineSpec) -> Strategy:
    """The strategy that `spec` names, at its size. Raises InvalidInput for a limit below one entry."""
    return _STRATEGIES[spec.strategy](quantity=spec.quantity, max_position=spec.most_held)


def build_recorder(spec: EngineSpec) -> Recorder | JsonLinesRecorder:
    """The recorder of `spec`: a file when it names one, otherwise none. Raises OSError when it cannot be opened."""
    return Recorder() if spec.events is None else JsonLinesRecorder(Path(spec.events), spec.name)


def build_engine(
    spec: EngineSpec, *, feed: Feed, broker: GuardedBroker, agent: Agent, run: str, recorder: Recorder
) -> Engine:
    """The engine of `spec`, behind the gates of `agent`. `run` tells this run from every other of the same engine."""
    return Engine(
        spec.name,
        feed=feed,
        strategy=build_strategy(spec),
        broker=broker,
        agent=agent,
        order_prefix=f"{spec.name}-{run}",
        recorder=recorder,
        patience_ms=agent.settings.patience_ms,
    )
