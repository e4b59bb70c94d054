"""`killswitch deadman` as a process: what it says, how it ends, and what its death means for the fleet."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.agents import stays_closed
from tests.support.server import KINDS, binary
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

OVER = "ENGAGED nobody renewed the permission: its dead man's switch ran out"
Spawn = Callable[..., subprocess.Popen[str]]
SHORT = ("deadman", "--every", "1s", "--grace", "1s", "-r", "the desk")


@pytest.fixture(scope="module")
def server_kind() -> str:
    """One make is enough for what a process says; what both makes of server do is in test_deadman.py."""
    found = next((kind for kind in KINDS if binary(kind) is not None), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no server")
    return found


def held(switch: Switch) -> Any:
    """What status says of the renewals, once there are some."""
    return eventually(lambda: switch.control.status().deadman, timeout_s=20, why="the permission is renewed")


@pytest.fixture
def spawn(shell: Shell) -> Iterator[Spawn]:
    """Starts commands as processes; whatever becomes of the test, none of them outlives it."""
    with contextlib.ExitStack() as stack:

        def start(*words: str, **how: Any) -> subprocess.Popen[str]:
            process = stack.enter_context(shell.spawn(*words, **how))
            stack.callback(process.kill)
            return process

        yield start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process that ends by itself."""
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def test_holder_that_is_frozen_or_killed_closes_the_fleet_and_never_reopens_it(switch: Switch, spawn: Spawn) -> None:
    """The fleet is closed when its life is over; a holder that wakes up afterwards only learns that it is."""
    agent = switch.agent()
    sleeper = spawn(*SHORT)
    first = held(switch)
    sleeper.send_signal(signal.SIGSTOP)
    eventually(lambda: switch.server.cli("GET", STATE) == OVER, timeout_s=20, why="the fleet is closed")
    sleeper.send_signal(signal.SIGCONT)
    code, _, err = ended(sleeper)
    assert code == 1
    assert "is not renewed any more: the switch was changed" in err
    assert "ENGAGED: nobody renewed the permission" in err
    stays_closed(agent)

    epoch = switch.permit()
    victim = spawn(*SHORT, "--epoch", str(epoch))
    assert held(switch).operation != first.operation
    victim.kill()
    victim.wait(10)
    eventually(lambda: switch.server.cli("GET", STATE) == OVER, timeout_s=20, why="the fleet is closed")
    stays_closed(agent)


def test_asked_to_end_it_leaves_the_permission_to_run_out_and_says_until_when(switch: Switch, spawn: Spawn) -> None:
    """SIGTERM: nothing is engaged, nothing renewed any more, and the time is told."""
    process = spawn("deadman", "-r", "the desk", "--output", "json")
    found = held(switch)
    assert (found.actor, found.every_ms, found.life_ms) == ("tester", 20_000, 80_000)
    eventually(lambda: switch.control.status().deadman, why="it is on record")
    process.send_signal(signal.SIGTERM)
    code, out, err = ended(process)
    told = json.loads(out)
    assert code == told["exit_code"] == 0
    assert told.items() >= {"ended": "asked", "epoch": switch.control.status().switch.epoch, "renewals": 0}.items()
    assert 60_000 < told["left_ms"] <= 80_000
    assert "SIGTERM: nothing renews the permission any more; every gate is closed by" in err
    assert switch.server.cli("GET", STATE) == "SAFE"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_asked_to_end_it_engages_where_that_was_wanted(switch: Switch, spawn: Spawn, number: signal.Signals) -> None:
    """--engage-on-exit: the switch is engaged, on record with the reason and with who held the permission."""
    process = spawn("deadman", "-r", "the desk", "--engage-on-exit", "--actor", "alice")
    held(switch)
    process.send_signal(number)
    code, out, _ = ended(process)
    text = f"ENGAGED dead man's switch ended by {number.name}: the desk"
    assert (code, switch.server.cli("GET", STATE)) == (0, text)
    assert [entry.actor for entry in switch.control.audit(2)] == ["alice", "alice"]
    assert text in out


def test_somebody_who_engages_ends_it(switch: Switch, spawn: Spawn) -> None:
    """It says who and why, ends with 1, and does not touch the switch again."""
    process = spawn("deadman", "--every", "1s", "-r", "the desk")
    held(switch)
    epoch = switch.control.engage("fat finger", "bob").epoch
    code, _, err = ended(process)
    assert code == 1
    assert "the switch was changed" in err
    assert "ENGAGED: fat finger" in err
    assert "by bob" in err
    assert switch.control.status().switch.epoch == epoch


def test_second_one_is_refused_and_told_how_to_take_over(switch: Switch, shell: Shell, spawn: Spawn) -> None:
    """Two never fight: the first goes on, unless the second says that it means to, at the epoch it looked at."""
    first = spawn("deadman", "--every", "1s", "-r", "the desk")
    held(switch)
    epoch = switch.control.status().switch.epoch
    refused = shell.run("deadman", "-r", "me too")
    assert refused.code == 1
    assert "somebody renews it already" in refused.err
    assert f'--take-over --epoch {epoch} --reason "..."' in refused.err
    assert shell.run("deadman", "-r", "me too", "--take-over").code == 2
    second = spawn("deadman", "-r", "me too", "--take-over", "--epoch", str(epoch))
    code, _, err = ended(first)
    assert (code, "the switch was changed" in err) == (1, True)
    eventually(lambda: held(switch).every_ms == 20_000, why="the second one renews it")
    second.send_signal(signal.SIGTERM)
    assert ended(second)[0] == 0


def test_nothing_is_taken_where_trading_is_not_permitted(switch: Switch, shell: Shell) -> None:
    """Engaged stays engaged, and the refusal says how things are."""
    epoch = switch.control.engage("fat finger", "bob").epoch
    for words in ((), ("--epoch", str(epoch))):
        done = shell.run("deadman", "-r", "the desk", *words)
        assert done.code == 1
        assert "the switch does not say SAFE" in done.err
        assert f"killswitch reset --epoch {epoch}" in done.err
    stale = shell.run("deadman", "-r", "the desk", "--epoch", str(epoch - 1), "--output", "json")
    assert stale.json["error"]["kind"] == "epoch_conflict"
    assert switch.server.cli("GET", STATE) == "ENGAGED fat finger"


def test_lost_redis_is_told_with_the_time_by_which_all_is_closed(switch: Switch, shell: Shell, spawn: Spawn) -> None:
    """It warns, goes on trying, says when it got through again; and ends with 69 when the time is over."""
    log = shell.folder / "err"
    shell.monkeypatch.setenv("KILLSWITCH_TIMEOUT_MS", "2000")
    with log.open("w") as err:
        process = spawn("deadman", "--every", "1s", "--grace", "10s", "-r", "x", stderr=err)
        held(switch)
        switch.server.sigstop()
        eventually(lambda: "is not renewed" in log.read_text(), timeout_s=20, why="the loss is told")
        switch.server.sigcont()
        eventually(lambda: "renewed again" in log.read_text(), timeout_s=20, why="the return is told")
        switch.server.kill9()
        process.wait(60)
    assert process.returncode == 69
    assert "Every gate is closed by" in log.read_text().replace("\n  ", " ")
    assert "has run out for want of an answer" in log.read_text().replace("\n  ", " ")
