"""A tick whose gate says only that something was announced: it waits, and then it is decided by a whole check."""

from __future__ import annotations

import pytest

from killswitch import Blocked, Code, Mode
from tests.unit.workers.doubles import ScriptedGate, ScriptedPermit
from tests.unit.workers.rig import LEAVE, REST, TAKE, TICKS, Rig
from workers.report import EngineReport

SIGNALS = (TAKE, REST, None, TAKE, REST, LEAVE, None, REST)
CHECKS = 14  # of the plain run: eight at gate 1, six at gate 2


class AnnouncingGate(ScriptedGate):
    """Refuses the checks whose numbers it is given, each `times` times, because something was announced. `then` is what
    it was: called before the check is repeated for the last time. `kinds` are the checks that were answered."""

    def __init__(self, *numbers: int, times: int = 3, then: object = None) -> None:
        super().__init__()
        self.numbers = dict.fromkeys(numbers, times)
        self.kinds: list[str] = []
        self.then = then

    @property
    def asked(self) -> int:
        return len(self.kinds)

    def _ask(self, kind: str) -> None:
        left = self.numbers.get(self.asked, 0)
        if left:
            self.numbers[self.asked] = left - 1
            if left == 1 and callable(self.then):
                self.then()
            raise Blocked(Code.STATE_CHANGED, Mode.ENGAGED, self.epoch, "announced")
        self.kinds.append(kind)

    def signal(self) -> int:
        self._ask("signal")
        return super().signal()

    def check(self, permit: ScriptedPermit) -> None:
        self._ask("order")
        super().check(permit)


def run(gate: ScriptedGate, patience_ms: int = 10_000) -> tuple[Rig, EngineReport]:
    """One run of the same ticks and signals behind `gate`."""
    rig = Rig(*SIGNALS)
    rig.patience_ms = patience_ms
    rig.agent.gate = gate
    if isinstance(gate, AnnouncingGate) and gate.then == "halt":
        gate.then = rig.agent.engage
    return rig, rig.run(*TICKS[: len(SIGNALS)])


def traded(rig: Rig, report: EngineReport) -> tuple[object, ...]:
    """Everything that trading came to."""
    orders = [(order, sent.epoch) for order, sent in rig.recorder.orders]
    return orders, report.fills, report.replaced, report.positions, report.cancelled, rig.strategy.seen


@pytest.mark.parametrize("number", range(CHECKS))
def test_an_announcement_at_any_check_changes_no_order(number: int) -> None:
    """Whichever check of a run meets a drill: the same orders, fills and cancels, and no check counts as blocked."""
    rig, report = run(AnnouncingGate(number))
    assert traded(rig, report) == traded(*run(ScriptedGate()))
    assert (report.blocked_signals, report.blocked_orders, report.waited) == ({}, {}, 1)
    assert rig.recorder.closes == []
    assert (report.latency["gate1"].count, report.latency["tick"].count) == (len(SIGNALS), len(SIGNALS))


def test_announcements_at_every_check_change_no_order() -> None:
    """A drill that is never over, as far as this engine can see."""
    gate = AnnouncingGate(*range(CHECKS))
    rig, report = run(gate)
    assert gate.asked == CHECKS
    assert traded(rig, report) == traded(*run(ScriptedGate()))
    assert (report.blocked_signals, report.blocked_orders, report.waited) == ({}, {}, len(SIGNALS))


@pytest.mark.parametrize("number", range(CHECKS))
def test_a_halt_behind_the_announcement_refuses_the_tick_that_waited(number: int) -> None:
    """What was announced turns out to be a stop: from the check that waited on nothing is sent, at no gate."""
    gate = AnnouncingGate(number, then="halt")
    rig, report = run(gate)
    plain = AnnouncingGate()
    before, _ = run(plain)
    orders = plain.kinds[:number].count("order")
    assert [order for order, _ in rig.recorder.orders] == [order for order, _ in before.recorder.orders][:orders]
    assert report.waited == 1
    refused = report.blocked_orders if plain.kinds[number] == "order" else report.blocked_signals
    assert sum(refused.values()) >= 1
    assert set(report.blocked_signals) | set(report.blocked_orders) <= {"engaged", "stale_signal"}
    assert rig.recorder.closes == [("engaged", 2)]


def test_a_signal_from_before_a_halt_does_not_wait_it_out() -> None:
    """Stopped and permitted again behind one announcement: gate 2 is open, but not for what was decided before."""
    gate = AnnouncingGate(1)
    rig = Rig(REST)
    rig.agent.gate = gate

    def halt_and_permit() -> None:
        gate.epoch += 2

    gate.then = halt_and_permit
    report = rig.run(TICKS[0], TICKS[1])
    assert (report.orders, report.blocked_orders, report.waited) == (0, {"stale_signal": 1}, 1)


def test_a_gate_that_does_not_say_what_changed_is_closed_after_a_while() -> None:
    """Waited for once and not again for every tick: a watcher that hangs must not slow down fills and cancels."""
    rig = Rig(REST, REST)
    rig.patience_ms = 30
    hung: list[int] = []

    def hang() -> None:
        rig.agent.gate.mode, rig.agent.gate.code = Mode.ENGAGED, Code.STATE_CHANGED
        hung.append(1)

    report = rig.run(TICKS[0], hang, *TICKS[1:60], lambda: None)
    assert hung
    assert report.blocked_signals == {"state_changed": 59}
    assert report.waited == 1
    assert report.orders == 1


def test_patience_is_whole_again_after_a_check_that_passed() -> None:
    """A gate that hung once is waited for again at the next announcement."""
    rig = Rig(*[None] * 4)
    gate = rig.agent.gate

    def say(mode: Mode, code: Code) -> None:
        gate.mode, gate.code = mode, code

    report = rig.run(
        lambda: say(Mode.ENGAGED, Code.STATE_CHANGED),
        *TICKS[:2],
        lambda: say(Mode.SAFE, Code.OPEN),
        TICKS[2],
        lambda: say(Mode.ENGAGED, Code.STATE_CHANGED),
        TICKS[3],
    )
    assert report.blocked_signals == {"state_changed": 3}
    assert report.waited == 2


def test_a_stop_request_ends_the_wait() -> None:
    """Asked to end while a tick waits: it is refused, not waited for, and the engine ends."""
    rig = Rig(REST)
    rig.patience_ms = 600_000

    class Stopping(ScriptedGate):
        def signal(self) -> int:
            rig.engine.request_stop()
            raise Blocked(Code.STATE_CHANGED, Mode.ENGAGED, 1, "announced")

    rig.agent.gate = Stopping()
    report = rig.run(*TICKS[:3])
    assert (report.ending, report.ticks, report.blocked_signals) == ("stopped", 1, {"state_changed": 1})
