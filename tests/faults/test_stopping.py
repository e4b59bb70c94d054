"""A trading process that stops at a point of its order path, while somebody engages and asks for the proof.

What `engage --wait` says must be true whatever the process does afterwards: it wakes, and what it still had to do, it
does.
"""

from __future__ import annotations

import signal

import pytest

from killswitch import Outcome, Verdict, clock
from tests.faults.observe import late_sends, row, sound
from tests.faults.prop import prop
from tests.faults.trader import LEASE_NS, Trader
from tests.faults.trader_loop import POINTS
from tests.faults.world import World
from tests.history.events import Event
from tests.support.venue import VenueLine

_FENCED_S = 10.0  # the wait ends as soon as it is had
_UNCERTAIN_S = 3.0  # waited for in full, and long enough to learn that every lease has run out
_QUIET_S = 10.0


def _arrived(world: World, trader: Trader, after_ns: int) -> list[Event]:
    """What of this trader reached the venue after that moment."""
    lines = world.arrivals.read()
    return [e for e in lines if e["kind"] == "arrive" and e["worker"] == trader.worker_id and e["t"] > after_ns]


def _wakes(world: World, trader: Trader, stopped_ns: int, name: str, outcome: Outcome) -> list[Event]:
    """Lets it go on; what reached the venue of it, once it has found its gate closed. The rest of the test's duties:
    the fleet is proved quiet in the end, and the row is written."""
    said_ns = clock.now_ns()
    passed_ns = trader.last_pass()
    trader.wake()
    trader.checked_after(said_ns)
    again = world.engage(wait_s=_QUIET_S)
    assert again.verdict is Verdict.QUIET
    wait_s = _FENCED_S if outcome.verdict is Verdict.FENCED else _UNCERTAIN_S
    found = _arrived(world, trader, said_ns)
    assert trader.last_pass() == passed_ns, "a check passed after the process woke"
    row(
        world,
        name,
        "P6 P7 S1 S3 S16 L2",
        closed_ns=passed_ns - stopped_ns,
        bound_ns=LEASE_NS,
        sends_after=late_sends(world, said_ns, clock.now_ns()),
        timed_ms={"L2": (outcome.waited_ms, (wait_s + 1) * 1000)},
        note=f"{outcome.verdict} after {outcome.waited_ms:.0f} ms of at most {wait_s * 1000:g}; "
        f"{len(found)} arrived afterwards, {sum(e['accepted'] for e in found)} accepted",
    )
    return found


@prop("P3", "P6", "P7", "S1", "S3", "S16", "L2")
@pytest.mark.parametrize("point", POINTS)
def test_fenced_is_true_of_a_process_that_stopped_in_its_order_path(pair: World, point: str) -> None:
    """With a sink that knows a fence the proof is FENCED, in time: whatever the process sends when it wakes is
    refused."""
    victim = pair.traders[0]
    with pair.trying():
        stopped_ns = victim.stop_at(point)
        outcome = pair.engage(wait_s=_FENCED_S)
        assert outcome.verdict is Verdict.FENCED, outcome
        assert [member.worker_id for member in outcome.pending] == [victim.worker_id]
        assert outcome.leases_out
        assert outcome.lease_bound_ms is not None
        assert outcome.waited_ms >= outcome.lease_bound_ms  # nobody is fenced who may hold a lease
        found = _wakes(pair, victim, stopped_ns, f"process stopped {point}, sink fenced", outcome)
        assert len(found) == (point == "check_to_send")
        assert not any(event["accepted"] for event in found)
    sound(pair)


@prop("P3", "P6", "P7", "S3", "L2")
@pytest.mark.parametrize("point", POINTS)
def test_without_a_fence_the_word_is_uncertain_and_an_order_may_still_arrive(lone: World, point: str) -> None:
    """The lease alone proves that no gate is open, and not more: an order between its check and its sending is sent
    when the process wakes, so nobody was told QUIET or FENCED."""
    victim = lone.traders[0]
    with lone.trying():
        stopped_ns = victim.stop_at(point)
        outcome = lone.engage(wait_s=_UNCERTAIN_S)
        assert outcome.verdict is Verdict.UNCERTAIN, outcome
        assert outcome.leases_out
        found = _wakes(lone, victim, stopped_ns, f"process stopped {point}, no sink named", outcome)
        assert [event["accepted"] for event in found] == [True] * (point == "check_to_send")
    sound(lone)


