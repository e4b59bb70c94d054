"""What a beat tells besides the proof: how near the lease came to its end, and how many checks were refused."""

from __future__ import annotations

import random

import pytest

from killswitch import Agent, Blocked, Code, Mode, Settings
from killswitch.core.view import FIRST_PICTURE, Picture
from killswitch.core.watch import Watch
from killswitch.gate import watcher as watcher_module
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import make_readiness
from killswitch.gate.waiting import make_waiting
from killswitch.gate.watcher import Watcher
from tests.support.fakes import MS, TIMING, VERSION, ScriptedClock


def open_until(until_ns: int, limited_by: Code = Code.LEASE_EXPIRED) -> Picture:
    """An open picture."""
    return Picture(Mode.SAFE, 7, Code.OPEN, "", until_ns, until_ns, limited_by)


def test_slack_is_the_least_that_was_left_when_the_lease_was_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a renewal of an open gate counts: neither opening nor closing, nor the end of a time-boxed permission."""
    clock = ScriptedClock(0)
    monkeypatch.setattr(watcher_module, "now_ns", clock)

    def nothing(*_: object) -> None:
        raise AssertionError("not on this stage")

    waiting = make_waiting()
    gate = Gate(make_readiness())
    watch = Watch(TIMING, VERSION, (), random.Random(1))
    watcher = Watcher(gate, watch, waiting, nothing, nothing, lambda *_: None)  # type: ignore[arg-type]
    assert watcher.take_slack_ms() == ""
    watcher._show(open_until(1000 * MS))
    assert watcher.take_slack_ms() == "", "opening is no renewal"
    for at_ms in (250, 700, 1100):
        clock.now_ns = at_ms * MS
        watcher._show(open_until((at_ms + 1000) * MS))
    assert watcher.take_slack_ms() == "550"
    assert watcher.take_slack_ms() == "", "told once"
    clock.now_ns = 2112 * MS
    watcher._show(open_until(3000 * MS, Code.PERMISSION_EXPIRED))
    assert watcher.take_slack_ms() == "-12", "it had run out"
    clock.now_ns = 2999 * MS
    watcher._show(open_until(9000 * MS))
    watcher._show(FIRST_PICTURE)
    assert watcher.take_slack_ms() == ""
    waiting.close()
    gate.readiness.close()


def test_the_child_of_a_fork_counts_from_nothing() -> None:
    """What the parent's gate refused is told by the parent alone."""
    agent = Agent(Settings())
    with pytest.raises(Blocked):
        agent.gate.signal()
    assert agent.gate.refusals == {Code.STOPPED: [1, 0]}
    agent._after_fork_in_child()
    assert agent.gate.refusals == {}
