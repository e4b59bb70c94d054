"""Floods: of writes beside the switch, of announcements to who does not read them, of agents that come back at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from killswitch import Code, clock, local
from tests.faults.conftest import make_world
from tests.faults.flood import flood
from tests.faults.observe import lateness, row, sound
from tests.faults.prop import prop
from tests.faults.trader import PATIENCE_S, TIMING, Trader
from tests.faults.world import World
from tests.support.processes import ROOT
from tests.support.waiting import eventually

_ENGAGES = 30
_CROWDS, _EACH = 4, 50
_HERD_NS = 2_000_000_000  # L6


@pytest.fixture
def crowded() -> Iterator[World]:
    """A switch that shares its server with neighbours, and one trader whose interpreter is never idle."""
    with make_world("redis", engines=False, durable=False) as world:
        world.trader(hot_ms=20.0, rest_ms=0.0)
        world.trader()
        yield world


def _commands(world: World) -> int:
    info = str(world.raw("INFO", "stats"))
    return next(
        int(line.partition(":")[2]) for line in info.splitlines() if line.startswith("total_commands_processed")
    )


@prop("P2", "L3", "S2")
def test_nothing_passes_after_ok_while_neighbours_write_without_pause(crowded: World) -> None:
    """A flood of writes to other keys delays everything a little and lets nothing pass that begins after +OK."""
    crowded.settle()
    sound(crowded)
    delays, passes = [], []
    with flood(crowded.switch, "neighbour:{}".format):
        begun, count = clock.now_ns(), _commands(crowded)
        for _ in range(_ENGAGES):
            crowded.settle()
            ok_ns = crowded.engage_raw()
            crowded.all_closed(ok_ns)
            passes += [trader.last_pass() - ok_ns for trader in crowded.traders]
            delays.append(_first_blocked(crowded.traders[0]) - ok_ns)
            crowded.permit()
        rate = (_commands(crowded) - count) / ((clock.now_ns() - begun) / 1e9)
    crowded.settle()
    row(
        crowded,
        "flood of writes beside the switch",
        "P2 L3 S2",
        closed_ns=max(passes),
        bound_ns=0,
        note=f"{_ENGAGES} engages beside {rate:,.0f} commands/s; first blocked check "
        f"{median(delays) / 1e6:+.3f} ms (worst {max(delays) / 1e6:+.3f}) after +OK",
    )
    assert max(passes) <= 0
    sound(crowded)


def _first_blocked(trader: Trader) -> int:
    """When the check began that was the first of those blocked now."""
    first = 0
    for view in reversed(trader.events("view")):
        if view["open"]:
            break
        first = view["t"]
    return int(first)


@prop("P3", "P2", "S2", "S10", "L4")
def test_a_process_that_did_not_read_its_announcements_is_cut_off_and_closed(crowded: World) -> None:
    """Frozen, its connection overflows and the server hangs up; awake, it reads old announcements and then the end of
    the stream, passes nothing, and comes back by itself."""
    victim = crowded.traders[1]
    crowded.settle()
    sound(crowded)
    crowded.switch.config_set("client-output-buffer-limit", "normal 65536 0 0")
    frozen_ns = victim.freeze()
    with flood(crowded.switch, lambda number: f"killswitch:state-{number:090}"):
        eventually(
            lambda: _connections(crowded, "killswitch-push") < len(crowded.traders),
            timeout_s=PATIENCE_S,
            why="the server hangs up",
        )
        ok_ns = crowded.engage_raw()
    victim.wake()
    victim.checked_after(ok_ns)
    crowded.all_closed(ok_ns)
    assert victim.last_pass() <= frozen_ns
    with lateness(lambda: (victim.pid, crowded.switch.pid)) as late:
        woken_ns = clock.now_ns()
        victim.says(Code.ENGAGED)
        back_ns = clock.now_ns() - woken_ns
        allowed_ns = late.allowed_ns
    assert back_ns <= _HERD_NS + allowed_ns
    crowded.switch.config_set("client-output-buffer-limit", "normal 0 0 0")
    crowded.permit()
    crowded.settle()
    row(crowded, "announcements unread, output buffer over its limit", "P3 S10 L4", closed_ns=0, recovered_ns=back_ns)
    sound(crowded)


def _connections(world: World, name: str) -> int:
    return str(world.raw("CLIENT", "LIST")).count(f"name={name} ")


_HERDED = {**TIMING, "lease_ms": 600, "renew_ms": 160}
"""Of two hundred agents on two processors the renewals alone must not be all that these can do."""


class Crowd:
    """A process with many agents."""

    def __init__(self, url: str, count: int) -> None:
        config = {"settings": {"redis_url": url, **_HERDED}, "count": count}
        self.process = subprocess.Popen(
            [*local.leash(), sys.executable, "-m", "tests.faults.crowd_program", json.dumps(config)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **order: Any) -> None:
        """Gives it an order."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> list[int]:
        """Its answer to the last order."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the crowd ended"
        return list(json.loads(line))

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@prop("L4", "L5", "L6", "P9")
def test_a_herd_that_lost_its_server_comes_back_within_two_seconds(bare: World) -> None:
    """All agents of a fleet read the state again within two seconds of the server's return, and all open within two
    renewals of the permission."""
    bare.permit()
    crowds = [Crowd(bare.url, _EACH) for _ in range(_CROWDS)]
    try:
        for crowd in crowds:
            crowd.ask(do="open", after=0)
        for crowd in crowds:
            crowd.answer()
        pids = [crowd.process.pid for crowd in crowds]
        with bare.trying():
            bare.switch.restart()
            with lateness(lambda: (*pids, bare.switch.pid)) as late:
                back_ns = clock.now_ns()
                read = _all(crowds, do="read", after=back_ns)
                assert max(read) - back_ns <= _HERD_NS + late.allowed_ns
            with lateness(lambda: (*pids, bare.switch.pid)) as late:
                permitted_ns = bare.permit()
                opened = _all(crowds, do="open", after=permitted_ns)
                allowed_ns = late.allowed_ns
        spread_ns = max(read) - min(read)
        two_renewals_ns = 2 * _HERDED["renew_ms"] * clock.NS_PER_MS
        assert max(opened) - permitted_ns <= two_renewals_ns + allowed_ns
        row(
            bare,
            f"{_CROWDS * _EACH} agents whose server was killed and came back",
            "L4 L5 L6 P9",
            recovered_ns=max(opened) - permitted_ns,
            timed_ms={
                "L4": ((max(read) - back_ns) / 1e6, _HERD_NS / 1e6),
                "L5": ((max(opened) - permitted_ns) / 1e6, two_renewals_ns / 1e6),
                "L6": ((max(read) - back_ns) / 1e6, _HERD_NS / 1e6),
            },
            note=f"all read the state {(max(read) - back_ns) / 1e6:.0f} ms after the server was back, spread over "
            f"{spread_ns / 1e6:.0f} ms",
        )
    finally:
        for crowd in crowds:
            crowd.end()


def _all(crowds: list[Crowd], **order: Any) -> list[int]:
    for crowd in crowds:
        crowd.ask(**order)
    return [moment for crowd in crowds for moment in crowd.answer()]
