"""`leases_out`, "no gate is open any more": true of the last look, and said only if the stop stood then."""

from __future__ import annotations

import json

import pytest

from killswitch import Controller, Outcome, Verdict, clock
from killswitch.control import fencing, quiescence
from killswitch.core.lease import closed_by_ms
from tests.support.agents import PATIENCE_S
from tests.support.switch import STATE, Switch
from workers.venue import running

LEASE_MS = 300
WAIT_S = 3.0
BEFORE_NS = 60 * 10**9
"""So long ago an operator engaged who comes back for the proof: by the clock every lease has run out."""


def ghost(switch: Switch, nonce: int, lease_ms: int) -> None:
    """The last words of a worker that has an order in flight."""
    words = ("FCALL", "ks_beat", 1, STATE, nonce, "w1", 0, 0, 1, 60_000, 60_000, "life", "lease_ms", lease_ms)
    switch.raw(*words, "info", json.dumps({"sinks": "venue/e1"}))


@pytest.fixture
def stop(switch: Switch) -> Outcome:
    """An engagement that a member of the fleet does not answer."""
    ghost(switch, 1, LEASE_MS)
    return switch.control.engage("stop")


def test_it_is_said_when_the_leases_have_run_out_and_the_stop_stands(switch: Switch, stop: Outcome) -> None:
    """P3, P6: whoever is missing, its gate is closed by then."""
    found = switch.control.prove(stop, 0.1, engaged_ns=clock.now_ns() - BEFORE_NS)
    assert (found.verdict, found.leases_out) == (Verdict.UNCERTAIN, True)


@pytest.mark.parametrize("how", ["by command", "by hand"])
def test_it_is_not_said_when_somebody_has_permitted_meanwhile(switch: Switch, stop: Outcome, how: str) -> None:
    """P6: gates are open that were permitted since, or will be as soon as somebody has recorded it."""
    if how == "by command":
        switch.control.reset(stop.epoch, "somebody else")
    else:
        switch.raw("SET", STATE, "SAFE")
    found = switch.control.prove(stop, 0.1, engaged_ns=clock.now_ns() - BEFORE_NS)
    assert (found.verdict, found.leases_out) == (Verdict.UNCERTAIN, False)
    assert "SAFE" in found.note


def test_it_is_not_said_by_who_looked_last_before_the_leases_ran_out(switch: Switch, stop: Outcome) -> None:
    """P6: what came after that look is not known, and it may have been a permission."""
    found = switch.control.prove(stop, WAIT_S, on_look=lambda _: switch.server.kill9())
    assert found.waited_ms > closed_by_ms(LEASE_MS)
    assert (found.verdict, found.leases_out) == (Verdict.UNCERTAIN, False)


def test_who_waits_looks_again_as_soon_as_the_leases_have_run_out(
    switch: Switch, stop: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment that decides is not left to chance: where nothing else asks for a look, this does."""
    monkeypatch.setattr(quiescence, "_REFRESH_NS", 60 * 10**9)
    looks: list[int] = []
    begun = clock.now_ns()
    found = switch.control.prove(stop, WAIT_S, begun, on_look=lambda _: looks.append(clock.now_ns() - begun))
    assert found.leases_out
    assert [at > closed_by_ms(LEASE_MS) * clock.NS_PER_MS for at in looks] == [False] * (len(looks) - 1) + [True]


@pytest.mark.parametrize("sink", ["usual", "quickest"])
def test_fenced_is_said_after_that_look_however_long_looks_take(
    switch: Switch, stop: Outcome, sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: where Redis answers, it was asked whether the stop still stood when the leases had run out."""
    if sink == "quickest":  # it has confirmed before anything else is done
        monkeypatch.setattr(fencing, "spawn", lambda _name, work: work())
    with running("tcp://127.0.0.1:0") as venue, Controller(switch.settings(sinks=f"venue={venue.url}")) as control:
        found = control.prove(stop, PATIENCE_S, clock.now_ns(), on_look=lambda _: clock.sleep(0.15))
    assert (found.verdict, found.leases_out) == (Verdict.FENCED, True)


def test_leases_count_anew_from_a_stop_by_hand_that_nobody_has_recorded(switch: Switch, stop: Outcome) -> None:
    """P6: between two looks somebody permitted, which is on record, and engaged by hand, which is not yet: a lease may
    have been given a moment ago."""
    ghost(switch, 2, 20_000)
    looks: list[int] = []

    def meanwhile(_pending: object) -> None:
        looks.append(1)
        if len(looks) == 1:
            switch.control.reset(stop.epoch, "somebody else")
            switch.raw("SET", STATE, "ENGAGED by hand")

    engaged_ns = clock.now_ns() - BEFORE_NS
    found = switch.control.prove(stop, BEFORE_NS / 1e9 + WAIT_S, engaged_ns, on_look=meanwhile)
    assert (found.verdict, found.epoch, found.leases_out) == (Verdict.UNCERTAIN, 0, False)
    assert found.lease_bound_ms is not None
    assert found.lease_bound_ms > BEFORE_NS / clock.NS_PER_MS + 20_000
