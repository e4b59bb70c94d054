"""A stand-in for `killswitch.Agent` with a switch that a test turns by hand: no Redis, no thread, no lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

from killswitch import Agent, Blocked, Code, Mode, Settings, View
from workers.agents import AgentFactory, AgentHolder
from workers.worker import EngineWorker

__all__ = ["SHORT", "AgentDouble", "MakeWorker", "Switch", "holder", "step"]

MakeWorker = Callable[..., EngineWorker]


@dataclass
class Switch:
    """What every agent of the test sees. `made` are the agents in the order in which they were made."""

    mode: Mode = Mode.SAFE
    epoch: int = 1
    made: list[AgentDouble] = field(default_factory=list)

    def engage(self) -> None:
        self.mode, self.epoch = Mode.ENGAGED, self.epoch + 1

    def reset(self) -> None:
        self.mode, self.epoch = Mode.SAFE, self.epoch + 1
        for agent in self.made:
            agent.opened()


class _Permit:
    def __init__(self, agent: AgentDouble, epoch: int, reduces: bool) -> None:
        self._agent, self.epoch, self._reduces = agent, epoch, reduces
        self._held = False

    def __enter__(self) -> _Permit:
        self._agent.gate.check(self.epoch)
        self._agent.in_flight += 1
        self._held = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._agent.in_flight -= self._held
        self._held = False

    def __del__(self) -> None:
        """As the real one: a permit ends with its last holder."""
        self.__exit__(None, None, None)


class _Gate:
    def __init__(self, agent: AgentDouble) -> None:
        self._agent = agent

    def signal(self) -> int:
        switch = self._agent.switch
        if not self._agent.running or switch.mode is Mode.ENGAGED:
            raise Blocked(Code.ENGAGED, Mode.ENGAGED, switch.epoch, "engaged")
        return switch.epoch

    def check(self, epoch: int) -> None:
        in_force = self.signal()
        if epoch != in_force:
            raise Blocked(Code.STALE_SIGNAL, self._agent.switch.mode, in_force, "stale")

    def order(self, epoch: int, reduces: bool = False, order_id: str = "") -> _Permit:
        return _Permit(self._agent, epoch, reduces)


class AgentDouble:
    """Follows `switch` at once."""

    def __init__(self, switch: Switch, scopes: tuple[str, ...], engine: str | None) -> None:
        self.switch, self.scopes, self.engine = switch, scopes, engine
        self.worker_id = "double"
        self.settings = Settings(_env_file=None)
        self.gate = _Gate(self)
        self.in_flight = 0
        self.running = False
        self.info: dict[str, Any] = {}
        self.succeeded: list[tuple[AgentDouble, bool]] = []
        self._open_callbacks: list[Callable[[View], None]] = []

    @property
    def view(self) -> View:
        code = Code.ENGAGED if self.switch.mode is Mode.ENGAGED else Code.OPEN
        return View(self.switch.mode, self.switch.epoch, code, "", 0.0, "double")

    def start(self) -> AgentDouble:
        self.running = True
        return self

    def succeed(self, closed: AgentDouble, *, unleft: bool = False) -> None:
        self.succeeded.append((closed, unleft))

    def close(self, drain_s: float = 5.0) -> bool:
        self.running = False
        return self.in_flight == 0

    def wait_open(self, timeout_s: float = 5.0) -> bool:
        return self.switch.mode is not Mode.ENGAGED

    def annotate(self, **values: str | int | float) -> None:
        self.info.update(values)

    def on_open(self, callback: Callable[[View], None]) -> None:
        self._open_callbacks.append(callback)

    def on_close(self, callback: Callable[[View], None]) -> None:
        """Never called: the double closes without telling."""

    def opened(self) -> None:
        for callback in self._open_callbacks if self.running else ():
            callback(self.view)


def holder(switch: Switch, scopes: tuple[str, ...] = ()) -> AgentHolder:
    """A holder whose agents follow `switch`; not started."""

    def make(scopes: tuple[str, ...], engine: str | None) -> Agent:
        switch.made.append(AgentDouble(switch, scopes, engine))
        return cast(Agent, switch.made[-1])

    factory: AgentFactory = make
    return AgentHolder(factory, scopes, drain_s=0.1)


def step(worker: EngineWorker) -> str | None:
    """Claims and runs one job, as the loop does; its id, or None when there was none to claim."""
    claimed = worker._claims.next()
    if claimed is None:
        return None
    worker.execute_job(*claimed)
    return claimed[0].id


SHORT: dict[str, object] = {
    "name": "e1",
    "symbol": "EURUSD",
    "feed": {"kind": "synthetic", "seed": 7, "count": 600},
    "scopes": ["strategy:meanrev"],
}
"""An engine that ends after 600 ticks."""
