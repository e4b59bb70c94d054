"""One agent per process, though scopes come with the engine.

An idle worker is a member of the fleet with the scopes of its settings; this agent decides whether gated jobs
start. When an engine starts, that agent leaves and another takes its place under the same worker id, with the
engine's name and its scopes as well. Never two at a time: the registry has one entry per process, so `engage
--wait` counts each process once. The new agent registers first and reads afterwards, and is closed until its first
answer, like any that joins. It knows what the ones before it saw: no stop is forgotten because an engine came or went.

A scope of the engine that is engaged therefore does not keep the engine in the queue: it starts with closed gates,
sends nothing, is counted among the scope's followers, and goes on when the scope is reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from killswitch import Agent, Blocked, Code, KillSwitchError, Settings, View
from workers import logs

__all__ = ["AgentFactory", "AgentHolder", "NotDrained", "switch_agents"]

AgentFactory = Callable[[tuple[str, ...], str | None], Agent]
"""Makes an agent that was not started yet, from scopes and the name of the engine."""

_IDLE_DRAIN_S = 1.0
_ANNOUNCED_S = 0.05


class NotDrained(KillSwitchError):
    """An order is in flight, so this process's entry in the registry must stay as it is."""

    def __str__(self) -> str:
        return "an order of this process is in flight: its agent cannot be replaced"


def switch_agents(settings: Settings, worker_id: str) -> AgentFactory:
    """Agents of the real switch, all under `worker_id`."""

    def make(scopes: tuple[str, ...], engine: str | None) -> Agent:
        return Agent(settings, scopes=list(scopes), engine=engine or "", worker_id=worker_id)

    return make


class AgentHolder:
    """The agent of this process, whichever it is at the moment. Used by the worker's main thread only."""

    def __init__(self, make: AgentFactory, scopes: tuple[str, ...], *, drain_s: float = 5.0) -> None:
        self._make = make
        self._scopes = scopes
        self._drain_s = drain_s
        self._listeners: list[Callable[[View], None]] = []
        self._agent: Agent | None = None
        self._info: dict[str, str] = {}
        self._log = logs.get()
        self._last: Agent | None = None
        self._unleft = False
        self.leaving = False
        """Set when the process is to end: no agent is started any more."""
        self.undrained = False
        """An agent was given up with orders in flight; its entry in the registry stays for the operator to see."""

    @property
    def current(self) -> Agent:
        """The agent now. Raises LookupError before `start` and after `close`."""
        if self._agent is None:
            raise LookupError("no agent: the holder was not started or is closed")
        return self._agent

    def on_open(self, listener: Callable[[View], None]) -> None:
        """`listener(view)` is called on the watcher thread whenever the gate opens, whichever agent it is."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Joins the fleet with the scopes of the settings."""
        self._start(self._make(self._scopes, None))

    def open(self) -> bool:
        """Whether gate 1 is open now: what an engine would find if it started. Open under REDUCING, too."""
        if self._agent is None:
            return False
        try:
            self._agent.gate.signal()
        except Blocked as blocked:
            # Something was announced, perhaps a drill or a change elsewhere: a round trip later it is known what.
            return blocked.code is Code.STATE_CHANGED and self._agent.wait_open(_ANNOUNCED_S)
        return True

    def saying(self, **info: str) -> Agent:
        """The agent of this process with `info` in its entry from its first beat on: it is said before an order goes
        where it says. An agent without it is replaced.

        Raises:
            NotDrained: an order is in flight.
        """
        if not info.items() <= self._info.items():
            if self.current.in_flight:
                raise NotDrained
            agent = self._make(self._scopes, None)
            agent.annotate(**info)
            self._leave(_IDLE_DRAIN_S)
            self._start(agent)
            self._info = info
        return self.current

    @contextmanager
    def serving(self, engine: str, scopes: tuple[str, ...], **info: str) -> Iterator[Agent]:
        """The agent for `engine`, in place of the idle one while the block runs. Its entry has `info` from its first
        beat on, which comes before any permission: nobody sends where its entry does not say."""
        both = tuple(dict.fromkeys((*self._scopes, *scopes)))
        agent = self._make(both, engine)  # what cannot be made costs the job, not the idle agent
        agent.annotate(**info)
        self._leave(_IDLE_DRAIN_S)
        self._info = {}
        self._start(agent)
        try:
            yield agent
        finally:
            # A successor would overwrite the record of an order that is still on its way.
            if not self._leave(self._drain_s):
                self.leaving = True
            if not self.leaving:
                self._start(self._make(self._scopes, None))

    def close(self) -> bool:
        """Leaves the fleet; False when orders were still in flight, and then the registry keeps this member."""
        return self._leave(self._drain_s)

    def _start(self, agent: Agent) -> None:
        """Makes `agent` the one of this process. If its start is cut short the process ends."""
        for listener in self._listeners:
            agent.on_open(listener)
        if self._last is not None:
            agent.succeed(self._last, unleft=self._unleft)
        self._agent = agent
        try:
            agent.start()
        except BaseException:
            self.leaving = True
            raise

    def _leave(self, drain_s: float) -> bool:
        agent = self._agent
        if agent is None:
            return True
        try:
            left = agent.close(drain_s)
        except BaseException:  # a job's time limit falls into the drain: whether the orders came back is not known
            self.leaving = self.undrained = True
            raise
        self._agent, self._last, self._unleft = None, agent, False
        if agent.in_flight:
            self.undrained = True
            self._log.error("agent_not_drained", in_flight=agent.in_flight, drain_s=drain_s)
        elif not left:  # the switch's Redis did not answer: shown as silent until its entry is too old
            self._unleft = True
            self._log.warning("agent_not_left")
        return not self.undrained
