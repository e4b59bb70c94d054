"""The watcher thread struck by an exception, held up between its steps, or stuck in somebody's callback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest

from killswitch import Agent, Blocked, Code, View, clock
from killswitch.core.watch import Action, Ask, Drain, Show
from killswitch.gate.watcher import Watcher
from tests.faults.observe import row
from tests.faults.prop import prop
from tests.faults.strike import WATCHER, strike
from tests.faults.trader import LEASE_NS, PATIENCE_S, TIMING
from tests.faults.world import World
from tests.support.agents import fast_settings, open_epoch

_AGENTS = 10
_BLOWS = 300
_HELD_UP_S = 0.04


def _gets_over_it(agent: Agent, watcher: threading.Thread, struck_ns: int) -> int:
    """Checks gate 1 until the watcher is dead, or a check has passed on what it asked after it was struck; when the
    last check that passed was started."""
    end_ns = struck_ns + int(PATIENCE_S * 1e9)
    return _last_pass(
        agent,
        lambda last: not watcher.is_alive() or last > struck_ns + LEASE_NS or clock.now_ns() > end_ns,
    )


def _watchers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == WATCHER}


def _last_pass(agent: Agent, until: Callable[[int], bool]) -> int:
    """Checks gate 1 until `until`, which is told when the last check that passed was started; returns that."""
    last = 0
    while not until(last):
        start = clock.now_ns()
        with contextlib.suppress(Blocked):
            agent.gate.signal()
            last = start
        clock.sleep(0.0005)
    return last


@prop("P3", "S2", "S4")
@pytest.mark.parametrize("error", [SystemExit, RuntimeError])
def test_a_watcher_hit_anywhere_in_its_work_leaves_no_open_gate_unwatched(
    bare: World, error: type[BaseException]
) -> None:
    """Wherever an exception strikes it: the watcher gets over it and opens again, or it is dead and its gate closed
    within the lease for good, with a reason."""
    bare.permit()
    survived = 0
    worst_ns = 0
    for number in range(_AGENTS):
        before = _watchers()
        agent = Agent(fast_settings(bare.url, **TIMING)).start()
        try:
            open_epoch(agent)
            (watcher,) = _watchers() - before
            clock.sleep(TIMING["renew_ms"] / 1000 * number / _AGENTS)  # at another point of its period each time
            strike(watcher, error)
            struck_ns = clock.now_ns()
            agent.gate.book.on_drained()  # it looks up from its sleep
            last = _gets_over_it(agent, watcher, struck_ns)
            if watcher.is_alive():
                survived += 1
                open_epoch(agent)
                continue
            dead_ns = clock.now_ns()
            last = max(last, _last_pass(agent, lambda _, end=dead_ns + LEASE_NS + 50_000_000: clock.now_ns() > end))  # type: ignore[misc]
            assert last <= dead_ns + LEASE_NS
            worst_ns = max(worst_ns, last - struck_ns)
            assert agent.view.code in (Code.WATCHER_DEAD, Code.LEASE_EXPIRED, Code.STATE_CHANGED)
        finally:
            agent.close(0.0)
    assert error is RuntimeError or survived == 0
    note = f"{_AGENTS} watchers struck, {survived} went on"
    name = f"{error.__name__} in the watcher thread"
    row(bare, name, "P3 S2 S4", closed_ns=worst_ns, bound_ns=LEASE_NS, note=note)


@prop("P3", "S2", "L4")
def test_a_callback_that_does_not_return_keeps_nobody_trading(bare: World) -> None:
    """The watcher waits for somebody's callback, renews nothing and closes nothing; the deadline in the picture needs
    neither. When the callback returns at last, the gate opens again."""
    bare.permit()
    called, returns = threading.Event(), threading.Event()
    opened: list[Code] = []

    def hang(view: View) -> None:
        opened.append(view.code)
        called.set()
        returns.wait(PATIENCE_S)

    agent = Agent(fast_settings(bare.url, **TIMING))
    agent.on_open(hang)
    try:
        agent.start()
        assert called.wait(PATIENCE_S)
        called_ns = clock.now_ns()
        last = _last_pass(agent, lambda _: clock.now_ns() > called_ns + 2 * LEASE_NS)
        assert last <= called_ns + LEASE_NS
        assert opened == [Code.OPEN]
        assert agent.view.code is Code.LEASE_EXPIRED
        row(bare, "callback that does not return", "P3 S2", closed_ns=last - called_ns, bound_ns=LEASE_NS)
        returns.set()
        open_epoch(agent)
    finally:
        returns.set()
        agent.close(0.0)


@prop("P2", "S2")
def test_a_callback_that_does_not_return_hides_no_stop(bare: World) -> None:
    """While the watcher hangs, each check asks the socket itself: nothing passes that begins after +OK."""
    bare.permit()
    called, returns = threading.Event(), threading.Event()

    def hang(_: View) -> None:
        returns.wait(PATIENCE_S)

    agent = Agent(fast_settings(bare.url, **{**TIMING, "lease_ms": 20_000}))
    agent.on_open(lambda _: called.set())
    agent.on_open(hang)
    try:
        agent.start()
        assert called.wait(PATIENCE_S)
        assert open_epoch(agent)
        ok_ns = bare.engage_raw()
        last = _last_pass(agent, lambda _: clock.now_ns() > ok_ns + LEASE_NS)
        assert last == 0
        assert agent.view.code is Code.STATE_CHANGED
        row(bare, "callback that does not return, engaged", "P2 S2", closed_ns=0, bound_ns=0)
    finally:
        returns.set()
        agent.close(0.0)


@prop("P2", "S2", "S10")
@pytest.mark.parametrize("action", [Show, Drain, Ask])
def test_a_watcher_held_up_between_its_steps_lets_nothing_pass_after_ok(
    bare: World, monkeypatch: pytest.MonkeyPatch, action: type
) -> None:
    """It may lose the processor after closing, after emptying the socket or after asking: at each of these moments a
    check finds the announcement or the closed picture."""
    perform = Watcher._do

    def slowly(watcher: Watcher, what: Action) -> list[Action]:
        done = perform(watcher, what)
        if isinstance(what, action):
            clock.sleep(_HELD_UP_S)
        return done

    bare.permit()
    with Agent(fast_settings(bare.url, **{**TIMING, "lease_ms": 3000, "patience_ms": 1000})) as agent:
        open_epoch(agent)
        monkeypatch.setattr(Watcher, "_do", slowly)
        for _ in range(5):
            bare.permit()
            open_epoch(agent)
            ok_ns = bare.engage_raw()
            assert _last_pass(agent, lambda end=ok_ns + 150_000_000: clock.now_ns() > end) == 0  # type: ignore[misc]
        monkeypatch.undo()
    name = f"watcher held up after each {action.__name__}"
    row(bare, name, "P2 S2 S10", closed_ns=0, bound_ns=0, note=f"{_HELD_UP_S * 1000:g} ms, 5 engages")
