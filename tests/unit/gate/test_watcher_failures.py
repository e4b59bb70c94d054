"""What a watcher does when something fails under it: the gate is closed first, and no later failure matters."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from killswitch.core.answer import Answer, StateRow
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.core.watch import Phase, Watch
from killswitch.errors import StoreUnavailable
from killswitch.gate import watcher as module
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import SHUT, make_readiness
from killswitch.gate.waiting import make_waiting
from killswitch.gate.watcher import Watcher
from killswitch.store.line import Beat
from tests.support.fakes import MS, TIMING
from tests.unit.gate.conftest import open_picture


class End:
    """A connection of the watcher, as far as it is used here. `asking` is what happens when a question goes out."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.rung = "bcast"
        self.asking: Callable[[], object] = lambda: None

    def fileno(self) -> int:
        return self._number

    def ask_read(self, nonce: int) -> None:
        self.asking()

    def ask_beat(self, nonce: int, beat: object) -> None:
        """A beat always goes out."""

    def answers(self) -> NoReturn:
        raise StoreUnavailable(Code.DISCONNECTED, "it ended")

    def close(self) -> None:
        """Nothing is held."""


class Silent(ValueError):
    """An error that cannot be put into words."""

    def __repr__(self) -> str:
        raise OSError("no words")


class Bench:
    """A watcher with an open gate whose push connection is `near`; `said` is what the gate was when it logged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, near: socket.socket) -> None:
        self.now = 10**9
        monkeypatch.setattr(module, "now_ns", lambda: self.now)
        monkeypatch.setattr(module._LOG, "exception", self._log)
        self.said: list[tuple[bool, Code, Phase]] = []
        self.log_fails: Exception | None = None
        self.heard: Callable[[], object] = lambda: None
        self.channel, self.line = End(near.fileno()), End(-1)
        self.watch = Watch(TIMING, 1, (), random.Random(1))
        self.gate = Gate(make_readiness())
        self.waiting = make_waiting()
        opener: Any = lambda: (self.channel, self.line)  # noqa: E731
        beat = Beat("w-1", 0, True, 0, 1, 1, "life", {})
        self.watcher = Watcher(self.gate, self.watch, self.waiting, opener, lambda *_: beat, self._hear)
        monkeypatch.setattr(self.waiting, "watch", lambda _: None)
        self.watcher._perform(self.watch.start(self.now))
        question = self.watch._question
        assert question is not None
        row = StateRow("value", "SAFE", 4, -1, 1, True)
        self.watcher._perform(self.watch.answered(self.now, Answer(1, str(question.nonce), "r", True, 1, (row,))))
        assert self.gate.picture.is_open

    def _hear(self, _before: Picture, _after: Picture) -> None:
        self.heard()

    def _log(self, *_: object) -> None:
        self.said.append((self.gate.picture.is_open, self.gate.picture.code, self.watch.phase))
        if self.log_fails is not None:
            raise self.log_fails

    def renew(self) -> None:
        """The next renewal is due."""
        self.now += TIMING.renew_ms * MS
        self.watcher._perform(self.watch.tick(self.now))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]) -> Iterator[Bench]:
    """A watcher whose gate is open."""
    made = Bench(monkeypatch, pair[0])
    readiness = made.gate.readiness
    yield made
    made.waiting.close()
    readiness.close()


def fails(error: BaseException) -> Callable[..., NoReturn]:
    """Raises `error`, whatever it is given."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


LOGS = pytest.mark.parametrize(
    "log_fails", [None, ValueError("I/O operation on closed file."), OSError(28, "No space left"), MemoryError()]
)


@LOGS
def test_action_that_fails_closes_the_gate_before_it_is_logged(bench: Bench, log_fails: Exception | None) -> None:
    """P2: the gate is closed and the trouble known before a word is said, and a log that fails changes nothing."""
    bench.log_fails = log_fails
    bench.line.asking = fails(TypeError("not to be put into a question"))
    bench.renew()
    assert bench.said == [(False, Code.BAD_ANSWER, Phase.WAITING)]
    assert bench.gate.picture.code is Code.BAD_ANSWER
    assert "not to be put into a question" in bench.gate.picture.reason
    assert not bench.gate.attending
    bench.line.asking = lambda: None
    bench.now += 1000 * MS
    bench.watcher._perform(bench.watch.tick(bench.now))
    assert bench.watch.phase is Phase.CONNECTED, "it goes on"


