"""Faults of the network between an agent and its server, made by a proxy: answers lost, late, or long on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from killswitch import Code, Verdict, clock
from tests.faults.far import Line
from tests.faults.observe import codes, lateness, row, sound
from tests.faults.prop import prop
from tests.faults.trader import LEASE_NS, PATIENCE_S, TIMING
from tests.faults.world import World
from tests.support.agents import kill_client
from tests.support.waiting import eventually

Cut = Callable[[Line], object]

_RECOVERED_NS = 2_000_000_000  # L4
_FENCED_S = 10.0  # the wait ends as soon as it is had
_CUT_OFF = {
    Code.NO_ANSWER,
    Code.LEASE_EXPIRED,
    Code.UNREACHABLE,
    Code.NO_STATE_YET,
    Code.DISCONNECTED,
    Code.STATE_CHANGED,  # where only questions are lost, the announcement still comes
}

CUTS: dict[str, Cut] = {
    "both directions are a black hole": lambda proxy: proxy.black_hole(),
    "questions are lost": lambda proxy: proxy.black_hole(down=False),
    "answers and announcements are lost": lambda proxy: proxy.black_hole(up=False),
}


@pytest.fixture
def proxy(far: World) -> Iterator[Line]:
    """Between the one trader and the server."""
    yield far.lines[0]
    far.lines[0].heal()


@prop("P3", "P6", "S2", "S10", "L2", "L4")
@pytest.mark.parametrize("cut", CUTS)
def test_a_trader_that_is_cut_off_is_closed_within_its_lease_and_fenced(far: World, proxy: Line, cut: str) -> None:
    """The engagement is made where the trader cannot hear it; its lease and the fence stop it, and back on the line it
    reads the stop and not an answer from before."""
    victim = far.traders[0]
    with far.trying():
        CUTS[cut](proxy)
        cut_ns = clock.now_ns()
        outcome = far.engage(wait_s=_FENCED_S)
        assert outcome.verdict is Verdict.FENCED, outcome
        victim.checked_after(cut_ns + LEASE_NS)
        assert victim.last_pass() <= cut_ns + LEASE_NS
        closed_ns = victim.last_pass() - cut_ns
        reasons = codes(far, cut_ns)
        with lateness(lambda: (victim.pid, far.switch.pid)) as late:
            proxy.heal()
            healed_ns = clock.now_ns()
            victim.says(Code.ENGAGED)
            recovered_ns = clock.now_ns() - healed_ns
            allowed_ns = late.allowed_ns
        assert recovered_ns <= _RECOVERED_NS + allowed_ns
        assert reasons <= _CUT_OFF, sorted(reasons)
        row(
            far,
            f"{cut}, engaged meanwhile",
            "P3 P6 S2 S10 L2 L4",
            closed_ns=closed_ns,
            bound_ns=LEASE_NS,
            recovered_ns=recovered_ns,
            timed_ms={"L2": (outcome.waited_ms, (_FENCED_S + 1) * 1000)},
            note=f"{outcome.verdict} after {outcome.waited_ms:.0f} ms",
        )
    sound(far)


@prop("P3", "S2", "S10")
def test_answers_that_are_late_are_counted_from_their_questions(far: World) -> None:
    """Each answer takes most of a lease to arrive. When they cease, permission ends a lease after the last question
    that was answered was sent, and not a lease after its answer came."""
    victim = far.far_trader(renew_ms=15, patience_ms=TIMING["lease_ms"] - 20)
    with far.trying():
        far.lines[-1].delay_down_ns = int(TIMING["lease_ms"] * 0.6e6)
        asked_ns = clock.now_ns()
        eventually(
            lambda: far.lines[-1].asked_ns > asked_ns + 2 * LEASE_NS, timeout_s=PATIENCE_S, why="late answers serve"
        )
        victim.passes_again()
        far.lines[-1].black_hole(down=False)
        last_asked_ns = far.lines[-1].asked_ns
        victim.checked_after(last_asked_ns + 3 * LEASE_NS)
        assert victim.last_pass() <= last_asked_ns + LEASE_NS
        row(
            far,
            "late answers, then none",
            "P3 S2 S10",
            closed_ns=victim.last_pass() - last_asked_ns,
            bound_ns=LEASE_NS,
            note="counted from the last question that was answered",
        )
        victim.kill()
        far.gone(victim)
    sound(far)


@prop("S5", "S10", "P9")
def test_answers_held_back_and_delivered_after_the_stop_open_nothing(far: World, proxy: Line) -> None:
    """Answers SAFE that were on the way when the switch was engaged arrive after it: they have no effect."""
    victim = far.traders[0]
    with far.trying():
        begun = clock.now_ns()
        proxy.black_hole(up=False)
        victim.checked_after(begun + LEASE_NS)
        far.engage_raw()
        before = victim.last_pass()
        proxy.hold_down = False
        victim.says(Code.ENGAGED)
        clock.sleep(TIMING["lease_ms"] / 1000)
        assert victim.last_pass() == before
        row(far, "answers held back and delivered after the stop", "S5 S10 P9", bound_ns=LEASE_NS, closed_ns=0)
    sound(far)


@prop("P2", "L4")
def test_half_a_pair_of_connections_is_no_connection(far: World, proxy: Line) -> None:
    """The server forgets the push connection while the network keeps the agent from hearing of it: the agent renews on
    the other one and is still stopped within a renewal; a fresh pair is made once it hears."""
    victim = far.traders[0]
    with far.trying():
        proxy.loses_pushes = True
        assert kill_client(far.switch, "killswitch-push") >= 1
        begun = clock.now_ns()
        done = far.switch.raw_set("killswitch:state", "ENGAGED half open")
        far.void(begun, done)
        bound_ns = done + LEASE_NS
        victim.checked_after(bound_ns)
        assert victim.last_pass() <= bound_ns
        closed_ns = victim.last_pass() - done
        assert closed_ns <= LEASE_NS
        proxy.loses_pushes = False
        proxy.heal()
        row(far, "push connection half open, engaged", "P2 L4", closed_ns=closed_ns, bound_ns=LEASE_NS)
    sound(far)
