"""Operators: the shipped controller, and a bare connection as redis-cli would have, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

from killswitch import Controller, EpochConflict, Settings, StoreRefused, StoreUnavailable
from killswitch.control.outcome import Outcome
from killswitch.store.wire import connect
from tests.history.events import History
from tests.simulation.kernel import Kernel, Process, Task
from tests.simulation.observer import LEDGER, PREFIX, SWITCH

__all__ = ["Operator"]


class Operator:
    """One person with a terminal. Each action puts its begin and its end on record."""

    def __init__(self, kernel: Kernel, history: History, process: Process, settings: Settings) -> None:
        self.process = process
        self._kernel = kernel
        self._history = history
        self._control = Controller(settings)
        self._settings = settings
        self._count = 0
        self.is_waiting = False  # for the proof of a stop that is set
        self._dozing: Task | None = None
        self._urgent = ""

    @property
    def is_done(self) -> bool:
        """Whether it has nothing under way."""
        return all(task.is_done for task in self.process.tasks)

    # -- between two actions ----------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether it would hear of something urgent."""
        return self._dozing is not None and not self._urgent

    def urge(self, what: str) -> None:
        """Something calls for it at once: "engage" or "permit"."""
        self._urgent = what
        if self._dozing is not None:
            self._dozing.wake()

    def doze(self, duration_ns: int) -> str:
        """Does nothing for so long; what ended that before its time, or nothing."""
        end = self._kernel.now + duration_ns
        self._dozing = self._kernel.running()
        while self._kernel.now < end and not self._urgent:
            self._kernel.park(end)
        self._dozing = None
        what, self._urgent = self._urgent, ""
        return what

    # -- actions ----------------------------------------------------------------------------------------------------

    def _run(self, action: str, scope: str | None, wait_s: float | None, call: Callable[[], Outcome]) -> Outcome | None:
        self._count += 1
        op = f"{self.process.name}-{self._count}"
        self._history.add(
            "op", self._kernel.now, op=op, action=action, scope=scope or SWITCH, wait_s=wait_s, by=self.process.name
        )
        self._engaged_t = 0
        outcome: Outcome | None = None
        note = ""
        try:
            outcome = call()
            result = str(outcome.verdict)
        except (EpochConflict, StoreRefused) as error:
            result, note = "refused", str(error)
        except StoreUnavailable as error:
            result, note = "unreachable", str(error)
        extra = {"engaged_t": self._engaged_t} if self._engaged_t else {}
        self.is_waiting = False
        self._history.add(
            "op_end",
            self._kernel.now,
            op=op,
            result=result,
            epoch=outcome.epoch if outcome else 0,
            members=[m.worker_id for m in outcome.members] if outcome else [],
            pending=[m.worker_id for m in outcome.pending] if outcome else [],
            sinks={m.worker_id: list(m.sinks) for m in outcome.pending} if outcome else {},
            leases_out=outcome.leases_out if outcome else False,
            note=outcome.note if outcome else note,
            **extra,
        )
        return outcome

    def engage(self, scope: str | None, wait_s: float | None) -> Outcome | None:
        """Stops; with `wait_s` waits for the proof."""

        def engaged(_: Outcome) -> None:
            self._engaged_t = self._kernel.now
            self.is_waiting = wait_s is not None

        return self._run(
            "engage",
            scope,
            wait_s,
            lambda: self._control.engage("sim", self.process.name, scope, wait_s, on_engaged=engaged),
        )

    def reset(self, scope: str | None, think_ns: int, for_s: float | None = None) -> Outcome | None:
        """Looks, thinks, and permits what was looked at."""

        def call() -> Outcome:
            epoch = self._look(scope)
            self._kernel.sleep(think_ns)
            return self._control.reset(epoch, "sim", self.process.name, scope, for_s)

        return self._run("reset", scope, None, call)

    def reduce(self, scope: str | None, think_ns: int) -> Outcome | None:
        """Looks, thinks, and permits what reduces."""

        def call() -> Outcome:
            epoch = self._look(scope)
            self._kernel.sleep(think_ns)
            return self._control.reduce("sim", self.process.name, scope, epoch)

        return self._run("reduce", scope, None, call)

    def _look(self, scope: str | None) -> int:
        """The epoch on record, by the tool for it, or with no more than redis-cli."""
        if self._kernel.rng.random() < 0.88:
            field = f"{scope or SWITCH}:epoch"
            found = self._by_hand("HGET", LEDGER, field)
            return int(found) if isinstance(found, bytes) and found.isdigit() else 0
        status = self._control.status()
        found = next((state for state in status.scopes if state.scope == scope), None)
        return found.epoch if found is not None else status.switch.epoch if scope is None else 0

    def initialise(self) -> None:
        """Loads the function library again."""
        self._control.init(self.process.name)

    def _by_hand(self, *words: str | bytes) -> object:
        wire = connect(self._settings.endpoint, 1.0, "redis-cli")
        try:
            return wire.call(*words)
        finally:
            wire.close()

    def by_hand(self, *words: str) -> bool:
        """What redis-cli would send; whether it was done."""
        try:
            self._by_hand(*words)
        except (StoreRefused, StoreUnavailable):
            return False
        return True

    def leave_for(self, worker: str) -> bool:
        """Takes a lost worker off the membership, as an operator does once its orders are reconciled."""
        return self.by_hand("FCALL", "ks_leave", "1", f"{PREFIX}:state", worker)