@LOGS
def test_watcher_that_dies_closes_the_gate_before_it_is_logged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, log_fails: Exception | None
) -> None:
    """P2: whatever ends the thread, WATCHER_DEAD is shown before it is logged; listeners hear of it all the same."""
    bench.log_fails = log_fails
    heard: list[Code] = []
    bench.heard = lambda: heard.append(bench.gate.picture.code)
    monkeypatch.setattr(bench.watcher, "_turn", fails(ZeroDivisionError("a bug")))
    bench.watcher._run()
    assert [said[:2] for said in bench.said] == [(False, Code.WATCHER_DEAD)]
    assert heard == [Code.WATCHER_DEAD]
    assert bench.gate.picture.epoch == 1


def test_connection_is_given_up_behind_a_closed_gate_whatever_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2: where not even the closed picture can be made, the gate is closed before its socket is not asked any more."""
    open_when_forgotten: list[bool] = []
    monkeypatch.setattr(bench.watcher, "_turn", fails(ZeroDivisionError("a bug")))
    monkeypatch.setattr(bench.watcher, "_show", fails(MemoryError()))
    monkeypatch.setattr(
        bench.gate.readiness, "forget", lambda _: open_when_forgotten.append(bench.gate.picture.is_open)
    )
    with pytest.raises(MemoryError):
        bench.watcher._run()
    assert open_when_forgotten == [False]
    assert bench.gate.picture.code is Code.WATCHER_DEAD


def test_error_without_words_closes_the_gate_and_the_watcher_goes_on(bench: Bench) -> None:
    """An exception of the application that cannot be put into words is named by its kind."""
    bench.line.asking = fails(Silent())
    bench.renew()
    assert (bench.gate.picture.code, bench.gate.picture.reason) == (Code.BAD_ANSWER, "Ask: Silent")
    assert bench.watch.phase is Phase.WAITING


@pytest.mark.parametrize("news", ["the lease ran out", "the connection ended"])
def test_watcher_that_a_fork_in_its_callback_left_behind_touches_nothing_of_the_next(
    bench: Bench, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, news: str
) -> None:
    """P2: the child's new watcher has the same gate, and perhaps the same descriptor numbers: the old one, which comes
    back from the callback in the child, neither takes the socket out of the new set nor writes the gate or its book."""
    near, far = pair
    after = make_readiness()
    shown: list[Picture] = []

    def fork() -> None:
        if shown:
            return
        gate = bench.gate
        gate.readiness.close()
        gate.let_go()
        bench.watcher.abandon()
        gate.renew_readiness(after)
        after.watch(near.fileno())
        shown.append(open_picture(2))
        gate.show(shown[0])
        gate.attending = gate.book.draining = True

    bench.heard = fork
    if news == "the lease ran out":
        bench.now += TIMING.lease_ms * MS
    else:
        monkeypatch.setattr(bench.waiting, "wait", lambda _: ({bench.line.fileno()}, False))
    bench.watcher._run()
    assert bench.said == []
    assert bench.gate.picture is shown[0]
    assert (bench.gate.attending, bench.gate.book.draining) == (True, True)
    assert not after.ready(0, 1)
    far.send(b">")
    assert after.ready(0, 1)
    after.close()
    assert (bench.watcher._push_fd, bench.watcher._channel, bench.watcher._line) == (-1, None, None)
    assert bench.watch.phase is Phase.IDLE


def test_watcher_that_its_callback_stopped_leaves_the_gate_to_the_next(
    bench: Bench, pair: tuple[socket.socket, socket.socket]
) -> None:
    """An agent may be closed and started again in a callback: the old watcher, which ends later, closes nothing."""
    after = make_readiness()
    shown: list[Picture] = []

    def restart() -> None:
        if shown:
            return
        bench.watcher._thread = threading.current_thread()
        bench.watcher.stop()
        assert bench.gate.picture.code is Code.STOPPED
        bench.gate.let_go()
        bench.gate.renew_readiness(after)
        after.watch(pair[0].fileno())
        shown.append(open_picture(2))
        bench.gate.show(shown[0])
        raise SystemExit

    bench.heard = restart
    bench.now += TIMING.lease_ms * MS
    bench.watcher._run()
    assert bench.gate.picture is shown[0]
    pair[1].send(b">")
    assert after.ready(0, 1)
    after.close()
    assert bench.watcher._readiness is SHUT
