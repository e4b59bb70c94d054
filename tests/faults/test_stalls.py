"""Faults inside a trading process: its interpreter held, its threads killed, the process forked or killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from killswitch import Code, Verdict, clock
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.trader import LEASE_NS, PATIENCE_S, Trader
from tests.faults.trader_loop import EXIT
from tests.faults.world import USER, World
from tests.support.waiting import eventually

_STALL_MS = 800
_FENCED_S = 10.0  # the wait ends as soon as it is had


@contextmanager
def _held(trader: Trader, how: str) -> Iterator[list[int]]:
    """Keeps the interpreter of a trader from all its threads; begins when its checks have ceased, and the block ends
    with it. Yields the times of begin and end, which are there after the block."""
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.extend(trader.ask("hold_interpreter", how=how, ms=_STALL_MS)))
    asking.start()
    yield found
    asking.join()


def _stands_still(trader: Trader) -> None:
    """Waits until it has made no check for a while: the one call that is long enough has begun."""
    state = (-1, clock.now_ns())

    def still() -> bool:
        nonlocal state
        count = trader.checks()
        if count != state[0]:
            state = (count, clock.now_ns())
        return clock.now_ns() - state[1] > 150_000_000

    eventually(still, timeout_s=PATIENCE_S, why=f"{trader.worker_id} stands still")


@prop("P2", "S2", "L3")
@pytest.mark.parametrize("how", ["sum", "re", "gc"])
def test_an_interpreter_held_while_somebody_engages_lets_nothing_pass_afterwards(pair: World, how: str) -> None:
    """No thread of the process runs when the change is announced; its first check afterwards asks the socket itself."""
    victim = pair.traders[0]
    with pair.trying():
        with _held(victim, how) as times:
            _stands_still(victim)
            ok_ns = pair.engage_raw()
        pair.all_closed(max(ok_ns, times[1]))
        assert victim.last_pass() <= ok_ns
        row(
            pair,
            f"interpreter held by {how} while engaged",
            "P2 S2 L3",
            closed_ns=victim.last_pass() - ok_ns,
            bound_ns=0,
            note=f"held for {(times[1] - times[0]) / 1e6:.0f} ms",
        )
    sound(pair)


@prop("P3", "S2")
@pytest.mark.parametrize("how", ["sum", "gc"])
def test_an_interpreter_held_past_the_lease_lets_nothing_pass_on_the_old_answer(pair: World, how: str) -> None:
    """The watcher could neither renew nor close; the deadline in the picture needs no thread."""
    victim = pair.traders[0]
    with pair.trying():
        begun = clock.now_ns()
        with _held(victim, how) as times:
            _stands_still(victim)
            pair.switch.sigstop()
            frozen_ns = clock.now_ns()
            pair.void(begun, frozen_ns)
        pair.all_closed(max(frozen_ns + LEASE_NS, times[1]))
        assert victim.last_pass() <= frozen_ns + LEASE_NS
        closed_ns = victim.last_pass() - frozen_ns
        pair.valid(clock.now_ns())
        pair.switch.sigcont()
        row(pair, f"interpreter held by {how}, server frozen", "P3 S2", closed_ns=closed_ns, bound_ns=LEASE_NS)
    sound(pair)


@prop("P3", "P6", "S2", "S4")
def test_a_process_whose_watcher_is_dead_is_closed_for_good_and_fenced(pair: World) -> None:
    """Nobody renews, nobody answers the operator: the lease closes the gate, and the proof is FENCED."""
    victim = pair.trader()
    with pair.trying():
        assert victim.ask("end_watcher")
        eventually(lambda: not victim.ask("watches"), timeout_s=PATIENCE_S, why="the watcher is dead")
        dead_ns = clock.now_ns()
        victim.checked_after(dead_ns + LEASE_NS)
        assert victim.last_pass() <= dead_ns + LEASE_NS
        allowed = {Code.WATCHER_DEAD, Code.LEASE_EXPIRED, Code.STATE_CHANGED}
        victim.says(*allowed)
        assert {view["code"] for view in victim.events("view") if view["t"] > dead_ns and not view["open"]} <= allowed
        outcome = pair.engage(wait_s=_FENCED_S)
        assert outcome.verdict is Verdict.FENCED, outcome
        assert [member.worker_id for member in outcome.pending] == [victim.worker_id]
        closed_ns = victim.last_pass() - dead_ns
        row(pair, "watcher thread killed", "P3 P6 S2 S4", closed_ns=closed_ns, bound_ns=LEASE_NS, note="FENCED")
        victim.leave()
        pair.gone(victim)
    sound(pair)


@prop("P2", "P6", "S12", "S3")
def test_a_forked_process_and_its_child_are_both_stopped_and_both_proved(pair: World) -> None:
    """The child has no open gate from its parent, arms itself, and is a member of its own: QUIET speaks of both."""
    victim = pair.traders[0]
    with pair.trying():
        child = pair.child_of(victim)
        eventually(lambda: child.last_pass() > 0, timeout_s=PATIENCE_S, why="the child trades")
        assert child.events("view")[0]["open"] is False  # its first check, whatever the parent's picture was
        ok_ns = pair.engage_raw()
        pair.all_closed(ok_ns)
        outcome = pair.engage(wait_s=10.0)
        assert outcome.verdict is Verdict.QUIET
        assert {victim.worker_id, child.worker_id} <= {member.worker_id for member in outcome.members}
        row(pair, "process forked", "P2 P6 S12", closed_ns=child.last_pass() - ok_ns, bound_ns=0)
        child.slots[EXIT] = 1
        assert victim.ask("reap", pid=child.pid) == 0
        pair.gone(child)
    sound(pair)


@prop("S4", "L4")
def test_a_process_out_of_descriptors_is_closed_and_comes_back_when_it_has_some(pair: World) -> None:
    """It lost its connections and cannot open others: closed, with the reason, no exception in the trading loop."""
    victim = pair.traders[0]
    with pair.trying():
        victim.ask("take_descriptors")
        killed_ns = eventually(lambda: _cut_off(pair, victim), timeout_s=PATIENCE_S, why="it finds no descriptor")
        clock.sleep(0.1)
        last_ns = victim.last_pass()
        victim.checked_after(clock.now_ns())
        assert victim.last_pass() == last_ns
        victim.ask("give_descriptors")
        given_ns = clock.now_ns()
        recovered_ns = victim.passes_again() - given_ns
        row(pair, "no descriptor left", "S4 L4", closed_ns=last_ns - killed_ns, recovered_ns=recovered_ns)
    sound(pair)


def _cut_off(world: World, victim: Trader) -> int:
    """Kills the connections of the traders; when, if the victim then finds no descriptor for others. It may be quicker
    than the thread that takes those it gave back."""
    world.raw("CLIENT", "KILL", "USER", USER)
    killed_ns = clock.now_ns()
    while clock.now_ns() < killed_ns + 1_000_000_000:
        views = victim.events("view")
        if views and views[-1]["code"] == Code.UNREACHABLE:
            return killed_ns
        clock.sleep(0.005)
    return 0
