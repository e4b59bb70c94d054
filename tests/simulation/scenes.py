"""Troubles that come one after the other, each at the moment at which it hurts most: chance alone would hardly ever
bring them together. Each scene takes one way in which a fleet could be told stopped, or believe itself permitted,
though it is not, and goes it as far as the product lets it."""

from __future__ import annotations

from tests.simulation.kernel import MS
from tests.simulation.plan import log_uniform
from tests.simulation.server_faults import ServerFaults
from tests.simulation.sockets import Link, Peer, Pipe
from tests.simulation.trader import Trader

__all__ = ["Scenes"]


class Scenes(ServerFaults):
    """By the name of its method without the dash, as every fault."""

    # -- what they are made of --------------------------------------------------------------------------------------

    @property
    def _lease_ns(self) -> int:
        return self._world.plan.lease_ms * MS

    def _leases(self, least: float, most: float) -> int:
        return int(self._rng.uniform(least, most) * self._lease_ns)

    def _cut_off(self, trader: Trader, least: float, most: float) -> None:
        """Nothing comes through to it for between `least` and `most` leases."""
        links = [link for way, link in self._links(trader.name) if way == "in"]
        self._block(trader.name, "in", links, self._leases(least, most))

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

    def _starve_for(self, found: Trader | None, duration_ns: int, *, with_news: bool = False) -> None:
        """Its watcher's thread gets no processor; `with_news`: once something has arrived that it has not read."""
        watcher = found.watcher if found is not None else None
        if found is None or watcher is None or watcher.is_stopped:
            return

        def caught() -> None:
            watcher.stop()
            self._during("starved watcher", found.name, duration_ns, watcher.resume)

        if with_news:
            watcher.catch(caught, found.has_news)
        else:
            watcher.catch(caught)

    def _hold(self, name: str, trader: Trader, pipes: list[Pipe], duration_ns: int) -> int:
        for pipe in pipes:
            pipe.hold()

        def let_go() -> None:
            for pipe in pipes:
                pipe.let_go()

        return self._during(name, trader.name, duration_ns, let_go)

    def _pipes(self, trader: Trader, *, up: bool) -> list[Pipe]:
        """The connections of a worker to any Redis, in one direction."""
        sockets = self._world.network.sockets.get(trader.name, {}).values()
        ends = [socket for socket in sockets if socket.host in self._world.hosts]
        found = [socket.up if up else socket.peer.down if socket.peer else None for socket in ends]
        return [pipe for pipe in found if pipe is not None]

    # -- the scenes -------------------------------------------------------------------------------------------------

    def _crisis(self) -> None:
        """A host that is out of breath altogether: its watcher starves, perhaps with an answer unread, and while
        somebody stops, its network fails."""
        found = self._somebody()
        if found is not None:
            self._starve_for(found, self._leases(0.6, 1.6), with_news=self._rng.random() < 0.5)
            self._world.at_next("engage begins", lambda: self._cut_off(found, 0.8, 2.5))
            if self._rng.random() < 0.5:
                self._world.urge("engage", self._lease_ns // 3)

    def _arrival(self) -> None:
        """Somebody joins, and as soon as it trades nothing comes through to it any more; and then a stop."""
        made = self._world.add_trader()

        def opened() -> None:
            self._cut_off(made, 0.3, 1.5)
            self._world.urge("engage", self._lease_ns // 4)

        made.when(True, opened)

    def _twin(self) -> None:
        """A second life under the name of a worker that lives, as when a supervisor takes a stopped one for dead."""
        found = self._somebody()
        if found is None or found.worker_id != found.name:
            return
        self._note("twin", "begin", found.name)
        made = self._world.add_trader(found.name)
        if self._rng.random() < 0.7:
            self._world.at_next("engage begins", lambda: self._cut_off(found, 0.3, 1.5))
            made.when(True, lambda: self._world.urge("engage", self._lease_ns // 2))

    def _stale(self) -> None:
        """A permission is held up on its way, and so is all that comes after it: a stop, for one. Then it arrives."""
        found, host = self._somebody(), self._master
        if found is None:
            return

        def answered(client: str, words: list[bytes], peer: Peer) -> None:
            asked = words[0] == b"FCALL" and words[1] in (b"ks_read", b"ks_beat")
            if client != found.name or not asked or not found.is_open or not self._world.is_open or peer.down is None:
                return
            host.overhear = None
            if self._rng.random() < 0.5:
                self._starve_for(found, self._leases(0.2, 1.2), with_news=True)
            late = peer.down
            number = self._hold("held answers", found, self._pipes(found, up=False), self._leases(1.5, 2.5))
            self._world.urge("engage", self._lease_ns // 6)

            def arrives() -> None:
                if number in self._ends:
                    late.let_through()

            self._kernel.at(self._kernel.now + self._leases(0.2, 0.6), arrives)

        host.overhear = answered

    def _echo(self) -> None:
        """What somebody says while it is closed is held up, and heard after it has opened and another stop stands."""
        found = self._somebody()
        if found is None or not found.is_alive:
            return

        def stopped() -> None:
            pipes = self._pipes(found, up=True)
            if not found.is_alive or not pipes or self._kernel.now >= self._world.plan.faults_ns:
                return
            number = self._hold("held words", found, pipes, self._world.plan.faults_ns)
            found.when(False, lambda: found.when(True, lambda: opened(number)))
            self._kernel.at(self._kernel.now + self._leases(0.5, 0.9), self._world.urge, "permit", self._lease_ns // 10)

        def opened(number: int) -> None:
            self._world.at_next("stop stands", lambda: heard(number))
            self._world.urge("engage", self._lease_ns // 4)

        def heard(number: int) -> None:
            self._cut_off(found, 0.1, 1.0)
            self._kernel.at(self._kernel.now + log_uniform(self._rng, 1, 5 * MS), self._end, number)

        self._world.at_next("stop stands", stopped)
        if self._rng.random() < 0.7:
            self._world.urge("engage", self._lease_ns // 3)

    def _ponder(self) -> None:
        """Between a signal and its order somebody is held up through a stop, and until another permission stands."""
        found = self._somebody()
        if found is None:
            return
        found.ponder()
        self._world.urge("engage", self._lease_ns // 3)
        later = self._leases(0.2, 0.5)

        def stopped() -> None:
            self._kernel.at(self._kernel.now + later, self._world.urge, "permit", self._lease_ns // 10)

        self._world.at_next("stop stands", stopped)
