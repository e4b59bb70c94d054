"""What goes wrong, and how it ends: each fault begins at its planned moment and has an end before the quiet phase."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.simulation.kernel import MS, US
from tests.simulation.network import Link
from tests.simulation.observer import PREFIX
from tests.simulation.plan import log_uniform
from tests.simulation.redis_host import RedisHost
from tests.simulation.server import SimRedis, Snapshot
from tests.simulation.trader import Trader
from tests.simulation.world import World

__all__ = ["Faults"]

_REFUSALS = ("OOM", "MISCONF", "NOREPLICAS", "READONLY")
_STEP_MS = 600_000
_STATE = f"{PREFIX}:state"


class Faults:
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

    def _during(self, name: str, target: str, duration_ns: int, end: Callable[[], None]) -> None:
        self._note(name, "begin", target)
        self._count += 1
        self._ends[self._count] = (name, target, end)
        self._kernel.at(min(self._kernel.now + duration_ns, self._world.plan.faults_ns), self._end, self._count)

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
                trader.watcher.catch(lambda: None)
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
        """A host that is out of breath altogether: its watcher starves, and a little later its network fails."""
        found, lease_ns = self._somebody(), self._world.plan.lease_ms * MS
        if found is not None:
            self._starve_for(found, int(self._rng.uniform(0.4, 1.6) * lease_ns))
            later = log_uniform(self._rng, MS, lease_ns // 2)
            self._kernel.at(self._kernel.now + later, self._cut_off, found, int(self._rng.uniform(0.8, 2.5) * lease_ns))

    def _arrival(self) -> None:
        """Somebody joins, and as soon as it trades nothing comes through to it any more."""
        made, lease_ns = self._world.add_trader(), self._world.plan.lease_ms * MS
        made.on_open = lambda: self._cut_off(made, int(self._rng.uniform(0.3, 1.5) * lease_ns))

    def _cut_off(self, trader: Trader, duration_ns: int) -> None:
        self._block(trader.name, "in", [link for way, link in self._links(trader.name) if way == "in"], duration_ns)

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

    # -- the network ------------------------------------------------------------------------------------------------

    def _links(self, client: str) -> list[tuple[str, Link]]:
        network = self._world.network
        inward = [("in", network.link(host, client)) for host in self._world.hosts]
        return inward + [("out", network.link(client, host)) for host in self._world.hosts]

    def _clients(self) -> list[str]:
        traders = [trader.name for trader in self._world.traders.values() if trader.is_alive]
        return traders + [operator.process.name for operator in self._world.operators]

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

    # -- Redis ------------------------------------------------------------------------------------------------------

    def _freeze(self) -> None:
        host = self._master
        if not host.is_frozen:
            host.freeze()
            self._during("freeze", host.host, self._duration(), host.thaw)

    def _refuse(self) -> None:
        redis, word = self._master.redis, self._rng.choice(_REFUSALS)
        if redis.refusing is None:
            redis.refusing = word

            def accept() -> None:
                redis.refusing = None

            self._during(f"refuses: {word}", self._master.host, self._duration(), accept)

    def _unload(self) -> None:
        """Somebody flushes the function library."""
        redis = self._master.redis
        if redis.library is not None:
            redis.unload()
            self._during("no library", self._master.host, self._duration(), lambda: self._load(redis))

    def _load(self, redis: SimRedis) -> None:
        if redis.library is None:
            redis.load(self._world.library)

    def _clock(self) -> None:
        """The servers' clock is set wrong, by more than anything lasts."""
        self._note("clock step", "begin", self._world.master)
        self._world.wall_offset_ms += self._rng.choice((-1, 1)) * _STEP_MS
        if self._master.state() == "listening":
            self._master.noticed()

    def _flush(self) -> None:
        host = self._master
        if host.state() == "listening" and host.redis.refusing is None:
            self._note("FLUSHALL", "begin", host.host)
            host.observer.lose("flushed")
            host.by_hand("FLUSHALL")

    def _swap(self) -> None:
        """The value changes and nobody is told."""
        host = self._master
        if host.state() == "listening":
            self._note("SWAPDB", "begin", host.host)
            host.observer.lose("swapped")
            host.redis.store.swap(0, 1)
            host.redis.store.begin(0)
            if self._rng.random() < 0.3:
                host.redis.store.put(_STATE.encode(), b"SAFE")
            host.redis.store.touched.clear()
            host.noticed()

    def _restart(self) -> None:
        """Dies; comes back with all, with what it had a while ago, or with nothing."""
        host, redis = self._master, self._master.redis
        if host.state() != "listening":
            return
        kind = self._rng.choice(("all", "old", "nothing"))
        lag = 0 if kind == "all" else log_uniform(self._rng, MS, self._world.plan.lease_ms * MS)
        kept: list[Snapshot | None] = [None]

        def save() -> None:
            kept[0] = redis.snapshot()

        def die() -> None:
            if host.redis is redis and host.state() == "listening":
                data = redis.snapshot() if kind == "all" else kept[0] if kind == "old" else Snapshot({}, redis.library)
                host.kill(silently=self._rng.random() < 0.3)
                host.observer.lose(f"restarted with {kind}")
                again = partial(self._born, host, data)
                self._during(f"restart with {kind}", host.host, self._duration(), again)

        if self._world.routes:
            return  # one at a time
        save()
        self._kernel.at(min(self._kernel.now + lag, self._world.plan.faults_ns - 1), die)

    def _born(self, host: RedisHost, data: Snapshot | None) -> None:
        host.start(self._world.new_redis(data))

    def _failover(self) -> None:
        """A replica that lags behind takes over."""
        host, redis, world = self._master, self._master.redis, self._world
        if host.state() != "listening":
            return
        data = redis.snapshot()
        lag = log_uniform(self._rng, MS, world.plan.lease_ms * MS)
        planned = self._rng.random() < 0.3

        def promote() -> None:
            if self._master is not host or host.state() != "listening" or world.routes:
                return
            self._note("fail-over", "begin", host.host)
            host.observer.lose("failed over")
            made = world.new_redis(redis.snapshot() if planned else data, redis.replid)
            if planned:
                redis.refusing = "READONLY"  # the old master lives on as a replica, and its connections with it
            else:
                host.kill(silently=self._rng.random() < 0.3)
            world.master = world.add_host(made, is_promoted=True).host

        self._kernel.at(min(self._kernel.now + lag, world.plan.faults_ns - 1), promote)

    def _split(self) -> None:
        """The old master stays up for some, until too few replicas make it refuse: that is when it is lost."""
        host, redis, world = self._master, self._master.redis, self._world
        if host.state() != "listening" or world.routes or redis.refusing:
            return
        cut_off = [client for client in self._clients() if self._rng.random() < 0.5]
        data, limit = redis.snapshot(), world.plan.lease_ms * MS
        world.routes = dict.fromkeys(cut_off, host.host)
        until_promoted, until_refusing = log_uniform(self._rng, MS, limit), log_uniform(self._rng, MS, 2 * limit)
        others = [client for client in self._clients() if client not in cut_off]
        links = [self._world.network.link(*ends) for c in others for ends in ((c, host.host), (host.host, c))]
        for link in links:
            link.block()

        def promote() -> None:
            world.master = world.add_host(world.new_redis(data, redis.replid), is_promoted=True).host

        def refuse() -> None:
            if host.redis.refusing is None:
                host.redis.refusing = "NOREPLICAS"
                host.observer.lose("cut off with too few replicas")

        def heal() -> None:
            refuse()
            host.redis.refusing = "READONLY"
            world.routes = {}
            for link in links:
                link.heal()

        end = world.plan.faults_ns - 2
        self._kernel.at(min(self._kernel.now + until_promoted, end), promote)
        self._kernel.at(min(self._kernel.now + until_refusing, end), refuse)
        self._during("split brain", host.host, self._duration(100 * MS) + until_promoted, heal)
