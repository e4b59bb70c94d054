"""Admission as a trading process uses it, on real servers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from killswitch import Admission, AdmissionUnknown, Agent, Blocked, Code, InvalidInput, OrderConflict
from killswitch.core.endpoint import parse_url
from killswitch.store.functions import LIBRARY_VERSION, library_source
from killswitch.store.wire import connect
from tests.support.agents import CALM, hold_permit, kill_client, open_epoch, release
from tests.support.library import Library
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

S1 = "symbol:EURUSD"


@pytest.fixture
def agent(switch: Switch) -> Agent:
    """A started agent that follows one scope; it waits for answers no longer than it must, as tests freeze Redis."""
    return switch.agent([S1], worker_id="w1", **{**CALM, "patience_ms": 3000})


@pytest.fixture
def admission(agent: Agent) -> Iterator[Admission]:
    """Its admission."""
    with Admission(agent) as made:
        yield made


@pytest.fixture
def library(switch: Switch) -> Iterator[Library]:
    """The functions, for a look at the journal."""
    wire = connect(parse_url(switch.url), 5.0)
    yield Library(wire, load=False)
    wire.close()


def admit(agent: Agent, admission: Admission, order_id: str = "o-1", **order: object) -> str:
    """One order from gate 1 to the journal, however often the gate closes for a moment meanwhile."""
    permit = hold_permit(agent, order_id)
    try:
        return admission.admit(permit, order_id, order)
    finally:
        release(permit)


def test_admitted_order_is_in_the_journal_and_was_counted_as_in_flight(
    agent: Agent, admission: Admission, library: Library
) -> None:
    """The entry says who sent it under what; the permit was held when Redis was asked."""
    permit = hold_permit(agent, "o-1")
    assert agent.in_flight == 1
    entry_id = admission.admit(permit, "o-1", {"quantity": 5, "limit": None}, reduces=True)
    ((found_id, fields),) = library.journal()
    assert found_id == entry_id
    assert fields.items() >= {
        "worker": "w1", "epoch": str(permit.epoch), "scopes": S1, "reduces": "1", "order_id": "o-1",
        "order": '{"limit":null,"quantity":5}',
    }.items()  # fmt: skip
    assert admission.is_waiting(entry_id)
    assert not admission.is_waiting("1-1")
    release(permit)


def test_admission_without_a_permit_is_a_mistake(agent: Agent, admission: Admission, library: Library) -> None:
    """An order on its way into the journal that nobody counts could pass an acknowledgement."""
    permit = hold_permit(agent, "o-1")
    release(permit)
    with pytest.raises(RuntimeError, match=r"inside `with agent\.gate\.order"):
        admission.admit(permit, "o-1", {})
    assert library.journal() == []


def test_order_that_passed_the_gate_is_refused_after_the_set(
    switch: Switch, agent: Agent, admission: Admission, library: Library
) -> None:
    """What a stopped or slow process could still send is refused by Redis itself, with the operator's reason."""
    permit = hold_permit(agent, "o-1")
    switch.raw("SET", STATE, "ENGAGED fat finger")
    with pytest.raises(Blocked) as caught:
        admission.admit(permit, "o-1", {})
    assert (caught.value.code, caught.value.reason) == (Code.ENGAGED, "the switch is engaged: fat finger")
    assert library.journal() == []
    release(permit)


def test_order_of_an_engaged_scope_is_refused(switch: Switch, agent: Agent, admission: Admission) -> None:
    """Admission follows the scopes of its agent."""
    permit = hold_permit(agent, "o-1")
    switch.raw("SET", f"{STATE}:{S1}", "ENGAGED")
    with pytest.raises(Blocked) as caught:
        admission.admit(permit, "o-1", {})
    assert caught.value.code is Code.SCOPE_ENGAGED
    release(permit)


def test_silent_redis_leaves_the_fate_unknown_and_the_id_makes_asking_again_safe(
    switch: Switch, agent: Agent, admission: Admission, library: Library
) -> None:
    """No answer is not a refusal; repeated under the same id the order is in the journal once."""
    admit(agent, admission, "o-0")
    permit = hold_permit(agent, "o-1")
    switch.server.sigstop()
    try:
        with pytest.raises(AdmissionUnknown) as caught:
            admission.admit(permit, "o-1", {})
    finally:
        switch.server.sigcont()
    assert (caught.value.order_id, caught.value.code) == ("o-1", Code.NO_ANSWER)
    # The frozen server executes what it had received: under the lease that it renews at the same time, or later.
    eventually(lambda: len(library.journal()) == 2, why="the question is executed after all")
    first = library.journal()[1][0]
    assert admission.admit(permit, "o-1", {}) == first
    assert len(library.journal()) == 2
    release(permit)


