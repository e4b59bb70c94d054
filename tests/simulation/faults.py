"""What goes wrong with workers and on the way: each fault begins at its planned moment, see `Plan.events`."""

from __future__ import annotations

from tests.simulation.kernel import MS, US
from tests.simulation.plan import log_uniform
from tests.simulation.server_faults import ServerFaults
from tests.simulation.sockets import Link
from tests.simulation.trader import Trader

__all__ = ["Faults"]


class Faults(ServerFaults):
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

    def _starve_for(self, found: Trader | None, duration_ns: int) -> None:
        watcher = found.watcher if found is not None else None
        if found is not None and watcher is not None and not watcher.is_stopped:

            def caught() -> None:
                watcher.stop()
                self._during("starved watcher", found.name, duration_ns, watcher.resume)

            watcher.catch(caught)

    def _crisis(self) -> None:
        """A host that is out of breath altogether: its watcher starves, and while somebody stops, its network fails."""
        found, lease_ns = self._somebody(), self._world.plan.lease_ms * MS
        if found is not None:
            self._starve_for(found, int(self._rng.uniform(0.6, 1.6) * lease_ns))
            self._world.at_next("engage begins", lambda: self._cut_off(found, 0.8, 2.5))

    def _arrival(self) -> None:
        """Somebody joins, and as soon as it trades nothing comes through to it any more."""
        made = self._world.add_trader()
        made.on_open = lambda: self._cut_off(made, 0.3, 1.5)

    def _cut_off(self, trader: Trader, least: float, most: float) -> None:
        """Nothing comes through to it for between `least` and `most` leases."""
        links = [link for way, link in self._links(trader.name) if way == "in"]
        self._block(trader.name, "in", links, int(self._rng.uniform(least, most) * self._world.plan.lease_ms * MS))

    def _echo(self) -> None:
        """What somebody says while it is closed is held up, and heard after it has opened and a stop stands."""
        found = self._somebody()
        if found is not None:
            later = log_uniform(self._rng, MS, self._world.plan.lease_ms * MS // 2)
            self._world.at_next("stop stands", lambda: self._kernel.at(self._kernel.now + later, self._hold, found))

    def _hold(self, trader: Trader) -> None:
        held = self._world.network.sockets.get(trader.name, {}).values()
        pipes = [socket.up for socket in held if socket.host in self._world.hosts and socket.up is not None]
        if not trader.is_alive or trader.is_open or not pipes or self._kernel.now >= self._world.plan.faults_ns:
            return
        for pipe in pipes:
            pipe.hold()

        def let_go() -> None:
            for pipe in pipes:
                pipe.let_go()

        number = self._during("held words", trader.name, self._world.plan.faults_ns, let_go)

        def heard() -> None:
            self._cut_off(trader, 0.1, 1.0)
            self._kernel.at(self._kernel.now + log_uniform(self._rng, 1, 5 * MS), self._end, number)

        trader.on_open = lambda: self._world.at_next("stop stands", heard)

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

    def _twin(self) -> None:
        """A second life under the name of a worker that lives, as when a supervisor takes a stopped one for dead."""
        found = self._somebody()
        if found is not None and found.worker_id == found.name:
            self._note("twin", "begin", found.name)
            self._world.add_trader(found.name)
            if self._rng.random() < 0.7:
                self._world.at_next("engage begins", lambda: self._cut_off(found, 0.3, 1.5))

    # -- the network ------------------------------------------------------------------------------------------------

    def _client(self) -> str:
        trader = self._somebody()
        return trader.name if trader is not None and self._rng.random() < 0.7 else self._rng.choice(self._clients())

    def _hole(self) -> None:
        client = self._client()
        ways = self._rng.choice((("in",), ("out",), ("in", "out")))
        links = [link for way, link in self._links(client) if way in ways]
        self._block(client, "/".join(ways), links, self._duration(20 * MS))

    def _block(self, client: str, ways: str, links: list[Link], duration_ns: int) -> None:
        blocked = [link for link in links if not link.is_blocked]
        if self._kernel.now >= self._world.plan.faults_ns:
            return
        for link in blocked:
            link.block()

        def heal() -> None:
            for link in blocked:
                link.heal()

        self._during(f"black hole {ways}", client, duration_ns, heal)

    def _deaf(self) -> None:
        """One connection of a worker hears nothing any more, as when something in between forgot it."""
        trader = self._somebody()
        held = self._world.network.sockets.get(trader.name, {}) if trader is not None else {}
        pipes = [s.peer.down for s in held.values() if s.host in self._world.hosts and s.peer and s.peer.down]
        if trader is not None and pipes:
            pipe = self._rng.choice(pipes)
            pipe.hold()
            self._during("deaf connection", trader.name, self._duration(20 * MS), pipe.let_go)

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
