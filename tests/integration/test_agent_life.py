"""An agent's life: starting, callbacks, lost connections, the death of its watcher, and leaving."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from killswitch import Blocked, Code, Mode, Verdict, View
from tests.support.agents import (
    CALM,
    PATIENCE_S,
    blocked_code,
    closes_with,
    hold_permit,
    kill_client,
    open_epoch,
    release,
    stays_closed,
)
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually


class Heard:
    """What the callbacks of an agent were told."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.threads: set[str] = set()

    def __call__(self, view: View) -> None:
        self.views.append(view)
        self.threads.add(threading.current_thread().name)


def test_callbacks_hear_of_opening_and_closing_on_the_watcher_thread(switch: Switch) -> None:
    """on_open and on_close are called once for each change, in turn, with a view that says why."""
    agent = switch.agent()
    heard = Heard()
    agent.on_open(heard)
    agent.on_close(heard)
    open_epoch(agent)
    switch.control.engage("stop", wait_s=PATIENCE_S)
    closes_with(agent, Code.ENGAGED)
    switch.permit()
    epoch = open_epoch(agent)
    eventually(lambda: heard.views[-1].epoch == epoch, why="the opening was told")
    closed = [view.mode is Mode.ENGAGED for view in heard.views]
    assert all(one != other for one, other in itertools.pairwise(closed))
    assert heard.threads == {"killswitch-watcher"}


