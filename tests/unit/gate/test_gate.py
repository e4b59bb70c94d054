"""The two checks, on a scripted clock and a scripted push socket."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import FIRST_PICTURE, Picture
from killswitch.errors import Blocked
from killswitch.gate import gate as gate_module
from killswitch.gate.gate import Gate
from tests.support.fakes import ScriptedClock


class ScriptedReadiness:
    """`ready` runs the next step of the script, if any, and says whether bytes are waiting."""

    def __init__(self) -> None:
        self.waiting = False
        self.script: list[Callable[[], bool | None]] = []
        self.asked = 0
        self.ready: Callable[[int, int], object] = self._ask

    def _ask(self, timeout: int, limit: int) -> object:
        self.asked += 1
        if self.script:
            found = self.script.pop(0)()
            if found is not None:
                return found
        return self.waiting

    def watch(self, fd: int) -> None: ...

    def forget(self, fd: int) -> None: ...

    def close(self) -> None: ...


class Bench:
    """A gate with everything around it scripted; `log` names what a check did, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ScriptedClock(1000)
        self.log: list[str] = []
        self.readiness = ScriptedReadiness()
        self.slept: list[float] = []

        def now() -> int:
            self.log.append("clock")
            return self.clock()

        monkeypatch.setattr(gate_module, "now_ns", now)
        monkeypatch.setattr(gate_module, "sleep", self.slept.append)
        self.gate = Gate(self.readiness)

    def open(self, epoch: int = 7, until: int = 2000, mode: Mode = Mode.SAFE) -> Picture:
        code = Code.OPEN if mode is Mode.SAFE else Code.REDUCING
        picture = Picture(mode, epoch, code, "fine", until, until if mode is Mode.SAFE else 0)
        self.gate.show(picture)
        return picture

    def shut(self, code: Code = Code.ENGAGED, epoch: int = 8) -> None:
        self.gate.show(Picture(Mode.ENGAGED, epoch, code, "stopped by test"))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A closed gate on the bench."""
    return Bench(monkeypatch)


def refusal(action: Callable[[], object]) -> Blocked:
    """The Blocked that an action raises."""
    with pytest.raises(Blocked, match="mode") as caught:
        action()
    return caught.value


def enter(gate: Gate, epoch: int = 7, reduces: bool = False) -> None:
    """Passes gate 2 and leaves again."""
    with gate.order(epoch, reduces):
        pass


def test_new_gate_is_closed(bench: Bench) -> None:
    """The first picture permits nothing at either gate."""
    assert bench.gate.picture is FIRST_PICTURE
    assert refusal(bench.gate.signal).code is Code.STOPPED
    assert refusal(lambda: enter(bench.gate, 0)).code is Code.STOPPED
    assert bench.gate.book.count() == 0


def test_open_gate_returns_the_epoch_and_lets_the_order_pass(bench: Bench) -> None:
    """Gate 1 gives the epoch, gate 2 a permit that carries it as fencing token."""
    bench.open(epoch=7)
    epoch = bench.gate.signal()
    assert epoch == 7
    with bench.gate.order(epoch, order_id="c-1") as permit:
        assert permit.epoch == 7
        assert bench.gate.book.orders() == ["c-1"]
    assert bench.gate.book.count() == 0


@pytest.mark.parametrize("reduces", [False, True])
def test_unread_push_blocks_although_the_picture_is_open(bench: Bench, reduces: bool) -> None:
    """Bytes on the push socket mean that something changed, whatever the picture says."""
    bench.open()
    bench.readiness.waiting = True
    assert refusal(bench.gate.signal).code is Code.STATE_CHANGED
    assert refusal(lambda: enter(bench.gate, reduces=reduces)).code is Code.STATE_CHANGED


@pytest.mark.parametrize("check", ["signal", "order", "reducing order"])
def test_picture_is_loaded_after_the_socket_was_found_empty(bench: Bench, check: str) -> None:
    """The watcher closes the picture before it empties the socket: a check that finds it empty must see the close."""
    bench.open()

    def watcher_closes_and_drains() -> None:
        bench.log.append("poll")
        bench.shut()

    bench.readiness.script = [watcher_closes_and_drains]
    act = bench.gate.signal if check == "signal" else lambda: enter(bench.gate, reduces=check != "order")
    assert refusal(act).code is Code.ENGAGED
    assert bench.log[:2] == ["poll", "clock"]


def test_state_for_people_is_read_in_the_same_order(bench: Bench) -> None:
    """What the view shows after +OK is no older than what a check would find."""
    bench.open()
    bench.readiness.script = [bench.shut]
    assert bench.gate.state_now()[:2] == (Mode.ENGAGED, Code.ENGAGED)


def test_clock_is_read_after_the_picture(bench: Bench) -> None:
    """A lease that ends while the socket is asked is over."""
    bench.open(until=2000)

    def long_poll() -> None:
        bench.clock.now_ns = 2000

    bench.readiness.script = [long_poll]
    assert refusal(bench.gate.signal).code is Code.LEASE_EXPIRED


@pytest.mark.parametrize(("now", "passes"), [(1999, True), (2000, False), (2001, False)])
def test_deadline_itself_is_closed(bench: Bench, now: int, passes: bool) -> None:
    """Open strictly before the deadline, at both gates."""
    bench.open(until=2000)
    bench.clock.now_ns = now
    if passes:
        assert bench.gate.signal() == 7
        enter(bench.gate)
    else:
        assert refusal(bench.gate.signal).code is Code.LEASE_EXPIRED
        assert refusal(lambda: enter(bench.gate)).code is Code.LEASE_EXPIRED


def test_expired_picture_names_what_limited_it(bench: Bench) -> None:
    """A time-boxed permission that ran out is told apart from a lost Redis."""
    bench.gate.show(Picture(Mode.SAFE, 7, Code.OPEN, "", 500, 500, Code.PERMISSION_EXPIRED))
    found = refusal(bench.gate.signal)
    assert (found.code, found.mode, found.epoch) == (Code.PERMISSION_EXPIRED, Mode.ENGAGED, 7)


@pytest.mark.parametrize("epoch", [6, 8, 0, -1])
def test_signal_of_another_epoch_is_stale(bench: Bench, epoch: int) -> None:
    """A signal from before a halt never becomes an order after it."""
    bench.open(epoch=7)
    found = refusal(lambda: enter(bench.gate, epoch))
    assert (found.code, found.epoch) == (Code.STALE_SIGNAL, 7)
    assert bench.gate.book.count() == 0


def test_reducing_lets_signals_and_reducing_orders_pass_only(bench: Bench) -> None:
    """Gate 1 is open, gate 2 asks for reduces=True."""
    bench.open(mode=Mode.REDUCING)
    assert bench.gate.signal() == 7
    enter(bench.gate, reduces=True)
    found = refusal(lambda: enter(bench.gate))
    assert (found.code, found.mode) == (Code.REDUCING, Mode.REDUCING)


@pytest.mark.parametrize("mode", [Mode.SAFE, Mode.REDUCING])
def test_check_that_failed_stays_failed_when_the_gate_reopens_meanwhile(bench: Bench, mode: Mode) -> None:
    """The refusal tells of a change, not of an open gate."""
    bench.open(mode=mode)
    bench.readiness.script = [lambda: True, lambda: False]
    found = refusal(bench.gate.signal)
    assert (found.code, found.mode) == (Code.STATE_CHANGED, Mode.ENGAGED)


def test_blocked_check_yields_only_while_a_change_is_in_hand(bench: Bench) -> None:
    """A loop that is blocked gives the interpreter to the watcher, and otherwise costs no pause."""
    bench.shut()
    refusal(bench.gate.signal)
    assert bench.slept == []
    bench.gate.attending = True
    refusal(bench.gate.signal)
    bench.gate.attending = False
    bench.readiness.waiting = True
    refusal(bench.gate.signal)
    assert len(bench.slept) == 2


def test_gate_has_no_truth_value(bench: Bench) -> None:
    """`if gate:` is a mistake that nobody makes twice."""
    bench.open()
    with pytest.raises(TypeError, match="no truth value"):
        bool(bench.gate)


def test_gate_has_no_room_for_a_bypass(bench: Bench) -> None:
    """Neither the gate nor its picture takes an attribute that would open it."""
    with pytest.raises(AttributeError):
        bench.gate.enabled = False  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        bench.gate.picture.signal_until_ns = 10**20  # type: ignore[misc]


def test_state_for_people_agrees_with_the_checks(bench: Bench) -> None:
    """What the view shows is what a check would find."""
    bench.open()
    assert bench.gate.state_now() == (Mode.SAFE, Code.OPEN, "fine")
    bench.open(mode=Mode.REDUCING)
    assert bench.gate.state_now(reduces=False)[:2] == (Mode.REDUCING, Code.REDUCING)
    bench.clock.now_ns = 5000
    assert bench.gate.state_now()[:2] == (Mode.ENGAGED, Code.LEASE_EXPIRED)
    bench.shut()
    assert bench.gate.state_now()[:2] == (Mode.ENGAGED, Code.ENGAGED)
    bench.readiness.waiting = True
    assert bench.gate.state_now()[:2] == (Mode.ENGAGED, Code.STATE_CHANGED)


@pytest.mark.parametrize("error", [OSError("bad descriptor"), ValueError("closed epoll object")])
def test_error_while_asking_the_socket_blocks(bench: Bench, error: Exception) -> None:
    """Not knowing is closed, and a trading loop meets Blocked and nothing else."""
    bench.open()

    def fail() -> bool:
        raise error

    bench.readiness.script = [fail] * 6
    assert refusal(bench.gate.signal).code is Code.STATE_CHANGED
    assert refusal(lambda: enter(bench.gate)).code is Code.STATE_CHANGED
    assert bench.gate.state_now()[0] is Mode.ENGAGED
    assert bench.gate.book.count() == 0


@pytest.mark.parametrize("answer", ["nothing", "an error"])
@pytest.mark.parametrize("check", ["signal", "order"])
def test_check_that_asks_while_its_agent_ends_is_blocked(bench: Bench, check: str, answer: str) -> None:
    """Whatever the old set says, or should it be closed: the picture was closed first, and it is loaded afterwards."""
    bench.open()

    def agent_ends() -> bool:
        bench.shut(Code.STOPPED)
        bench.gate.let_go()
        if answer == "nothing":
            return False
        raise ValueError("I/O operation on closed epoll object")

    bench.readiness.script = [agent_ends]
    act = bench.gate.signal if check == "signal" else lambda: enter(bench.gate)
    assert refusal(act).code is Code.STOPPED
    assert bench.gate.book.count() == 0


def test_new_readiness_is_the_one_that_is_asked(bench: Bench) -> None:
    """A new watcher has a new set; the one before it is not asked any more."""
    fresh = ScriptedReadiness()
    bench.gate.renew_readiness(fresh)
    bench.open()
    assert bench.gate.signal() == 7
    assert (fresh.asked, bench.readiness.asked) == (1, 0)
    assert bench.gate.readiness is fresh


def test_refused_checks_are_counted_by_gate_and_code_and_passed_ones_are_not(bench: Bench) -> None:
    """Metrics tell which gate refused how often and why; a passing check pays nothing for that."""
    bench.open(epoch=7)
    bench.gate.signal()
    enter(bench.gate)
    assert bench.gate.refusals == {}
    refusal(lambda: enter(bench.gate, epoch=6))
    bench.shut()
    for _ in range(3):
        refusal(bench.gate.signal)
    refusal(lambda: enter(bench.gate))
    bench.open(mode=Mode.REDUCING)
    refusal(lambda: enter(bench.gate))
    assert bench.gate.refusals == {Code.STALE_SIGNAL: [0, 1], Code.ENGAGED: [3, 1], Code.REDUCING: [0, 1]}
