"""What goes wrong with workers and on the way: each fault begins at its planned moment, see `Plan.events`."""

from __future__ import annotations

from tests.simulation.kernel import MS, US
from tests.simulation.plan import log_uniform
from tests.simulation.scenes import Scenes

__all__ = ["Faults"]


class Faults(Scenes):
    """Every fault there is, by the name of its method without the dash before it."""

    # -- workers ----------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        found = self._somebody()
        if found is not None:
            found.process.stop()
            self._during("SIGSTOP", found.name, self._duration(), found.process.resume)

    def _starve(self) -> None:
        """The watcher's thread gets no processor, while others of its process do."""
        self._starve_for(self._somebody(), self._duration())

    def _kill(self) -> None:
        found = self._somebody()
        if found is not None:
            self._note("kill -9", "begin", found.name)
            found.process.kill()

    def _leave(self) -> None:
        found = self._somebody()
        if found is not None:
            found.leave()

    def _join(self) -> None:
        made = self._world.add_trader()
        if self._rng.random() < 0.5:
            self._victim = made

    # -- the network ------------------------------------------------------------------------------------------------

    def _client(self) -> str:
        trader = self._somebody()
        return trader.name if trader is not None and self._rng.random() < 0.7 else self._rng.choice(self._clients())

    def _hole(self) -> None:
        client = self._client()
        ways = self._rng.choice((("in",), ("out",), ("in", "out")))
        links = [link for way, link in self._links(client) if way in ways]
        self._block(client, "/".join(ways), links, self._duration(20 * MS))

    def _deaf(self) -> None:
        """One connection of a worker hears nothing any more, as when something in between forgot it."""
        trader = self._somebody()
        pipes = self._pipes(trader, up=False) if trader is not None else []
        if trader is not None and pipes:
            self._hold("deaf connection", trader, [self._rng.choice(pipes)], self._duration(20 * MS))

    def _cut(self) -> None:
        held = self._world.network.sockets
        sockets = [s for name in self._clients() for s in held.get(name, {}).values() if s.host in self._world.hosts]
        if sockets:
            socket = self._rng.choice(sockets)
            self._note("reset", "begin", socket.process.name)
            self._world.network.cut(socket)

    def _slow(self) -> None:
        client = self._client()
        links = [link for _, link in self._links(client)]
        base, loss = log_uniform(self._rng, MS, 200 * MS), self._rng.choice((0.0, 0.2))
        for link in links:
            link.base_ns, link.loss = base, max(link.loss, loss)

        def quick() -> None:
            for link in links:
                link.base_ns, link.loss = self._world.plan.base_ns, self._world.plan.loss

        self._during(f"slow by {base // US} us", client, self._duration(20 * MS), quick)
