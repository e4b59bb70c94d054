"""One SET stops the fleet (P1), and no check that starts after its +OK passes (P2)."""

from __future__ import annotations

import random

import pytest

from killswitch import Code, clock
from tests.support.agents import CALM, blocked_code, open_epoch
from tests.support.server import REDIS_CLI
from tests.support.switch import STATE, Switch

ENGAGES = 200
PROCESSES = 3


@pytest.mark.parametrize("how", ["a bare line", "redis-cli"])
def test_one_bare_set_closes_every_gate_of_every_process(switch: Switch, how: str) -> None:
    """P1: a plain SET, with no helper and no PUBLISH, stops every process; none passes a check after +OK."""
    if how == "redis-cli" and REDIS_CLI is None:
        pytest.skip("there is no redis-cli on PATH")
    workers = [switch.worker(main="signal") for _ in range(PROCESSES)]
    for worker in workers:
        worker.passes_again()
    if how == "redis-cli":
        assert switch.server.cli("SET", STATE, "ENGAGED by hand") == "OK"
        ok_ns = clock.now_ns()
    else:
        ok_ns = switch.engage_raw()
    for worker in workers:
        worker.checked_after(ok_ns)
        assert worker.last_pass() <= ok_ns
        assert worker.ask("view")["mode"] == "ENGAGED"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("gate", ["signal", "order"])
def test_no_check_that_starts_after_ok_passes_while_python_is_busy(switch: Switch, gate: str) -> None:
    """P2: over hundreds of engages at chance moments, a main thread that burns Python never passes either gate with a
    check that it started after the operator had read +OK."""
    chance = random.Random(20260131)
    worker = switch.worker(main=gate)
    late = []
    for _ in range(ENGAGES):
        switch.raw("SET", STATE, "SAFE")
        worker.passes_again()
        strike_ns = clock.now_ns() + chance.randrange(3_000_000)
        while clock.now_ns() < strike_ns:
            pass
        ok_ns = switch.engage_raw()
        worker.checked_after(ok_ns)
        if worker.last_pass() > ok_ns:
            late.append(worker.last_pass() - ok_ns)
    assert late == []


def test_an_idle_agent_is_closed_by_the_time_ok_is_read(switch: Switch) -> None:
    """P2: the check that follows +OK in the same thread is blocked, every time, with nobody having waited."""
    agent = switch.agent(**CALM)
    for _ in range(20):
        switch.raw("SET", STATE, "SAFE")
        open_epoch(agent)
        switch.engage_raw()
        assert blocked_code(agent) in (Code.STATE_CHANGED, Code.ENGAGED)