@pytest.mark.filterwarnings("ignore")
def test_a_callback_that_raises_harms_nothing(switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a callback is logged; the gate closes, opens, and later callbacks are called."""
    agent = switch.agent()
    heard = Heard()

    def fail(_: View) -> NoReturn:
        raise ValueError("a bug of somebody's callback")

    agent.on_open(fail)
    agent.on_close(fail)
    agent.on_close(heard)
    open_epoch(agent)
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    assert heard.views
    assert "a callback failed" in caplog.text
    switch.permit()
    open_epoch(agent)


def test_wait_open_and_wait_closed_tell_what_became_of_it(switch: Switch) -> None:
    """Both wait at most as long as they are told and return whether it is so."""
    switch.control.engage("first")
    agent = switch.agent()
    assert not agent.wait_open(timeout_s=0.05)
    assert agent.wait_closed(timeout_s=0.0)
    threading.Timer(0.05, switch.permit).start()
    assert agent.wait_open(timeout_s=PATIENCE_S)
    threading.Timer(0.05, switch.engage_raw).start()
    assert agent.wait_closed(timeout_s=PATIENCE_S)


@pytest.mark.faults
@pytest.mark.parametrize("name", ["killswitch-push", "killswitch-ask"])
def test_a_connection_that_was_killed_closes_the_gate_and_comes_back(switch: Switch, name: str) -> None:
    """The end of either connection closes at once, with the code; the agent reconnects and is pushed to again."""
    agent = switch.agent(**CALM)
    heard = Heard()
    agent.on_close(heard)
    open_epoch(agent)
    already = len(heard.views)
    assert kill_client(switch.server, name) == 1
    eventually(lambda: heard.views[already:], timeout_s=PATIENCE_S, why="the gate closed")
    open_epoch(agent)
    switch.engage_raw()
    assert blocked_code(agent) in (Code.STATE_CHANGED, Code.ENGAGED)


@pytest.mark.faults
def test_a_watcher_that_dies_leaves_a_closed_gate_that_says_so(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever unexpected error ends the watcher thread, the gate is closed for good with the code WATCHER_DEAD."""
    agent = switch.agent(**CALM)
    heard = Heard()
    agent.on_close(heard)
    open_epoch(agent)
    watcher = agent._watcher
    assert watcher is not None

    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(watcher.watch, "answered", fail)
    closes_with(agent, Code.WATCHER_DEAD)
    eventually(lambda: Code.WATCHER_DEAD in [view.code for view in heard.views], why="the callback was told")
    assert "the watcher thread died" in caplog.text
    for _ in range(100):
        assert blocked_code(agent) is Code.WATCHER_DEAD
    assert agent.close(0.0)  # and it can still say goodbye


@pytest.mark.faults
def test_an_action_that_fails_closes_the_gate_until_it_succeeds(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that no beat can carry closes the gate with a log line, and the watcher lives on to open it again."""
    agent = switch.agent()
    open_epoch(agent)
    watcher = agent._watcher
    assert watcher is not None

    def fail(*_: object) -> NoReturn:
        raise TypeError("not to be put into a beat")

    with monkeypatch.context() as patch:
        patch.setattr(watcher, "_make_beat", fail)
        assert "not to be put into a beat" in closes_with(agent, Code.BAD_ANSWER)
    open_epoch(agent)
    assert "the watcher could not do Ask" in caplog.text


@pytest.mark.faults
def test_a_killed_push_connection_that_lives_on_in_a_copy_is_replaced(switch: Switch) -> None:
    """A copy of the socket, as a forked child may hold, keeps nothing in the sets that are asked: the gate reopens."""
    agent = switch.agent(**CALM)
    open_epoch(agent)
    watcher = agent._watcher
    assert watcher is not None
    copy = os.dup(watcher._push_fd)
    try:
        assert kill_client(switch.server, "killswitch-push") == 1
        open_epoch(agent)
    finally:
        os.close(copy)


@pytest.mark.faults
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_lost_connections_leave_no_descriptor_behind(switch: Switch) -> None:
    """A broken wire is closed by its owner: 120 kills later there are no more descriptors than before."""
    worker = switch.worker()
    worker.opens()

    def descriptors() -> int:
        return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))

    before = descriptors()
    for number in range(120):
        kill_client(switch.server, ("killswitch-push", "killswitch-ask")[number % 2])
        worker.opens()
    eventually(lambda: descriptors() <= before, why="no more descriptors than before")


def test_closing_in_a_callback_closes_the_gate_before_it_leaves(switch: Switch) -> None:
    """close() on the watcher's own thread returns with the gate closed; listeners hear of it afterwards, in turn."""
    switch.control.engage("until the callbacks are in place")
    agent = switch.agent(**CALM)
    told: list[object] = []

    def close(_: View) -> None:
        left = agent.close(0.0)
        told.append((left, blocked_code(agent), switch.control.status().members))

    agent.on_open(close)
    agent.on_close(lambda view: told.append(view.code))
    switch.permit()
    eventually(lambda: len(told) == 2, timeout_s=PATIENCE_S, why="both were called")
    assert told == [(True, Code.STOPPED, ()), Code.STOPPED]


def test_a_loop_that_checks_through_ends_and_starts_meets_blocked_only(switch: Switch) -> None:
    """P2: an agent may be closed and started again under a loop that never stops checking."""
    agent = switch.agent(**CALM)
    met: list[BaseException] = []
    over = threading.Event()

    def check() -> None:
        while not over.is_set():
            try:
                with agent.gate.order(agent.gate.signal()):
                    pass
            except Blocked:
                pass
            except BaseException as error:  # a trading loop would have ended here
                met.append(error)
                return

    thread = threading.Thread(target=check)
    thread.start()
    try:
        for _ in range(20):
            open_epoch(agent)
            assert agent.close()
            assert blocked_code(agent) is Code.STOPPED
            agent.start()
    finally:
        over.set()
        thread.join()
    assert met == []


def test_closing_an_agent_takes_it_off_the_membership(switch: Switch) -> None:
    """close() closes the gate for good and leaves; what remains behind proves quiet without it."""
    agent, other = switch.agent(**CALM), switch.agent(**CALM)
    open_epoch(agent)
    open_epoch(other)
    assert agent.close()
    assert blocked_code(agent) is Code.STOPPED
    assert [m.worker_id for m in switch.control.status().members] == [other.worker_id]
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    assert [m.worker_id for m in outcome.members] == [other.worker_id]


def test_closing_with_an_order_in_flight_does_not_leave(switch: Switch) -> None:
    """P7: an agent closed with a permit held stays in the membership, so its order stays in sight."""
    agent = switch.agent(beat_ms=50)
    permit = hold_permit(agent, "c-1")
    told = eventually(lambda: [m for m in switch.control.status().members if m.in_flight], why="a beat tells of it")
    assert told[0].orders == ("c-1",)
    assert not agent.close(drain_s=0.05)
    assert blocked_code(agent) is Code.STOPPED
    outcome = switch.control.engage("stop", wait_s=2.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert [m.worker_id for m in outcome.pending] == [agent.worker_id]
    release(permit)


def test_two_agents_in_one_process_are_two_workers(switch: Switch) -> None:
    """Each has its own id, scopes and permits, and each is closed by the one SET."""
    first, second = switch.agent(["strategy:a"], **CALM), switch.agent(["strategy:b"], **CALM)
    assert first.worker_id != second.worker_id
    open_epoch(first)
    permit = hold_permit(second)
    assert (first.in_flight, second.in_flight) == (0, 1)
    release(permit)
    switch.control.engage("one strategy", scope="strategy:a", wait_s=PATIENCE_S)
    assert blocked_code(first) is Code.SCOPE_ENGAGED
    open_epoch(second)
    switch.engage_raw()
    assert blocked_code(first) is not None
    assert blocked_code(second) is not None
    first.close()
    switch.raw("SET", STATE, "SAFE")
    open_epoch(second)
    assert blocked_code(first) is Code.STOPPED


def test_an_agent_that_was_not_started_is_closed(switch: Switch) -> None:
    """The first picture is closed, and a started agent that was engaged from the beginning never opens."""
    switch.control.engage("from the start")
    agent = switch.agent()
    opened = Heard()
    agent.on_open(opened)
    closes_with(agent, Code.ENGAGED)
    stays_closed(agent)
    assert opened.views == []
