"""After a fork the child is closed first, arms itself anew when it uses the gate, and takes nothing from its parent.

The forking is done by a child process of the test, so that this process and its threads stay whole.
"""

from __future__ import annotations

import pytest

from killswitch import Verdict
from tests.support.agent_program import FIRST_PASSED_UNASKED, FORKED_AT, IN_FLIGHT, PASSED, PID, SLOTS, WATCHERS
from tests.support.agents import CALM, PATIENCE_S, Worker
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

ROUNDS = 10  # of each kind


def slot(worker: Worker, number: int) -> int:
    """What the forked child noted."""
    return int(worker.slots[SLOTS + number])


def ends(worker: Worker, pid: int) -> None:
    """Ends the forked child and asserts that it ended as told."""
    assert worker.ask("reap", pid=pid) == 0


def in_sight(switch: Switch, order_id: str) -> None:
    """Waits until the row of w-1 tells of its order."""
    eventually(
        lambda: ("w-1", (order_id,)) in [(m.worker_id, m.orders) for m in switch.control.status().members],
        timeout_s=PATIENCE_S,
        why="a beat tells of the order",
    )


@pytest.mark.parametrize("when", ["at once", "when the child is open"])
def test_an_engagement_after_a_fork_closes_parent_and_child(switch: Switch, when: str) -> None:
    """P2 after a fork: the child does not read the parent's push away, nor the parent the child's: both close, every
    time, and neither passes a check that starts after +OK. The child's first check passes on no inherited lease."""
    worker = switch.worker(main="wait")
    for _ in range(ROUNDS):
        switch.raw("SET", STATE, "SAFE")
        worker.opens()
        pid = worker.ask("fork")
        if when == "when the child is open":
            eventually(lambda: slot(worker, PASSED) > 0, timeout_s=PATIENCE_S, why="the child arms itself")
        ok_ns = switch.engage_raw()
        assert worker.ask("view")["mode"] == "ENGAGED"
        worker.checked_after(ok_ns, row=1)
        assert worker.last_pass(row=1) <= ok_ns
        assert slot(worker, FIRST_PASSED_UNASKED) == 0
        ends(worker, pid)


def test_the_child_is_a_worker_of_its_own(switch: Switch) -> None:
    """Parent and child stand in the membership under two ids, with their own process ids, and both are waited for."""
    worker = switch.worker(main="wait", worker_id="w-1")
    worker.opens()
    pid = worker.ask("fork")
    eventually(lambda: slot(worker, PASSED) > 0, timeout_s=PATIENCE_S, why="the child arms itself")
    assert slot(worker, PID) == pid
    assert {(m.worker_id, m.pid) for m in switch.control.status().members} == {("w-1", worker.pid), (f"w-1-{pid}", pid)}
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    assert {m.pid for m in outcome.members} == {worker.pid, pid}
    ends(worker, pid)


def test_the_parent_goes_on_undisturbed_by_its_child(switch: Switch) -> None:
    """The child gives its copies of the parent's sockets back without a shutdown: the parent's lines live on."""
    worker = switch.worker(main="wait", **CALM)
    worker.opens()
    before = _connections(switch)
    pid = worker.ask("fork")
    eventually(lambda: slot(worker, PASSED) > 0, timeout_s=PATIENCE_S, why="the child arms itself")
    assert before <= _connections(switch)
    assert worker.ask("view")["mode"] == "SAFE"
    ends(worker, pid)
    eventually(lambda: _connections(switch) == before, why="the child's lines end with it")
    worker.opens()


def _connections(switch: Switch) -> set[str]:
    """Ids of the connections of agents."""
    lines = switch.server.cli("CLIENT", "LIST").splitlines()
    fields = [dict(pair.partition("=")[::2] for pair in line.split()) for line in lines]
    return {entry["id"] for entry in fields if entry["name"] in ("killswitch-push", "killswitch-ask")}


def test_a_permit_held_across_a_fork_stays_the_parents_until_it_is_released(switch: Switch) -> None:
    """P7 after a fork: an order in flight in the parent is not lost from sight because the process forked."""
    worker = switch.worker(main="wait", worker_id="w-1", beat_ms=50)
    worker.opens()
    eventually(lambda: worker.ask("hold", order_id="c-1") == "", timeout_s=PATIENCE_S, why="a permit is granted")
    pid = worker.ask("fork")
    eventually(lambda: slot(worker, FORKED_AT) > 0, timeout_s=PATIENCE_S, why="the child runs")
    ends(worker, pid)
    in_sight(switch, "c-1")
    outcome = switch.control.engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert ("w-1", 1, ("c-1",)) in {(m.worker_id, m.in_flight, m.orders) for m in outcome.pending}
    assert worker.ask("view")["in_flight"] == 1
    worker.ask("release")
    assert worker.ask("view")["in_flight"] == 0


def test_an_order_that_another_thread_has_in_flight_is_not_the_childs(switch: Switch) -> None:
    """Only the forking thread lives on in the child: a permit of any other thread could never be returned there, and
    would keep the child from ever being quiet. The parent goes on showing it."""
    worker = switch.worker(main="wait", worker_id="w-1", beat_ms=50)
    worker.opens()
    eventually(
        lambda: worker.ask("hold_elsewhere", order_id="c-1") == "", timeout_s=PATIENCE_S, why="a permit is granted"
    )
    pid = worker.ask("fork")
    eventually(lambda: slot(worker, PASSED) > 0, timeout_s=PATIENCE_S, why="the child arms itself")
    assert slot(worker, IN_FLIGHT) == 0
    in_sight(switch, "c-1")
    outcome = switch.control.engage("stop", wait_s=3.0)
    assert [(m.worker_id, m.orders) for m in outcome.pending] == [("w-1", ("c-1",))]
    ends(worker, pid)


def test_a_child_that_never_uses_the_gate_is_no_worker(switch: Switch) -> None:
    """A child forked for something else starts no watcher, so nobody waits for it: the stop is quiet without it."""
    worker = switch.worker(main="wait", worker_id="w-1")
    worker.opens()
    pid = worker.ask("fork", use="nothing")
    eventually(lambda: slot(worker, FORKED_AT) > 0, timeout_s=PATIENCE_S, why="the child runs")
    assert slot(worker, WATCHERS) == 0
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    assert [m.worker_id for m in outcome.members] == ["w-1"]
    ends(worker, pid)


def test_a_child_that_waits_for_permission_arms_itself(switch: Switch) -> None:
    """wait_open is a use of the gate: it does not wait for a watcher that nobody starts."""
    worker = switch.worker(main="wait")
    worker.opens()
    pid = worker.ask("fork", use="wait_open")
    eventually(lambda: slot(worker, FORKED_AT) > 0, timeout_s=PATIENCE_S, why="the child has waited")
    assert slot(worker, PASSED) == 1
    assert slot(worker, WATCHERS) == 1
    ends(worker, pid)


@pytest.mark.parametrize("call", ["close", "start"])
def test_the_child_of_a_fork_in_the_middle_of_close_or_start_is_closed(switch: Switch, call: str) -> None:
    """P2 after a fork at any moment: a child never has an open gate that nobody watches."""
    worker = switch.worker(main="wait", lease_ms=20_000, patience_ms=5_000)
    worker.opens()
    assert worker.ask("fork_within", call=call) == "forked"
