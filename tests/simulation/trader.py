"""A worker of the fleet: the shipped agent, and threads that trade through its gate."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from killswitch import Agent, Blocked, Settings
from killswitch.core.view import Picture
from killswitch.gate.gate import Gate
from tests.history.events import History
from tests.simulation.kernel import Kernel, Process, Task
from tests.simulation.machine import PausingBook
from tests.simulation.network import Network
from tests.simulation.venue import VENUE, Venue

__all__ = ["Trader", "gates_shown"]

_OWNERS: dict[Gate, Trader] = {}


class Trader:
    """One life of one worker. `pace_ns`: how long its loop waits between two ticks, about. `worker_id`: another's name,
    where two speak under one."""

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        venue: Venue,
        history: History,
        process: Process,
        settings: Settings,
        scopes: tuple[str, ...],
        pace_ns: int,
        worker_id: str | None = None,
    ) -> None:
        self.name = process.name
        self.worker_id = worker_id or process.name
        self.process = process
        self.scopes = scopes
        self.agent: Agent | None = None
        self.is_leaving = False
        self.has_left = False
        self._kernel = kernel
        self._network = network
        self._venue = venue
        self._lines = network.link(process.name, VENUE), network.link(VENUE, process.name)
        self._history = history
        self._settings = settings
        self._pace_ns = pace_ns
        self._rng: Random = kernel.rng
        self._dozing: list[Task] = []
        self._awaited: list[tuple[bool, Callable[[], None]]] = []
        self._ponders = False
        self._orders = 0
        self._answered = -1  # when it asked for what it read last
        self._passed: set[str] = set()
        self._confirmed_ns: int | None = None
        process.on_death.append(self._died)
        process.on_held_up = self.alert

    @property
    def is_alive(self) -> bool:
        return not self.process.is_dead and not self.has_left

    @property
    def is_open(self) -> bool:
        """What its gate last showed."""
        return self.agent is not None and self.agent.gate.picture.is_open

    def when(self, is_open: bool, call: Callable[[], None]) -> None:
        """Calls `call` once, when its gate is shown a picture next that is open, or one that is not."""
        self._awaited.append((is_open, call))

    def is_settled(self, since: int) -> bool:
        """Whether it has asked after `since`, and was answered, or is gone."""
        return not self.is_alive or (not self.is_leaving and self._answered >= since)

    def begin(self, threads: int) -> None:
        """Starts the process with so many trading threads."""
        self.process.spawn("main", lambda: self._main(threads))

    def _main(self, threads: int) -> None:
        agent = self.agent = Agent(self._settings, self.scopes, engine="sim", worker_id=self.worker_id)
        agent.gate.book._held = PausingBook(self._kernel, self._released)
        agent.annotate(sinks=f"{VENUE}/{self.name}")
        _OWNERS[agent.gate] = self
        self._tell("worker", scopes=list(self.scopes), lease_ms=self._settings.lease_ms, sinks=[f"{VENUE}/{self.name}"])
        agent.start()
        for number in range(threads):
            self.process.spawn(f"trade{number}", self._trade)

    def _tell(self, kind: str, **values: object) -> None:
        self._history.add(kind, self._kernel.now, worker=self.name, **values)

    def _died(self) -> None:
        self._network.died(self.process)
        if not self.has_left:
            self._tell("gone")

    # -- trading ----------------------------------------------------------------------------------------------------

    @property
    def watcher(self) -> Task | None:
        """The thread that watches the switch for it."""
        return next((task for task in self.process.tasks if "watcher" in task.name and not task.is_done), None)

    def has_news(self) -> bool:
        """Whether something has arrived that its watcher has not read."""
        held = self._network.sockets.get(self.name, {}).values()
        return any(socket.is_readable and socket.readers for socket in held)

    def alert(self) -> None:
        """A tick comes in for everybody: the moments around a change are the ones that matter."""
        for task in self._dozing:
            task.wake()

    def _doze(self, duration_ns: int) -> None:
        task = self._kernel.running()
        self._dozing.append(task)
        self._kernel.park(self._kernel.now + duration_ns)
        self._dozing.remove(task)

    def _trade(self) -> None:
        agent = self.agent
        assert agent is not None
        while True:
            pace_ns = self._pace_ns if self._kernel.now < self._kernel.calm_from else 4 * self._pace_ns
            self._doze(int(pace_ns * (0.2 + 1.6 * self._rng.random())))
            if self.is_leaving:
                return
            start = self._kernel.now
            try:
                epoch = agent.gate.signal()
            except Blocked:
                continue
            self._tell("pass1", epoch=epoch, start=start)
            for _ in range(self._rng.randrange(3)):
                if not self._order(agent, epoch):
                    break

    def _order(self, agent: Agent, epoch: int) -> bool:
        self._kernel.point("signal-order")
        if self._ponders:
            self._held_up_through_a_stop()
        self._orders += 1
        order, reduces = f"{self.name}-{self._orders}", self._rng.random() < 0.3
        start = self._kernel.now
        try:
            with agent.gate.order(epoch, reduces, order) as permit:
                self._passed.add(order)
                self._tell("pass2", epoch=permit.epoch, start=start, order=order, reduces=reduces)
                self._kernel.point("check-send")
                self._tell("send", order=order, epoch=permit.epoch)
                self._submit(order, permit.epoch)
                self._kernel.point("send-release")
        except Blocked:
            return False
        return True

    def ponder(self) -> None:
        """The next thread that has a signal is held up with it until the gate was closed and has opened again."""
        self._ponders = True

    def _held_up_through_a_stop(self) -> None:
        self._ponders = False
        task = self._kernel.running()
        self.when(False, lambda: self.when(True, task.wake))
        self._kernel.park(self._kernel.calm_from)

    def _released(self, order: str) -> None:
        if order in self._passed and not self._kernel.is_over:
            self._passed.remove(order)
            self._tell("release", order=order)

    def _submit(self, order: str, token: int) -> None:
        task, done = self._kernel.running(), [False]

        def answered() -> None:
            done[0] = True
            task.wake()

        self._venue.submit(*self._lines, self.name, order, token, answered)
        while not done[0]:
            self._kernel.park()

    # -- its end ----------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Says goodbye politely, on a thread of its own."""
        if self.is_alive and not self.is_leaving:
            self.is_leaving = True
            self.process.spawn("leave", self._leave)

    def _leave(self) -> None:
        if self.agent is None:
            return
        self.agent.close(drain_s=2.0)
        self.has_left = True
        self._tell("gone")

    def reconcile(self) -> None:
        """An operator took this lost worker off the membership, and by that says what became of its orders."""
        for order in sorted(self._passed):
            self._tell("release", order=order)
        self._passed.clear()

    def shown(self, picture: Picture) -> None:
        """The gate got another picture."""
        watcher = self.agent._watcher if self.agent else None
        confirmed = watcher.watch.confirmed_ns if watcher else None
        if confirmed is not None and confirmed != self._confirmed_ns:
            self._confirmed_ns = confirmed
            self._answered = self.process.true_time(confirmed)
            self._tell("answer", sent=self._answered)
        due = [call for is_open, call in self._awaited if is_open == picture.is_open]
        self._awaited = [(is_open, call) for is_open, call in self._awaited if is_open != picture.is_open]
        for call in due:
            call()
        self._tell("view", open=picture.is_open, code=str(picture.code), epoch=picture.epoch)

    @property
    def in_flight(self) -> int:
        """Permits held now."""
        return dict.__len__(self.agent.gate.book._held) if self.agent else 0


def gates_shown(plain: Callable[[Gate, Picture], None]) -> Callable[[Gate, Picture], None]:
    """`Gate.show` that also tells the trader whose gate it is, from the beginning of a run on."""
    _OWNERS.clear()  # otherwise whole worlds would outlive their runs

    def show(gate: Gate, picture: Picture) -> None:
        plain(gate, picture)
        owner = _OWNERS.get(gate)
        if owner is not None and not owner._kernel.is_over:
            owner.shown(picture)
            owner._kernel.point("shown")

    return show
