"""The gateway as members of the fleet: one agent for each session of the venue and the scopes its orders came with.

An order passes the gate of an agent that follows exactly the scopes under which it was admitted, so both speak of the
same epoch, and whoever stops one of these scopes waits for this agent, too. The agent says in its entry, from its
first beat on, to which session it sends. Made when the first order for it comes: it registers, then reads, and is
closed until its first answer, like any that joins.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from killswitch import Agent, clock
from workers import logs
from workers.broker import Broker, BrokerError, GuardedBroker

__all__ = ["Member", "Members", "Venue"]

_FIRST_ANSWER_S = 1.0
_DRAIN_S = 1.0
_STALE_NS = 1000 * clock.NS_PER_MS


class Venue(Broker, Protocol):
    """One session of a venue that others use as well."""

    def refresh(self) -> bool:
        """Learns what works and what is held there; whether the venue answered."""
        ...

    def close(self) -> None:
        """Closes the connection; orders go on working."""
        ...


class Member:
    """One agent and the session that it sends to, under the ownership token `owner`."""

    def __init__(self, agent: Agent, venue: Venue, owner: int, owns: Callable[[], bool]) -> None:
        self.agent = agent
        self.venue = venue
        self.owner = owner
        self.guard = GuardedBroker(venue, agent.gate, owns)
        self._fresh_ns = 0

    def is_stale(self) -> bool:
        """Whether what this side knows of the session is old. Others trade there, too: whether an order reduces is
        judged on a fresh picture only."""
        return clock.now_ns() - self._fresh_ns > _STALE_NS

    def refresh(self) -> bool:
        """Learns what works and what is held; whether the venue answered."""
        answered = self.venue.refresh()
        self._fresh_ns = clock.now_ns() if answered else 0
        return answered

    def doubt(self) -> None:
        """What is known here may be wrong."""
        self._fresh_ns = 0

    def settled(self) -> bool:
        """Whether nothing more can come of any order that was sent: the venue is asked where it did not answer."""
        try:
            self.guard.settle()
        except BrokerError:
            return False
        return True

    def close(self) -> bool:
        """Leaves the fleet; False where an order is still in flight: then the entry stays for the operator to see."""
        self.settled()
        self.agent.close(_DRAIN_S)
        self.venue.close()
        return self.agent.in_flight == 0


class Members:
    """The members of this process, at most `most`; the one used longest ago makes room for a new one.

    `make_agent(session, scopes)` makes an agent that was not started; `make_venue(session, owner)` opens a session.
    """

    def __init__(
        self,
        make_agent: Callable[[str, tuple[str, ...]], Agent],
        make_venue: Callable[[str, int], Venue],
        most: int = 64,
    ) -> None:
        self._make_agent = make_agent
        self._make_venue = make_venue
        self._most = most
        self._members: OrderedDict[tuple[str, tuple[str, ...]], Member] = OrderedDict()
        self._owns: Callable[[], bool] = lambda: False
        self._log = logs.get()
        self.undrained = False
        """A member was given up with an order in flight."""

    def act_for(self, owns: Callable[[], bool]) -> None:
        """From now on orders are sent while `owns()`."""
        self._owns = owns

    def of(self, session: str, scopes: tuple[str, ...], owner: int) -> Member:
        """The member for these orders, in the fleet and with its first answer where one came in time."""
        key = (session, scopes)
        member = self._members.get(key)
        if member is None:
            if len(self._members) >= self._most:
                self._close(next(iter(self._members)))
            agent = self._make_agent(session, scopes).start()
            member = self._members[key] = self._make(agent, session, owner)
            agent.wait_open(_FIRST_ANSWER_S)
        elif member.owner != owner and member.settled():
            member.venue.close()
            member = self._members[key] = self._make(member.agent, session, owner)
        self._members.move_to_end(key)
        return member

    def settle(self) -> None:
        """Asks once more after orders whose fate is unknown."""
        for member in self._members.values():
            if member.guard.unsettled:
                member.settled()

    def close(self) -> bool:
        """All of them leave the fleet; False where orders were still in flight."""
        for key in list(self._members):
            self._close(key)
        return not self.undrained

    def _make(self, agent: Agent, session: str, owner: int) -> Member:
        return Member(agent, self._make_venue(session, owner), owner, lambda: self._owns())

    def _close(self, key: tuple[str, tuple[str, ...]]) -> None:
        member = self._members.pop(key)
        if not member.close():
            self.undrained = True
            self._log.error("agent_not_drained", session=key[0], in_flight=member.agent.in_flight)
