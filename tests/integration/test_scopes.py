"""Scopes, reducing, and permission for a while, on live agents."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import Agent, Blocked, Code, Mode, Verdict, clock
from killswitch.clock import NS_PER_MS
from tests.support.agents import CALM, PATIENCE_S, blocked_code, closes_with, last_pass_ns, open_epoch, stays_closed
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

PAIR = "symbol:EURUSD"


def order_code(agent: Agent, epoch: int, **options: Any) -> Code | None:
    """Why gate 2 does not pass now; None where it does."""
    try:
        with agent.gate.order(epoch, **options):
            return None
    except Blocked as blocked:
        return blocked.code


def settles(agent: Agent, wanted: dict[bool, Code | None]) -> None:
    """Waits until gate 2 answers as `wanted` for reduces False and True."""

    def found() -> bool:
        epoch = agent.view.epoch
        return {reduces: order_code(agent, epoch, reduces=reduces) for reduces in (False, True)} == wanted

    eventually(found, timeout_s=PATIENCE_S, why=f"gate 2 settles at {wanted} ({agent.view})")


def test_an_engaged_scope_closes_its_followers_only(switch: Switch) -> None:
    """The strictest of the switch and the scopes holds, for those who declare them."""
    follower, other = switch.agent([PAIR, "strategy:a"]), switch.agent(["strategy:a"])
    open_epoch(follower)
    open_epoch(other)
    switch.raw("SET", f"{STATE}:{PAIR}", "ENGAGED one pair")
    assert blocked_code(follower) is not None
    assert PAIR in closes_with(follower, Code.SCOPE_ENGAGED)
    open_epoch(other)
    status = switch.control.status()
    assert [(s.scope, s.mode) for s in status.scopes if s.mode is not Mode.SAFE] == [(PAIR, Mode.ENGAGED)]
    switch.control.reset(next(s for s in status.scopes if s.scope == PAIR).epoch, "checked", scope=PAIR)
    open_epoch(follower)


def test_a_stop_of_a_scope_that_nobody_follows_is_not_called_quiet(switch: Switch) -> None:
    """It may be a slip of the pen while what was meant trades on: nothing is proved, and the note says so."""
    open_epoch(switch.agent(scopes=(PAIR,)))
    open_epoch(switch.agent())
    outcome = switch.control.engage("slip", scope="symbol:EURUDS", wait_s=5)
    assert (outcome.verdict, outcome.members) == (Verdict.UNCERTAIN, ())
    assert outcome.note == f"no worker follows symbol:EURUDS, so this stopped nobody; followed are {PAIR}"
    assert switch.control.engage("meant", scope=PAIR, wait_s=20).verdict is Verdict.QUIET


def test_the_reset_of_a_scope_never_opens_a_closed_switch(switch: Switch) -> None:
    """Engaging the switch closes every scope; permitting one scope leaves it closed."""
    agent = switch.agent([PAIR])
    open_epoch(agent)
    scope_epoch = switch.control.engage("one pair", scope=PAIR).epoch
    switch.control.engage("all")
    closes_with(agent, Code.ENGAGED)
    switch.control.reset(scope_epoch, "checked", scope=PAIR)
    stays_closed(agent)
    assert agent.view.code is Code.ENGAGED
    switch.permit()
    open_epoch(agent)


def test_the_reset_of_the_switch_leaves_an_engaged_scope_closed(switch: Switch) -> None:
    """A scope that somebody stopped stays stopped until it is permitted itself."""
    agent = switch.agent([PAIR])
    open_epoch(agent)
    switch.control.engage("one pair", scope=PAIR)
    switch.control.engage("all")
    switch.permit()
    closes_with(agent, Code.SCOPE_ENGAGED)
    stays_closed(agent)


@pytest.mark.parametrize("text", [b"safe", b"", b"SAFE "])
def test_a_scope_with_other_text_closes_its_followers(switch: Switch, text: bytes) -> None:
    """P5 for scopes: absent follows the switch, anything else than the three modes is closed."""
    agent = switch.agent([PAIR])
    open_epoch(agent)
    switch.raw("SET", f"{STATE}:{PAIR}", text)
    closes_with(agent, Code.STATE_UNRECOGNISED)
    switch.raw("DEL", f"{STATE}:{PAIR}")
    open_epoch(agent)


@pytest.mark.parametrize("scope", [None, PAIR])
def test_reducing_lets_signals_and_reducing_orders_pass_and_nothing_else(switch: Switch, scope: str | None) -> None:
    """Under REDUCING gate 1 is open, and gate 2 lets only orders that reduce pass."""
    agent = switch.agent([PAIR])
    open_epoch(agent)
    epoch = switch.control.reduce("calm down", scope=scope).epoch
    settles(agent, {False: Code.REDUCING, True: None})
    assert open_epoch(agent) == epoch
    assert agent.view.mode is Mode.REDUCING
    assert agent.in_flight == 0
    switch.control.engage("stop")
    closes_with(agent, Code.ENGAGED)
    assert order_code(agent, agent.view.epoch, reduces=True) is not None


def test_a_signal_from_before_a_halt_never_becomes_an_order_after_it(switch: Switch) -> None:
    """Gate 2 refuses the epoch of an old signal, though trading is permitted again."""
    agent = switch.agent()
    old = open_epoch(agent)
    switch.control.engage("stop")
    switch.permit()
    new = open_epoch(agent)
    assert new > old
    eventually(lambda: order_code(agent, old) is Code.STALE_SIGNAL, timeout_s=PATIENCE_S, why="the old signal is void")
    for reduces in (False, True):
        for _ in range(100):
            assert order_code(agent, old, reduces=reduces) is not None
    eventually(lambda: order_code(agent, new) is None, timeout_s=PATIENCE_S, why="a new one passes")


def test_a_permission_for_a_while_ends_by_itself_and_is_on_record(switch: Switch) -> None:
    """reset(for_s=3): no check passes three seconds after it was given; the gate says that the permission ran out."""
    agent = switch.agent(**CALM)
    open_epoch(agent)
    closings: list[Code] = []
    outcome = switch.control.reset(switch.control.status().switch.epoch, "three seconds", for_s=3)
    given_ns = clock.now_ns()
    assert outcome.state.startswith("SAFE")
    ends_ns = given_ns + 3001 * NS_PER_MS  # Redis counts in whole milliseconds
    eventually(lambda: open_epoch(agent) == outcome.epoch, why="the permission is known")
    agent.on_close(lambda view: closings.append(view.code))
    assert last_pass_ns(agent, ends_ns + 50 * NS_PER_MS) <= ends_ns
    assert blocked_code(agent) in (Code.PERMISSION_EXPIRED, Code.STATE_CHANGED, Code.STATE_MISSING)
    closes_with(agent, Code.STATE_MISSING)
    eventually(lambda: switch.control.audit()[-1].before.startswith("SAFE"), why="the end is on record")
    assert {Code.PERMISSION_EXPIRED, Code.STATE_CHANGED, Code.STATE_MISSING} & set(closings)
    switch.permit()
    open_epoch(agent)
