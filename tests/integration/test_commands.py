"""Engaging beats everything, a reset undoes only what was looked at (P8), and every change is on record (P10, P11)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from killswitch import AuditEntry, Code, Controller, EpochConflict, Mode
from tests.support.agents import blocked_code, closes_with, fast_settings, open_epoch
from tests.support.proxy import Proxy
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

ROUNDS = 60


def entries(switch: Switch, since: int) -> list[AuditEntry]:
    """What was recorded after epoch `since`, oldest first."""
    return [entry for entry in switch.control.audit() if entry.epoch > since]


def test_a_reset_with_an_old_epoch_is_refused_and_changes_nothing(switch: Switch) -> None:
    """P8: a reset can not undo an engagement newer than the one that was looked at."""
    agent = switch.agent()
    looked_at = switch.control.engage("one").epoch
    newer = switch.control.engage("two").epoch
    with pytest.raises(EpochConflict) as caught:
        switch.control.reset(looked_at, "checked")
    assert (caught.value.current, caught.value.given) == (newer, looked_at)
    assert switch.server.cli("GET", STATE) == "ENGAGED two"
    closes_with(agent, Code.ENGAGED)


def test_a_reset_after_an_engagement_by_hand_is_refused(switch: Switch) -> None:
    """P8: also a bare SET counts as newer, before any worker has recorded it."""
    looked_at = switch.control.engage("one").epoch
    switch.engage_raw()
    with pytest.raises(EpochConflict, match="epoch now"):
        switch.control.reset(looked_at, "checked")
    assert switch.server.cli("GET", STATE) == "ENGAGED by hand"


def test_loosening_to_reducing_needs_the_epoch_as_a_reset_does(switch: Switch) -> None:
    """P8: from ENGAGED, reduce loosens, so it is refused without the current epoch; from SAFE it tightens."""
    assert switch.control.reduce("calm down").state == "REDUCING"
    engaged = switch.control.engage("stop").epoch
    for epoch in (None, engaged - 1):
        with pytest.raises(EpochConflict, match="epoch now"):
            switch.control.reduce("again", epoch=epoch)
    assert switch.control.reduce("checked", epoch=engaged).state == "REDUCING"


@pytest.mark.parametrize("how", ["engage", "a bare SET"])
def test_of_an_engage_and_a_reset_at_the_same_moment_the_engage_wins(switch: Switch, how: str) -> None:
    """P8: whichever comes first, after both it is engaged: never SAFE with an engagement newer than the reset."""
    resets = 0
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            epoch = switch.control.engage("before").epoch
            together = threading.Barrier(2)

            def reset(at: int = epoch, together: threading.Barrier = together) -> int:
                together.wait()
                try:
                    return switch.control.reset(at, "checked").epoch
                except EpochConflict:
                    return 0

            def engage(together: threading.Barrier = together) -> int:
                together.wait()
                return switch.control.engage("stop").epoch if how == "engage" else switch.engage_raw()

            first, second = pool.submit(reset), pool.submit(engage)
            permitted, engaged = first.result(), second.result()
            assert switch.server.cli("GET", STATE).startswith("ENGAGED")
            assert how != "engage" or permitted < engaged
            resets += permitted > 0
    epochs = [entry.epoch for entry in switch.control.audit(1000)]
    assert epochs == sorted(set(epochs))  # no two changes ever had one epoch
    assert 0 <= resets <= ROUNDS


@pytest.mark.parametrize("command", ["engage", "reset", "reduce"])
def test_a_command_whose_answer_was_lost_is_done_once(switch: Switch, command: str) -> None:
    """P8: the answer is lost and the command sent again: one change, one entry, and the caller learns its epoch."""
    before = switch.control.engage("before").epoch if command == "reset" else switch.control.status().epoch
    with Proxy(switch.server.port) as proxy:
        control = Controller(fast_settings(proxy.url))
        proxy.lose_answers = 1
        if command == "reset":
            outcome = control.reset(before, "checked")
        else:
            outcome = control.engage("stop") if command == "engage" else control.reduce("less")
    assert outcome.repeated
    assert proxy.lose_answers == 0
    assert [entry.epoch for entry in entries(switch, before)] == [outcome.epoch] == [before + 1]


def test_a_raw_set_gets_an_epoch_and_an_entry_of_unattributed(switch: Switch) -> None:
    """P10: what an unknown hand wrote is recorded once, however many workers saw it, with what it replaced."""
    agents = [switch.agent() for _ in range(4)]
    before = max(open_epoch(agent) for agent in agents)
    switch.raw("SET", STATE, "ENGAGED fat finger")
    for agent in agents:
        closes_with(agent, Code.ENGAGED)
    eventually(lambda: all(agent.view.epoch == before + 1 for agent in agents), why="all carry the new epoch")
    assert [(e.epoch, e.before, e.after, e.actor, e.via, e.scope) for e in entries(switch, before)] == [
        (before + 1, "SAFE", "ENGAGED fat finger", "unattributed", "raw", "switch")
    ]
    switch.raw("SET", STATE, "SAFE")
    assert {open_epoch(agent) for agent in agents} == {before + 2}


def test_changes_by_the_library_carry_actor_reason_via_and_operation(switch: Switch) -> None:
    """P10: who, why, through what, and under which operation id."""
    before = switch.control.status().epoch
    switch.control.engage("fat finger", actor="alice", operation="op-1")
    switch.control.reduce("checked", actor="bob", epoch=before + 1, operation="op-2")
    switch.control.reset(before + 2, "all clear", operation="op-3")
    found = [(e.after, e.reason, e.actor, e.via, e.operation) for e in entries(switch, before)]
    assert found == [
        ("ENGAGED fat finger", "fat finger", "alice", "library", "op-1"),
        ("REDUCING", "checked", "bob", "library", "op-2"),
        ("SAFE", "all clear", "tester", "library", "op-3"),
    ]
    assert all(entry.at_ms > 0 for entry in entries(switch, before))


def test_an_operation_id_that_was_used_changes_nothing_again(switch: Switch) -> None:
    """P8: a tool may repeat its command as often as it likes."""
    first = switch.control.engage("stop", operation="op-1")
    again = switch.control.engage("stop", operation="op-1")
    assert (again.epoch, again.repeated, first.repeated) == (first.epoch, True, False)


def test_beats_go_on_while_engaged_and_status_shows_them(switch: Switch) -> None:
    """P11: stopping never blinds: heartbeats, annotations and status work on under ENGAGED."""
    agent = switch.agent(engine="eurusd-1")
    open_epoch(agent)
    switch.control.engage("stop", wait_s=10)
    for count in range(3):
        agent.annotate(cancelled=count)

        def told(wanted: int = count) -> bool:
            (member,) = switch.control.status().members
            return member.info.get("cancelled") == wanted and member.mode == Mode.ENGAGED and member.closed

        eventually(told, why="a beat carries the new annotation")
    status = switch.control.status()
    assert (status.switch.mode, status.switch.why, status.trouble) == (Mode.ENGAGED, "stop", None)
    assert blocked_code(agent) is Code.ENGAGED


def test_epochs_are_not_used_again_after_a_flush(switch: Switch) -> None:
    """P9: a worker carries the highest epoch it has seen back to a Redis that forgot everything."""
    agent = switch.agent()
    for _ in range(5):
        switch.control.engage("count up")
    seen = switch.permit()
    assert open_epoch(agent) == seen
    switch.raw("FLUSHALL")
    closes_with(agent, Code.STATE_MISSING)
    eventually(lambda: switch.control.status().epoch > seen, why="the worker's epoch is known again")
    assert switch.control.engage("first after the flush").epoch > seen + 1
    assert switch.permit() > seen + 2
    assert open_epoch(agent) > seen + 2