def test_unreachable_redis_refuses(switch: Switch, agent: Agent, library: Library) -> None:
    """What could not be asked at all was certainly not admitted."""
    permit = hold_permit(agent, "o-1")
    switch.server.kill9()
    with Admission(agent) as admission, pytest.raises(Blocked) as caught:
        admission.admit(permit, "o-1", {})
    assert caught.value.code is Code.UNREACHABLE
    release(permit)


def test_connection_that_was_cut_while_idle_costs_nothing(
    switch: Switch, agent: Agent, admission: Admission, library: Library
) -> None:
    """An end of stream that is there before the question is no doubt about the order. The watcher is not disturbed."""
    admit(agent, admission, "o-1")
    assert kill_client(switch.server, "killswitch-admit") == 1
    epoch = open_epoch(agent)
    admit(agent, admission, "o-2")
    assert open_epoch(agent) == epoch
    assert [fields["order_id"] for _, fields in library.journal()] == ["o-1", "o-2"]


def test_another_order_under_a_used_id_is_refused(agent: Agent, admission: Admission) -> None:
    """The sender learns that its id stands for something else."""
    first = admit(agent, admission, "o-1", quantity=5)
    assert admit(agent, admission, "o-1", quantity=5) == first
    with pytest.raises(OrderConflict) as caught:
        admit(agent, admission, "o-1", quantity=6)
    assert caught.value.entry_id == first


@pytest.mark.parametrize("order_id", ["", "a\nb", "x" * 257, "\ud800" * 300])
def test_bad_client_id_is_the_callers_mistake(agent: Agent, admission: Admission, order_id: str) -> None:
    """Nothing is asked for an id that cannot be kept."""
    with pytest.raises(InvalidInput, match="client order id"):
        admission.admit(_Epoch(), order_id, {})


@pytest.mark.parametrize("order", [{"a": object()}, {"a": float("nan")}, {"a": "x" * 20_000}])
def test_order_that_cannot_be_written_is_the_callers_mistake(admission: Admission, order: dict[str, object]) -> None:
    """Nothing is asked for an order that a gateway could not read."""
    with pytest.raises(InvalidInput, match="o-1"):
        admission.admit(_Epoch(), "o-1", order)


class _Epoch:
    epoch = 2


def test_missing_library_refuses(switch: Switch, agent: Agent, admission: Admission) -> None:
    """An older release's library, without admission, admits nothing."""
    permit = hold_permit(agent, "o-1")
    switch.raw("FUNCTION", "FLUSH")
    with pytest.raises(Blocked) as caught:
        admission.admit(permit, "o-1", {})
    assert caught.value.code is Code.LIBRARY_MISSING
    release(permit)


def test_answer_of_another_library_is_not_believed(switch: Switch, agent: Agent, admission: Admission) -> None:
    """What another version did with the order is not known here."""
    permit = hold_permit(agent, "o-1")
    other = library_source().replace(f"local VERSION = {LIBRARY_VERSION}\n", "local VERSION = 999\n")
    switch.raw("FUNCTION", "LOAD", "REPLACE", other)
    with pytest.raises(AdmissionUnknown) as caught:
        admission.admit(permit, "o-1", {})
    assert caught.value.code is Code.BAD_ANSWER
    release(permit)


def test_threads_share_an_admission(agent: Agent, admission: Admission, library: Library) -> None:
    """Each gets the answer to its own question."""
    found: dict[str, str] = {}

    def send(name: str) -> None:
        for number in range(25):
            order_id = f"{name}-{number}"
            found[order_id] = admit(agent, admission, order_id)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {fields["order_id"]: entry_id for entry_id, fields in library.journal()} == found
    assert len(found) == 100


def test_child_of_a_fork_has_a_connection_of_its_own(agent: Agent, admission: Admission, library: Library) -> None:
    """Parent and child admit without taking each other's answers."""
    admit(agent, admission, "parent-0")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for number in range(20):
                admit(agent, admission, f"child-{number}")
            code = 0
        finally:
            os._exit(code)
    for number in range(1, 20):
        admit(agent, admission, f"parent-{number}")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    names = [fields["order_id"] for _, fields in library.journal()]
    assert sorted(names) == sorted(f"{who}-{number}" for who in ("parent", "child") for number in range(20))
    workers = {fields["order_id"].partition("-")[0]: fields["worker"] for _, fields in library.journal()}
    assert workers["parent"] == "w1"
    assert workers["child"].startswith("w1-")
