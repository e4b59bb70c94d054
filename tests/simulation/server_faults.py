"""What goes wrong with the servers: frozen, refusing, emptied, swapped, restarted, failed over, split."""

from __future__ import annotations

from functools import partial

from tests.simulation.kernel import MS
from tests.simulation.observer import PREFIX
from tests.simulation.plan import log_uniform
from tests.simulation.redis_host import RedisHost
from tests.simulation.server import SimRedis, Snapshot
from tests.simulation.trouble import Trouble

__all__ = ["ServerFaults"]

_REFUSALS = ("OOM", "MISCONF", "NOREPLICAS", "READONLY")
_STEP_MS = 600_000
_STATE = f"{PREFIX}:state"


class ServerFaults(Trouble):
    """Faults of whichever server is the master then."""

    _refusal = 0

    def _freeze(self) -> None:
        host = self._master
        if not host.is_frozen:
            host.freeze()
            self._during("freeze", host.host, self._duration(), host.thaw)

    def _refuse(self) -> None:
        """Refuses what writes; half of the time for longer than any lease, and somebody wants to stop the fleet."""
        redis, word = self._master.redis, self._rng.choice(_REFUSALS)
        if redis.refusing is not None or self._master.state() != "listening":
            return  # a process that is dead refuses nothing, and the next one does not inherit it
        redis.refusing = word

        def accept() -> None:
            if redis is self._master.redis:  # one that was demoted meanwhile goes on refusing
                redis.refusing = None

        duration_ns = self._duration()
        if self._rng.random() < 0.5:
            duration_ns = int(self._rng.uniform(1.2, 3) * self._world.plan.lease_ms * MS)
            self._world.urge("engage", duration_ns)
        self._refusal = self._during(f"refuses: {word}", self._master.host, duration_ns, accept)

    def _stops_refusing(self) -> None:
        """The process that refused is about to end, or to be the master no more."""
        self._end(self._refusal)

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
        """The value changes and nobody is told; perhaps it comes back once a stop stands."""
        self._swapped()
        if self._rng.random() < 0.5:
            lease_ns = self._world.plan.lease_ms * MS

            def stopped() -> None:
                self._kernel.at(self._kernel.now + log_uniform(self._rng, MS, lease_ns), back)

            def back() -> None:
                if self._kernel.now < self._world.plan.faults_ns:
                    self._swapped()

            self._world.at_next("stop stands", stopped)
            self._world.urge("engage", lease_ns // 3)

    def _swapped(self) -> None:
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
                self._stops_refusing()
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
            self._stops_refusing()
            self._note("fail-over", "begin", host.host)
            host.observer.lose("failed over")
            last = host.redis if planned else redis  # it may have been restarted meanwhile
            made = world.new_redis(last.snapshot() if planned else data, last.replid)
            if planned:
                last.refusing = "READONLY"  # the old master lives on as a replica, and its connections with it
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
            self._stops_refusing()
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
