"""Fail closed within the lease (P3): whatever becomes of the server or of the network, permission ends by itself.

Bounds are those of the same run: a question that was answered was sent before the cut, so no check may pass that
starts later than the cut plus the lease. How quickly the gate closes before that is not asserted.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from killswitch import Code, clock
from killswitch.clock import NS_PER_MS
from tests.support.agents import FAST, blocked_code, closes_with, frozen, last_pass_ns, open_epoch
from tests.support.proxy import Proxy
from tests.support.server import RealServer
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

LEASE_NS = FAST["lease_ms"] * NS_PER_MS

pytestmark = pytest.mark.faults

Cut = Callable[[RealServer, Proxy], object]

CUTS: dict[str, Cut] = {
    "the server is frozen": lambda server, proxy: server.sigstop(),
    "the server is killed": lambda server, proxy: server.kill9(),
    "both directions are a black hole": lambda server, proxy: proxy.black_hole(),
    "only questions are lost": lambda server, proxy: proxy.black_hole(down=False),
    "only answers are lost": lambda server, proxy: proxy.black_hole(up=False),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_busy_worker_that_is_cut_off_passes_nothing_after_its_lease(switch: Switch, cut: str) -> None:
    """P3: no check passes that starts later than the last confirmed question plus the lease."""
    with Proxy(switch.server.port) as proxy:
        worker = switch.worker(proxy.url, main="signal")
        worker.passes_again()
        CUTS[cut](switch.server, proxy)
        cut_ns = clock.now_ns()
        worker.checked_after(cut_ns + LEASE_NS)
        assert 0 < worker.last_pass() <= cut_ns + LEASE_NS
        if cut == "the server is frozen":
            switch.server.sigcont()


def test_the_lease_counts_from_the_question_and_not_from_a_late_answer(switch: Switch) -> None:
    """P3: with answers that take most of a lease to arrive, permission ends a lease after the last question that got
    an answer was sent, not a lease after that answer came."""
    lease_ns = 1000 * NS_PER_MS
    with Proxy(switch.server.port) as proxy:
        agent = switch.agent_at(proxy.url, lease_ms=1000, renew_ms=50, patience_ms=900)
        epoch = open_epoch(agent)
        proxy.delay_down_ns = 700 * NS_PER_MS
        asked_ns = proxy.asked_ns
        eventually(lambda: proxy.asked_ns > asked_ns + lease_ns, why="only late answers keep the gate open")
        assert open_epoch(agent) == epoch
        proxy.black_hole(down=False)  # the last answer is still on its way
        assert last_pass_ns(agent, proxy.asked_ns + 2 * lease_ns) <= proxy.asked_ns + lease_ns


def test_an_answer_from_before_a_change_does_not_open_what_the_change_closed(switch: Switch) -> None:
    """P2: the push overtakes an answer SAFE that was under way: that answer is thrown away when it comes."""
    with Proxy(switch.server.port) as proxy:
        agent = switch.agent_at(proxy.url, lease_ms=3000, renew_ms=20, patience_ms=2000)
        open_epoch(agent)
        proxy.delay_down_ns = 300 * NS_PER_MS
        asked_ns = proxy.asked_ns
        eventually(lambda: proxy.asked_ns > asked_ns, why="a question is under way")
        switch.engage_raw()
        closes_with(agent, Code.STATE_CHANGED)
        closed_ns = clock.now_ns()
        assert last_pass_ns(agent, closed_ns + 800 * NS_PER_MS) == 0
        closes_with(agent, Code.ENGAGED)


def test_a_process_that_was_frozen_past_its_lease_wakes_up_closed(switch: Switch) -> None:
    """P3: no thread has to run for a lease to end: not even an answer that waits in the socket revives it."""
    worker = switch.worker(main="signal")
    worker.passes_again()
    frozen(worker)
    frozen_ns = clock.now_ns()
    switch.server.sigstop()  # so that no new answer can open the gate after waking
    while clock.now_ns() < frozen_ns + LEASE_NS:
        clock.sleep(0.01)
    worker.send(signal.SIGCONT)
    worker.checked_after(frozen_ns + LEASE_NS)
    assert worker.last_pass() <= frozen_ns
    switch.server.sigcont()
    worker.passes_again()


def test_a_worker_that_slept_through_the_engagement_wakes_up_closed(switch: Switch) -> None:
    """P2 and P3: a process frozen before the SET passes no check that it starts after waking."""
    worker = switch.worker(main="signal")
    worker.passes_again()
    frozen(worker)
    ok_ns = switch.engage_raw()
    worker.send(signal.SIGCONT)
    worker.checked_after(ok_ns)
    assert worker.last_pass() <= ok_ns


@pytest.mark.parametrize("cut", ["black hole", "frozen server"])
def test_the_gate_opens_again_when_the_fault_is_over(switch: Switch, cut: str) -> None:
    """A fault that ended leaves no worker behind: it reconnects, asks, and opens without anybody's help."""
    with Proxy(switch.server.port) as proxy:
        agent = switch.agent_at(proxy.url)
        open_epoch(agent)
        if cut == "black hole":
            proxy.black_hole()
        else:
            switch.server.sigstop()
        closes_with(agent, Code.NO_ANSWER, Code.LEASE_EXPIRED, Code.UNREACHABLE)
        if cut == "black hole":
            proxy.heal()
        else:
            switch.server.sigcont()
        open_epoch(agent)


def test_an_engagement_during_the_cut_is_found_after_it(switch: Switch) -> None:
    """A worker that was cut off while somebody engaged never opens on the old answer when the line is back."""
    with Proxy(switch.server.port) as proxy:
        agent = switch.agent_at(proxy.url)
        open_epoch(agent)
        proxy.black_hole()
        switch.engage_raw()
        closes_with(agent, Code.NO_ANSWER, Code.LEASE_EXPIRED, Code.UNREACHABLE)
        proxy.heal()
        closes_with(agent, Code.ENGAGED)


def test_answers_that_were_held_back_do_not_open_the_gate(switch: Switch) -> None:
    """An answer delivered late, after the connection was given up and the switch engaged, has no effect."""
    with Proxy(switch.server.port) as proxy:
        agent = switch.agent_at(proxy.url, patience_ms=200)
        open_epoch(agent)
        proxy.black_hole(up=False)  # questions arrive and are answered SAFE, the answers wait
        closes_with(agent, Code.NO_ANSWER, Code.LEASE_EXPIRED, Code.UNREACHABLE)
        ok_ns = switch.engage_raw()
        proxy.hold_down = False  # everything held comes through at once
        assert last_pass_ns(agent, ok_ns + LEASE_NS) == 0
        closes_with(agent, Code.ENGAGED)


def test_a_server_that_is_gone_is_named(switch: Switch) -> None:
    """A dead server closes the gate at once, and the code says that nothing can be reached."""
    agent = switch.agent()
    open_epoch(agent)
    switch.server.kill9()
    closes_with(agent, Code.UNREACHABLE, Code.DISCONNECTED)
    closes_with(agent, Code.UNREACHABLE)
    assert blocked_code(agent) is Code.UNREACHABLE


def test_a_path_that_never_existed_is_a_closed_gate_and_no_exception(switch: Switch, tmp_path: Path) -> None:
    """An agent can be started before its server: closed, with the code, until there is one."""
    agent = switch.agent_at(f"unix://{tmp_path}/none")
    closes_with(agent, Code.UNREACHABLE)
    assert STATE not in agent.view.reason
