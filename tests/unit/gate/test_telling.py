"""What the agent's listeners hear of announcements: what they were about, once, and nothing of those about nothing."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from killswitch.core.answer import Answer, StateRow
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.core.watch import Timing, Watch
from killswitch.gate import watcher as module
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import make_readiness
from killswitch.gate.waiting import make_waiting
from killswitch.gate.watcher import Watcher, settled_changes

MS = 1_000_000


def picture(mode: Mode, epoch: int, code: Code) -> Picture:
    """What a gate may show."""
    until = 0 if mode is Mode.ENGAGED else 10**18
    return Picture(mode, epoch, code, "", until, until)


OPEN = picture(Mode.SAFE, 1, Code.OPEN)
NEWER = picture(Mode.SAFE, 3, Code.OPEN)
LESS = picture(Mode.REDUCING, 1, Code.REDUCING)
CHANGED = picture(Mode.ENGAGED, 1, Code.STATE_CHANGED)
STOP = picture(Mode.ENGAGED, 2, Code.ENGAGED)
SILENT = picture(Mode.ENGAGED, 1, Code.NO_ANSWER)


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ([OPEN, CHANGED, OPEN], [(OPEN, OPEN)]),
        ([OPEN, CHANGED, OPEN, CHANGED, OPEN], [(OPEN, OPEN), (OPEN, OPEN)]),
        ([OPEN, CHANGED, STOP], [(OPEN, STOP)]),
        ([OPEN, CHANGED, SILENT], [(OPEN, SILENT)]),
        ([OPEN, CHANGED, NEWER], [(OPEN, CHANGED), (CHANGED, NEWER)]),
        ([OPEN, CHANGED, LESS], [(OPEN, CHANGED), (CHANGED, LESS)]),
        ([STOP, CHANGED, STOP], [(STOP, STOP)]),
        ([STOP, CHANGED, OPEN], [(STOP, CHANGED), (CHANGED, OPEN)]),
        ([OPEN, CHANGED, OPEN, CHANGED, STOP], [(OPEN, OPEN), (OPEN, STOP)]),
        ([CHANGED, STOP], [(CHANGED, STOP)]),
        ([OPEN, SILENT, OPEN], [(OPEN, SILENT), (SILENT, OPEN)]),
        ([OPEN, CHANGED], [(OPEN, CHANGED)]),
    ],
)
def test_an_announcement_is_told_with_what_it_was_about(shown: list[Picture], told: list[tuple[Picture, ...]]) -> None:
    """One change from before to after; from open to open, which calls nobody, only where it is open as before."""
    assert settled_changes(itertools.pairwise(shown)) == told


class Bench:
    """A watcher whose events a test feeds by hand, on a clock of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 10**9
        monkeypatch.setattr(module, "now_ns", lambda: self.now)
        self.watch = Watch(Timing(1000, 250, 1000, 500), 1, (), random.Random(1))
        self.gate = Gate(make_readiness())
        self.told: list[tuple[bool, bool, Code]] = []
        opener: Any = None
        beat: Any = None
        self.waiting = make_waiting()
        self.watcher = Watcher(self.gate, self.watch, self.waiting, opener, beat, self._hear)
        self.watcher._connect = lambda: None  # type: ignore[method-assign]
        self.do(self.watch.start)

    def _hear(self, before: Picture, after: Picture) -> None:
        self.told.append((before.is_open, after.is_open, after.code))

    def do(self, event: Callable[..., Any], *words: Any) -> None:
        self.watcher._perform(event(self.now, *words))

    def answer(self, text: str = "SAFE", epoch: int = 1) -> None:
        question = self.watch._question
        assert question is not None
        row = StateRow("value", text, len(text), -1, epoch, True)
        self.do(self.watch.answered, Answer(1, str(question.nonce), "r", True, epoch, (row,)))

    def opened(self) -> None:
        self.answer()
        assert self.told.pop() == (False, True, Code.OPEN)
        self.told.clear()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A watcher whose gate is open."""
    made = Bench(monkeypatch)
    made.opened()
    yield made
    made.waiting.close()
    made.gate.readiness.close()


def test_a_drill_closes_the_gate_and_calls_nobody(bench: Bench) -> None:
    """The gate is closed at once and until the answer; the listeners hear of neither."""
    bench.do(bench.watch.pushed)
    assert not bench.gate.picture.is_open
    assert bench.told == []
    bench.answer()
    assert bench.gate.picture.is_open
    assert bench.told == [(True, True, Code.OPEN)]


def test_a_stop_is_told_once_with_its_reason(bench: Bench) -> None:
    """A round trip after the announcement, as one change."""
    bench.do(bench.watch.pushed)
    bench.answer("ENGAGED x", 2)
    assert bench.told == [(True, False, Code.ENGAGED)]


def test_who_does_not_answer_after_an_announcement_is_told_when_patience_is_over(bench: Bench) -> None:
    """The reason is that nobody answers; the gate had been closed all along."""
    bench.do(bench.watch.pushed)
    bench.now += 500 * MS
    bench.do(bench.watch.tick)
    assert bench.told == [(True, False, Code.NO_ANSWER)]


def test_a_storm_of_announcements_is_told_when_patience_is_over(bench: Bench) -> None:
    """Changes that never let the gate open are a closed gate, and listeners hear of it although nothing settles."""
    bench.do(bench.watch.pushed)
    for _ in range(60):
        bench.do(bench.watch.pushed)
        bench.now += 10 * MS
        bench.answer()  # void: something changed since it was asked
    assert bench.told == [(True, False, Code.STATE_CHANGED)]
    bench.answer()
    assert bench.told[1:] == [(False, True, Code.OPEN)]