@prop("P2", "P3", "S2")
@pytest.mark.parametrize("point", ["before_check", "announced"])
def test_a_check_that_a_stop_split_in_two_does_not_pass_on_what_was_true_before(pair: World, point: str) -> None:
    """Stopped just before its check, with the server cut off meanwhile: the check itself finds the lease over."""
    victim = pair.traders[0]
    with pair.trying():
        begun = clock.now_ns()
        victim.stop_at(point)
        pair.switch.sigstop()
        frozen_ns = clock.now_ns()
        pair.void(begun, frozen_ns)
        while clock.now_ns() < frozen_ns + LEASE_NS:
            clock.sleep(0.02)
        victim.wake()
        victim.checked_after(frozen_ns + LEASE_NS)
        assert victim.last_pass() <= frozen_ns
        pair.valid(clock.now_ns())
        pair.switch.sigcont()
        row(pair, f"process stopped {point} past its lease", "P2 P3 S2", closed_ns=0, bound_ns=LEASE_NS)
    sound(pair)


@prop("P6", "S8", "L2")
def test_quiet_waits_for_an_order_that_is_being_sent_and_is_said_when_it_is_back(pair: World) -> None:
    """A process that stops with its order sent and not released is closed and not quiet; when it goes on within the
    wait, the proof is QUIET, because that tells more than FENCED."""
    victim = pair.traders[0]
    with pair.trying():
        victim.stop_at("send_to_release")
        victim.wake()
        outcome = pair.engage(wait_s=_QUIET_S)
        assert outcome.verdict is Verdict.QUIET
        row(pair, "process stopped send_to_release for a moment", "P6 S8 L2", note=f"QUIET, {outcome.waited_ms:.1f} ms")
    sound(pair)


@prop("P6", "S1", "S16")
def test_a_venue_that_was_killed_after_it_confirmed_a_fence_still_has_it(pair: World) -> None:
    """FENCED was said on the word of a venue; the venue dies, comes back, and the sleeper's order is still refused."""
    victim = pair.traders[0]
    with pair.trying():
        stopped_ns = victim.stop_at("check_to_send")
        outcome = pair.engage(wait_s=_FENCED_S)
        assert outcome.verdict is Verdict.FENCED, outcome
        assert pair.venue is not None
        pair.venue.send(signal.SIGKILL)
        pair.venue.wait()
        pair.venue = pair.open_venue()
        with VenueLine(pair.venue_url) as line:
            assert line.ask("raise_fence", victim.worker_id, epoch=0)["fence"] >= outcome.epoch
            late = line.order("late", outcome.epoch - 1, session=victim.worker_id)
            assert (late["ok"], late["error"]) == (False, "StaleToken")
        found = _wakes(pair, victim, stopped_ns, "venue killed after it fenced", outcome)
        assert not any(event["accepted"] for event in found)
    sound(pair)


@prop("P6", "S16", "L2")
@pytest.mark.parametrize("venue", ["killed", "frozen"])
def test_a_venue_that_cannot_be_asked_leaves_it_uncertain_and_in_time(pair: World, venue: str) -> None:
    """No fence, no FENCED; and no waiting for it beyond what was asked for."""
    victim = pair.traders[0]
    with pair.trying():
        assert pair.venue is not None
        stopped_ns = victim.stop_at("before_check")
        pair.venue.send(signal.SIGKILL if venue == "killed" else signal.SIGSTOP)
        outcome = pair.engage(wait_s=_UNCERTAIN_S)
        assert outcome.verdict is Verdict.UNCERTAIN, outcome
        assert victim.worker_id in [member.worker_id for member in outcome.pending]
        assert outcome.leases_out
        if venue == "killed":
            pair.venue.wait()
            pair.venue = pair.open_venue()
        else:
            pair.venue.send(signal.SIGCONT)
        _wakes(pair, victim, stopped_ns, f"process stopped, venue {venue}", outcome)
    sound(pair)
