"""What every fault needs: a beginning and an end on record, somebody to befall, and an end before the quiet phase."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.kernel import MS
from tests.simulation.plan import log_uniform
from tests.simulation.redis_host import RedisHost
from tests.simulation.sockets import Link
from tests.simulation.trader import Trader
from tests.simulation.world import World

__all__ = ["Trouble"]


class Trouble:
    """Does what the plan of a world says. `undo` ends whatever is still under way."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kernel = world.kernel
        self._rng = world.rng
        self._ends: dict[int, tuple[str, str, Callable[[], None]]] = {}
        self._count = 0
        self._victim: Trader | None = None

    def schedule(self) -> None:
        """Puts every planned event on the heap."""
        for event in self._world.plan.events:
            self._kernel.at(event.t, getattr(self, f"_{event.what}"))

    # -- begin and end ----------------------------------------------------------------------------------------------

    def _note(self, name: str, phase: str, target: str) -> None:
        self._world.history.add("fault", self._kernel.now, name=name, phase=phase, target=target)

    def _during(self, name: str, target: str, duration_ns: int, end: Callable[[], None]) -> int:
        """`end` is called once, by `_end` with the number returned or when the time is over."""
        self._note(name, "begin", target)
        self._count += 1
        self._ends[self._count] = (name, target, end)
        self._kernel.at(min(self._kernel.now + duration_ns, self._world.plan.faults_ns), self._end, self._count)
        return self._count

    def _end(self, number: int) -> None:
        found = self._ends.pop(number, None)
        if found is not None:
            name, target, end = found
            end()
            self._note(name, "end", target)

    def undo(self) -> None:
        """Everything is whole again."""
        for trader in self._world.traders.values():
            if trader.watcher is not None:
                trader.watcher.let_go()
        for number in list(self._ends):
            self._end(number)

    def _duration(self, least: int = 2 * MS) -> int:
        return log_uniform(self._rng, least, 3 * self._world.plan.lease_ms * MS)

    def _somebody(self) -> Trader | None:
        """Mostly the same one: what befalls one worker together is worse than what befalls several."""
        alive = [trader for trader in self._world.traders.values() if trader.is_alive]
        if self._victim is None or not self._victim.is_alive or self._rng.random() < 0.3:
            self._victim = self._rng.choice(alive) if alive else None
        return self._victim

    @property
    def _master(self) -> RedisHost:
        return self._world.hosts[self._world.master]

    def _links(self, client: str) -> list[tuple[str, Link]]:
        network = self._world.network
        inward = [("in", network.link(host, client)) for host in self._world.hosts]
        return inward + [("out", network.link(client, host)) for host in self._world.hosts]

    def _clients(self) -> list[str]:
        traders = [trader.name for trader in self._world.traders.values() if trader.is_alive]
        return traders + [operator.process.name for operator in self._world.operators]
