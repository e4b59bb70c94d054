"""Only exact SAFE opens (P5): any other content, and any way to lose the key, closes with a code that says which."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from killswitch import Code, Mode, clock
from killswitch.clock import NS_PER_MS
from tests.support.agents import CALM, FAST, blocked_code, closes_with, last_pass_ns, open_epoch, stays_closed
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

LEASE_NS = FAST["lease_ms"] * NS_PER_MS

Words = Sequence[str | bytes | int]

LOSSES: dict[str, tuple[Words, ...]] = {
    "DEL": (("DEL", STATE),),
    "UNLINK": (("UNLINK", STATE),),
    "GETDEL": (("GETDEL", STATE),),
    "RENAME": (("RENAME", STATE, "elsewhere"),),
    "MOVE": (("MOVE", STATE, 1),),
    "PEXPIREAT in the past": (("PEXPIREAT", STATE, 1),),
}

TEXTS: dict[str, bytes] = {
    "garbage": b"open sesame",
    "lower case": b"safe",
    "mixed case": b"Safe",
    "a blank after it": b"SAFE ",
    "a blank before it": b" SAFE",
    "a line break after it": b"SAFE\n",
    "a carriage return": b"SAFE\r\n",
    "a zero byte": b"SAFE\x00",
    "quotes around it": b'"SAFE"',
    "empty": b"",
    "a number": b"1",
    "not UTF-8": b"\xff\xfe",
    "a long text that begins well": b"SAFE" + b" " * 5000,
    "REDUCING with a blank": b"REDUCING ",
    "lower-case engaged": b"engaged",
}

EDITS: dict[str, tuple[Words, ...]] = {
    "APPEND": (("APPEND", STATE, "!"),),
    "SETRANGE": (("SETRANGE", STATE, 4, "!"),),
    "SETBIT": (("SETBIT", STATE, 0, 1),),
    "GETSET": (("GETSET", STATE, "no"),),
    "COPY over it": (("SET", "other", "no"), ("COPY", "other", STATE, "REPLACE")),
    "RENAME onto it": (("SET", "other", "no"), ("RENAME", "other", STATE)),
}

TYPES: dict[str, Words] = {
    "list": ("RPUSH", STATE, "SAFE"),
    "hash": ("HSET", STATE, "SAFE", "SAFE"),
    "set": ("SADD", STATE, "SAFE"),
    "sorted set": ("ZADD", STATE, 1, "SAFE"),
    "stream": ("XADD", STATE, "*", "SAFE", "SAFE"),
}


def _closed_by(switch: Switch, code: Code, *commands: Words) -> None:
    """Runs commands against an open gate: the check that follows the last answer is blocked, and `code` says why."""
    agent = switch.agent()
    open_epoch(agent)
    with switch.server.line() as line:
        for words in commands:
            line.call(*words)
        assert blocked_code(agent) is not None
    closes_with(agent, code)
    stays_closed(agent)
    assert agent.view.mode is Mode.ENGAGED
    assert agent.view.code is code


@pytest.mark.parametrize("how", LOSSES)
def test_a_lost_key_closes_at_once_and_is_called_missing(switch: Switch, how: str) -> None:
    """P5: absence never means SAFE."""
    _closed_by(switch, Code.STATE_MISSING, *LOSSES[how])


@pytest.mark.parametrize("text", TEXTS)
def test_any_other_text_closes_and_is_called_unrecognised(switch: Switch, text: str) -> None:
    """P5: SAFE to the letter or nothing."""
    _closed_by(switch, Code.STATE_UNRECOGNISED, ("SET", STATE, TEXTS[text]))


@pytest.mark.parametrize("how", EDITS)
def test_an_edit_in_place_closes(switch: Switch, how: str) -> None:
    """P5: whichever command changes the text, it closes."""
    _closed_by(switch, Code.STATE_UNRECOGNISED, *EDITS[how])


@pytest.mark.parametrize("kind", TYPES)
def test_another_type_closes_and_names_it(switch: Switch, kind: str) -> None:
    """P5: a key of another type is closed, also where SAFE stands in it, and a reset makes a string of it again."""
    _closed_by(switch, Code.STATE_WRONG_TYPE, ("DEL", STATE), TYPES[kind])
    agent = switch.agent()
    switch.permit()
    open_epoch(agent)


@pytest.mark.parametrize("text", ["ENGAGED", "ENGAGED fat finger"])
def test_engaged_with_and_without_a_reason_closes(switch: Switch, text: str) -> None:
    """The two spellings that people use are both recognised."""
    _closed_by(switch, Code.ENGAGED, ("SET", STATE, text))


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
def test_a_flush_closes_and_is_called_missing(switch: Switch, command: str) -> None:
    """P5: a flush takes permission and record away. (Its push may be written just after its own reply, unlike that of a
    SET, so the bound that holds to the nanosecond is the lease.)"""
    agent = switch.agent()
    open_epoch(agent)
    flushed_ns = switch.raw(command)
    assert last_pass_ns(agent, flushed_ns + LEASE_NS + 50 * NS_PER_MS) <= flushed_ns + LEASE_NS
    closes_with(agent, Code.STATE_MISSING)
    stays_closed(agent)


def test_swapdb_is_noticed_within_the_lease(switch: Switch) -> None:
    """P5: SWAPDB changes the value without a push; the next renewal reads it, and the lease bounds the delay."""
    agent = switch.agent()
    open_epoch(agent)
    swapped_ns = switch.raw("SWAPDB", 0, 1)
    assert last_pass_ns(agent, swapped_ns + LEASE_NS + 100 * NS_PER_MS) <= swapped_ns + LEASE_NS
    closes_with(agent, Code.STATE_MISSING)
    stays_closed(agent)


@pytest.mark.parametrize("unit", ["PX", "EX"])
def test_a_permission_with_a_time_limit_ends_by_itself(switch: Switch, unit: str) -> None:
    """P5: SET SAFE EX n is a permission for n seconds: no check passes later, and nobody has to do anything."""
    agent = switch.agent()
    open_epoch(agent)
    limit_ms = 3000
    switch.raw("SET", STATE, "SAFE", unit, limit_ms if unit == "PX" else limit_ms // 1000)
    set_ns = clock.now_ns()
    open_epoch(agent)
    ends_ns = set_ns + (limit_ms + 1) * NS_PER_MS  # Redis counts in whole milliseconds
    assert last_pass_ns(agent, ends_ns + 100 * NS_PER_MS) <= ends_ns
    assert blocked_code(agent) is not None
    closes_with(agent, Code.PERMISSION_EXPIRED, Code.STATE_CHANGED, Code.STATE_MISSING)
    closes_with(agent, Code.STATE_MISSING)


def test_the_end_of_a_time_limit_closes_also_when_the_server_is_frozen(switch: Switch) -> None:
    """The worker knows the limit itself: with nobody to push or answer, it closes at the limit, not at the lease."""
    agent = switch.agent(**CALM)
    open_epoch(agent)
    codes: list[Code] = []
    agent.on_close(lambda view: codes.append(view.code))
    switch.raw("SET", STATE, "SAFE", "PX", 4000)
    set_ns = clock.now_ns()
    open_epoch(agent)
    switch.server.sigstop()
    ends_ns = set_ns + 4001 * NS_PER_MS
    assert last_pass_ns(agent, ends_ns + 100 * NS_PER_MS) <= ends_ns
    eventually(lambda: Code.PERMISSION_EXPIRED in codes, why="the end of the limit is told")
    switch.server.sigcont()


def test_a_worker_on_an_uninitialised_server_is_closed(switch: Switch) -> None:
    """P5: without a state key, from the very first read, the gate is closed and the code says that nothing is there."""
    switch.raw("FLUSHALL")
    agent = switch.agent()
    closes_with(agent, Code.STATE_MISSING)
    stays_closed(agent)
