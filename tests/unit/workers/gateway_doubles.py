"""A scripted venue, journal and ownership: what is around a gateway, played by values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from killswitch import Agent, Journal, JournalEntry, StoreUnavailable
from tests.unit.workers.doubles import ScriptedAgent
from workers.broker import BrokerError, PaperBroker, UnknownOutcome
from workers.domain import Order, Side
from workers.gateway.gateway import Gateway
from workers.gateway.judge import Judge
from workers.gateway.members import Members
from workers.gateway.order import written
from workers.ownership import Holder, Lease, Ownership

NOW_MS = 1_000_000


class ScriptedVenue(PaperBroker):
    """A paper venue whose answers may be lost: the next ones as `script` says."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.vouches = True
        self.script: list[str] = []
        self.closed = 0
        self.looks = 0

    def submit(self, order: Order, token: int) -> None:
        step = self.script.pop(0) if self.script else "answer"
        if step == "hang up":
            raise BrokerError(order.client_id, "nothing was sent")
        if step != "lose the order":
            super().submit(order, token)
        if step != "answer":
            raise UnknownOutcome(order.client_id, "no answer")

    def void(self, client_id: str) -> bool:
        if self.away or not self.vouches:
            raise BrokerError(client_id, "the venue is away")
        return super().void(client_id)

    def refresh(self) -> bool:
        self.looks += 1
        return not self.away

    def close(self) -> None:
        self.closed += 1


class World:
    """One judge, its agents by session, its venues by session and owner."""

    def __init__(self, scopes: tuple[str, ...] | None = None, max_age_ms: int = 5000, most: int = 64) -> None:
        self.agents: dict[str, ScriptedAgent] = {}
        self.venues: dict[tuple[str, int], ScriptedVenue] = {}
        self.made: list[tuple[str, tuple[str, ...]]] = []
        self.members = Members(self._agent, self._venue, most)
        self.members.act_for(lambda: self.owned)
        self.owned = True
        self.judge = Judge(self.members, scopes, max_age_ms)
        self.judge.tell_time(NOW_MS)

    def _agent(self, session: str, scopes: tuple[str, ...]) -> Agent:
        self.made.append((session, scopes))
        return cast(Agent, self.agents.setdefault(session, MemberAgent()))

    def _venue(self, session: str, owner: int) -> ScriptedVenue:
        return self.venues.setdefault((session, owner), ScriptedVenue())

    @property
    def agent(self) -> ScriptedAgent:
        """The agent of session e1."""
        self.members.of("e1", ("a:b",), 1)
        return self.agents["e1"]

    @property
    def venue(self) -> ScriptedVenue:
        """Session e1 under owner 1."""
        self.members.of("e1", ("a:b",), 1)
        return self.venues["e1", 1]

    def found(self, item: JournalEntry) -> tuple[str, str] | None:
        """Outcome and code of an entry."""
        verdict = self.judge.judge(item)
        return None if verdict is None else (verdict.outcome, verdict.code)


class MemberAgent(ScriptedAgent):
    """A scripted agent that can be started and closed."""

    closed = False

    def start(self) -> MemberAgent:
        return self

    def wait_open(self, _timeout_s: float) -> bool:
        return True

    def close(self, _drain_s: float) -> bool:
        self.closed = True
        return True

    @property
    def in_flight(self) -> int:
        return self.gate.in_flight


def entry(order_id: str = "o-1", *, session: str = "e1", owner: int = 1, **fields: str) -> JournalEntry:
    """An entry as ks_admit writes it."""
    order = Order(order_id, "EURUSD", Side.BUY, 10, 1.1, False)
    whole = {
        "epoch": "1", "worker": "w1", "order_id": order_id, "reduces": "0", "scopes": "a:b", "at_ms": str(NOW_MS),
        "order": json.dumps(written(order, session, owner)),
    }  # fmt: skip
    return JournalEntry(f"1-{order_id[2:]}", {**whole, **fields})


def working(venue: ScriptedVenue) -> list[str]:
    """Client ids of the orders that work there."""
    return [order.client_id for order in venue.open_orders()]


class ScriptedJournal:
    """Entries in a list; `trouble` is raised by the next calls of these names."""

    name = "orders"

    def __init__(self, *entries: JournalEntry) -> None:
        self.waiting = list(entries)
        self.outcomes: list[tuple[str, str, str]] = []
        self.trouble: dict[str, list[Exception]] = {}
        self.idle: Callable[[], None] = lambda: None

    def _call(self, name: str) -> None:
        if self.trouble.get(name):
            raise self.trouble[name].pop(0)

    def take(self, _token: int) -> str:
        self._call("take")
        return "0-0"

    def entries(self) -> list[JournalEntry]:
        self._call("entries")
        return list(self.waiting)

    def now_ms(self) -> int:
        return NOW_MS

    def wait(self, _limit_s: float) -> None:
        self.idle()

    def answer(self, _token: int, item: JournalEntry, outcome: str, code: str, _reason: str) -> bool:
        try:
            self._call("answer")
        except StoreUnavailable as error:
            if error.reason == "written":
                self._write(item, outcome, code)
            raise
        self._write(item, outcome, code)
        return True

    def _write(self, item: JournalEntry, outcome: str, code: str) -> None:
        self.waiting.remove(item)
        self.outcomes.append((item.fields["order_id"], outcome, code))

    def close(self) -> None:
        pass


class ScriptedOwnership:
    """Hands out a lease for each of `steps`, clear (the one before was given back) or not, or raises it; then somebody
    else has the journal. Its life is long, so nothing is renewed."""

    life_ms = 600_000
    believed_ns = 600_000_000_000

    def __init__(self, *steps: bool | Exception) -> None:
        self._steps = list(steps)
        self.released: list[str] = []
        self.renewed = True
        self.after: Callable[[], None] = lambda: None

    def acquire(self, engine: str) -> Lease | Holder:
        if not self._steps:
            self.after()
            return Holder("another", 9, 100)
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return _lease(cast(Ownership, self), engine, 0 if step else 1)

    def renew(self, _engine: str, _token: int) -> bool:
        return self.renewed

    def release(self, engine: str, _token: int, _key: str) -> bool:
        self.released.append(engine)
        return True

    def released_key(self, engine: str) -> str:
        return engine


class _Waiting(Lease):
    """A lease whose former owner did not give it back, and has stopped by now."""

    __slots__ = ("_first",)

    def wait_s(self) -> float:
        first, self._first = getattr(self, "_first", True), False
        return 0.001 if first else 0.0


def _lease(ownership: Ownership, engine: str, from_ns: int) -> Lease:
    kind = _Waiting if from_ns else Lease
    return kind(ownership, engine, 5, 2**62, 0)


def looped(world: World, journal: ScriptedJournal, ownership: ScriptedOwnership) -> bool:
    """Runs a gateway until its journal is empty; whether it drained."""
    gateway = Gateway(cast(Journal, journal), world.members, cast(Ownership, ownership))
    gateway._judge = world.judge
    journal.idle = ownership.after = gateway.stop
    return gateway.run()
