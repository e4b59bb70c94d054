"""One run: a fleet, its operators, a Redis, a venue and a network; first faults, then quiet; then the judgement."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from killswitch.gate import gate as gate_module
from killswitch.store.functions import library_source
from tests.history.events import History
from tests.simulation.kernel import MS, SECOND, Kernel, Process
from tests.simulation.machine import installed
from tests.simulation.mutants import Mutant
from tests.simulation.network import Listener, Network
from tests.simulation.observer import PREFIX, SWITCH, state_key
from tests.simulation.operators import Operator
from tests.simulation.plan import SCOPES, Plan, draw, log_uniform, settings_of
from tests.simulation.redis_host import RedisHost
from tests.simulation.server import NO_HISTORY, SimRedis, Snapshot
from tests.simulation.sockets import Link, Note
from tests.simulation.trader import Trader, gates_shown
from tests.simulation.venue import VENUE, Venue

__all__ = ["World"]

_LIBRARY = library_source()
_WALL_MS = 1_760_000_000_000


_BELLS = frozenset(("op", "op_end", "state"))


class SimHistory(History):
    """A history that rings a bell at the moments around which everything is decided."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def add(self, kind: str, t: int, /, **values: object) -> None:
        """As `History.add`."""
        self.events.append({"kind": kind, "t": t, **values})
        if kind in _BELLS:
            getattr(self._world, f"saw_{kind}")(values)


class World:
    """Built from a seed; `run` does everything."""

    def __init__(self, seed: int, broken: Mutant) -> None:
        self.rng = Random(seed)
        self.plan: Plan = draw(seed, self.rng)
        self.kernel = Kernel(self.rng)
        self.history = SimHistory(self)
        self.network = Network(self.kernel, self._make_link)
        self.network.resolve = self._resolve
        self.errors: list[str] = []
        self.traders: dict[str, Trader] = {}
        self.operators: list[Operator] = []
        self.hosts: dict[str, RedisHost] = {}
        self.master = ""
        self.routes: dict[str, str] = {}  # a client that finds another server than the master
        self.venue = Venue(self.kernel, self.history)
        self.settings = settings_of(
            self.plan.lease_ms, self.plan.renew_ms, self.plan.beat_ms, self.plan.retain_ms, self.plan.rung
        )
        self.is_quiet = False
        self._under_way: set[str] = set()
        self._tightened = -1  # when a key was last changed to something that permits less than all
        self._at_next: dict[str, list[Callable[[], None]]] = {}
        self.wall_offset_ms = 0  # by which the servers' clock was set wrong
        self.closing = ""  # the verdict of the last engagement, in quiet
        self.kernel.calm_from = self.plan.faults_ns
        self.library = broken.library(_LIBRARY) if broken.library else _LIBRARY
        self.read_gate = broken.read_gate

    # -- its parts --------------------------------------------------------------------------------------------------

    def _make_link(self, source: str, target: str) -> Link:
        if VENUE in (source, target):
            return Link(self.kernel, self.plan.base_ns, self.plan.jitter_ns, 0.0)
        return Link(self.kernel, self.plan.base_ns, self.plan.jitter_ns, 0.0 if self.is_quiet else self.plan.loss)

    def _resolve(self, client: str, name: str) -> Listener | None:
        return self.venue if name == VENUE else self.hosts[self.routes.get(client, self.master)]

    def now_ms(self) -> int:
        """The servers' clock."""
        return _WALL_MS + self.kernel.now // MS + self.wall_offset_ms

    def new_redis(self, data: Snapshot | None = None, replid2: str = NO_HISTORY) -> SimRedis:
        """Another Redis process, with this data, and with the replication history it was promoted in."""
        ids = f"{self.rng.getrandbits(160):040x}", f"{self.rng.getrandbits(160):040x}"
        made = SimRedis(run_id=ids[0], replid=ids[1], replid2=replid2, now_ms=self.now_ms)
        if data is None:
            made.load(self.library)
        else:
            made.restore(data)
        made.read_gate = self.read_gate
        return made

    def add_host(self, redis: SimRedis, *, is_promoted: bool = False) -> RedisHost:
        """A host with this Redis on it. What a promoted replica holds is no permission."""
        name = f"redis{len(self.hosts) + 1}"
        made = self.hosts[name] = RedisHost(
            self.kernel, self.history, name, redis, SCOPES, self._announced, self.now_ms, is_promoted
        )
        made.expire()
        return made

    def _announced(self, client: str, changed: int) -> Note:
        def note() -> None:
            trader = self.traders.get(client)
            if trader is not None:
                self.history.add("announced", self.kernel.now, worker=client, changed=changed)
                if changed == self._tightened:
                    trader.alert()

        return note

    def new_process(self, name: str) -> Process:
        """A process on a host of its own, with a clock of its own."""
        ppm = self.rng.choice((-100_000, 100_000, 0, self.rng.randint(-100_000, 100_000)))
        return Process(self.kernel, name, ppm, self.rng.randrange(1, 10**15))

    def add_trader(self, worker_id: str | None = None) -> Trader:
        """Another worker joins, under its own name or under one that is taken."""
        number = len(self.traders)
        plan, process = self.plan, self.new_process(f"w{number + 1}")
        scopes = plan.scopes[number % len(plan.scopes)]
        made = Trader(
            self.kernel, self.network, self.venue, self.history, process, self.settings, scopes, plan.pace_ns, worker_id
        )
        self.traders[made.name] = made
        made.begin(plan.threads)
        return made

    def add_operator(self) -> Operator:
        """Another person at a terminal."""
        process = self.new_process(f"op{len(self.operators) + 1}")
        process.is_held_up = False
        made = Operator(self.kernel, self.history, process, self.settings)
        self.operators.append(made)
        return made

    def alert(self) -> None:
        """Ticks come in everywhere."""
        for trader in self.traders.values():
            if trader.is_alive:
                trader.alert()

    @property
    def is_open(self) -> bool:
        """Whether the master's switch says so."""
        return self.permits(None)

    def permits(self, scope: str | None) -> bool:
        """Whether the master's switch, or a scope, permits anything; an absent scope is in nobody's way."""
        value = self.hosts[self.master].redis.store.values.get(state_key(scope or SWITCH))
        return value in (b"SAFE", b"REDUCING") or (value is None and scope is not None)

    def urge(self, what: str, within_ns: int) -> None:
        """Soon something makes whoever is free "engage" or "permit"."""

        def now() -> None:
            free = next((operator for operator in self.operators if operator.is_free), None)
            if free is not None and self.kernel.now < self.plan.faults_ns:
                free.urge(what)

        self.kernel.at(self.kernel.now + log_uniform(self.rng, 1000, max(within_ns, 2000)), now)

    def calm(self) -> None:
        """The faults are over."""
        self.is_quiet = True
        self.kernel.chances = {}
        self.network.calm()
        names = [trader.worker_id for trader in self.traders.values()]
        for trader in self.traders.values():
            if names.count(trader.worker_id) > 1:
                trader.process.kill()  # two under one name are never called quiet, as they should not be
        self.history.add("phase", self.kernel.now, name="quiet")

    def lost_members(self) -> list[Trader]:
        """Who may still be in the membership and is not coming back."""
        return [trader for trader in self.traders.values() if not trader.is_alive]

    def is_member(self, trader: Trader) -> bool:
        """Whether the membership names it, or need not, because it is gone or about to go."""
        rows = self.hosts[self.master].redis.store.values.get(f"{PREFIX}:workers".encode())
        is_named = isinstance(rows, dict) and trader.worker_id.encode() in rows
        return is_named or not trader.is_alive or trader.is_leaving

    def closed(self) -> list[str]:
        """Each living worker that is closed though all is well and permitted, with its reason. None where a command
        held up in the network engaged once more."""
        if not self.is_open:
            return []
        views = [(t, t.agent.gate.picture) for t in self.traders.values() if t.is_alive and t.agent]
        return [f"{t.name} is still closed ({view.code}: {view.reason})" for t, view in views if not view.is_open]

    def run_until_done(self, operator: Operator) -> None:
        """Goes on until `operator` has finished, and then ends the record."""
        limit = self.kernel.now + 30 * SECOND
        while not operator.is_done and self.kernel.now < limit:
            self.kernel.run(self.kernel.now + 20 * MS)
        if not operator.is_done:
            self.errors.append("the quiet phase did not come to its end")
        for trader in self.traders.values():
            if trader.is_alive:
                self.history.add("end", self.kernel.now, worker=trader.name, in_flight=trader.in_flight)

    def at_next(self, what: str, call: Callable[[], None]) -> None:
        """Calls `call` when "engage begins" or "stop stands" happens next, if the faults are not over by then."""
        self._at_next.setdefault(what, []).append(call)

    def happened(self, what: str) -> None:
        """It did."""
        calls = self._at_next.pop(what, [])
        if self.kernel.now < self.plan.faults_ns:
            for call in calls:
                call()

    # While a command is under way threads are held up oftener. Ticks come in thick and fast when somebody tightens and
    # when somebody says that all are stopped: these are the moments that decide.

    def saw_op(self, values: dict[str, object]) -> None:
        """A command begins."""
        self._under_way.add(str(values["op"]))
        self.kernel.heat = 8.0
        if values["action"] == "reset":
            return
        span = 4 * self.plan.base_ns + self.plan.jitter_ns
        for _ in range(2):
            self.kernel.at(self.kernel.now + int(self.rng.random() * span), self.alert)
        if values["action"] == "engage":
            self.happened("engage begins")

    def saw_op_end(self, values: dict[str, object]) -> None:
        """A command ends."""
        self._under_way.discard(str(values["op"]))
        self.kernel.heat = 8.0 if self._under_way else 1.0
        if values["result"] in ("QUIET", "FENCED"):
            self.alert()

    def saw_state(self, values: dict[str, object]) -> None:
        """The switch or a scope was changed."""
        if values["mode"] == "SAFE":
            return
        self._tightened = self.kernel.now
        self.alert()
        if values["mode"] == "ENGAGED" and values["scope"] == SWITCH:
            self.happened("stop stands")

    def _pause_ns(self) -> int:
        return log_uniform(self.rng, 1000, max(self.plan.longest_pause_ns, 2000))

    # -- the run ----------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        plan = self.plan
        self.history.add(
            "meta",
            0,
            source="simulation",
            seed=plan.seed,
            lease_ms=plan.lease_ms,
            renew_ms=plan.renew_ms,
            rate_error=0.1,
            split_ms=0,
            p2=True,
        )
        self.history.add("phase", 0, name="faults")
        host = self.add_host(self.new_redis())
        self.master = host.host
        host.by_hand("FCALL", "ks_engage", 1, f"{PREFIX}:state", "initialised", "sim", "", "sim")
        host.by_hand("FCALL", "ks_reset", 1, f"{PREFIX}:state", 1, "begin", "sim", 0, "", "sim")
        self.kernel.chances = plan.chances
        self.kernel.pause_ns = self._pause_ns
        for _ in range(plan.workers):
            self.add_trader()
        for _ in range(plan.operators):
            self.add_operator()

    def run(self, play: Callable[[World], None]) -> History:
        """Sets everything up and lets `play` make time go on."""
        plain_show = gate_module.Gate.show
        with installed(self.kernel, self.network, self.errors, seals=self.plan.seals):
            gate_module.Gate.show = gates_shown(plain_show)  # type: ignore[method-assign,assignment]
            try:
                self._set_up()
                play(self)
            finally:
                gate_module.Gate.show = plain_show  # type: ignore[method-assign]
                self.kernel.end()
        return self.history
