"""What the operator's command says when the server cannot take it, held against what then happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from killswitch import Code, clock
from ops.exit_codes import Exit
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.shell import press, press_nothing
from tests.faults.trader import LEASE_NS
from tests.faults.world import World
from tests.support.resp import encode
from tests.support.switch import STATE

Step = Callable[[World], object]

_TOLD_NS = 2_000_000_000  # L1
_ALLOWED = 3

CANNOT: dict[str, tuple[Step, Step, Exit]] = {
    "killed": (lambda w: w.switch.kill9(), lambda w: w.switch.restart(), Exit.UNREACHABLE),
    "frozen": (lambda w: w.switch.sigstop(), lambda w: w.switch.sigcont(), Exit.UNREACHABLE),
    "short of replicas": (
        lambda w: w.switch.config_set("min-replicas-to-write", "1"),
        lambda w: w.switch.config_set("min-replicas-to-write", "0"),
        Exit.REFUSED,
    ),
}


@prop("P3", "P4", "L1", "S2")
@pytest.mark.parametrize("server", CANNOT)
def test_who_cannot_engage_is_told_by_when_the_fleet_is_closed_and_it_is(pair: World, server: str) -> None:
    """The command ends within its time limit with a bound, and every gate is closed by it."""
    inject, heal, code = CANNOT[server]
    started_ns = -clock.now_ns()
    press_nothing(pair)
    started_ns += clock.now_ns()
    with pair.trying():
        begun = clock.now_ns()
        inject(pair)
        effect_ns = clock.now_ns()
        pair.void(begun, effect_ns)
        told = press(pair)
        ended_ns = clock.now_ns()
        assert told["code"] == code, told
        error = told["error"]
        assert error["closed_within_ms"] * clock.NS_PER_MS >= LEASE_NS
        pair.all_closed(effect_ns + LEASE_NS)
        last_ns = max(trader.last_pass() for trader in pair.traders)
        assert last_ns <= ended_ns + error["closed_within_ms"] * clock.NS_PER_MS
        # Twice the half of the time limit, and a Python that starts; as long as this machine takes for that now.
        assert ended_ns - effect_ns - told["in_line_ns"] <= _TOLD_NS + _ALLOWED * started_ns
        if server != "killed":  # else what it says is of another incarnation
            pair.valid(clock.now_ns())
        heal(pair)
        row(
            pair,
            f"engage against a server that is {server}",
            "P3 P4 L1",
            closed_ns=last_ns - effect_ns,
            bound_ns=LEASE_NS,
            timed_ms={"L1": (max(0, ended_ns - effect_ns - started_ns) / 1e6, _TOLD_NS / 1e6)},
            note=f"exit {told['code']} after {(ended_ns - effect_ns) / 1e6:.0f} ms with the start of the shell; "
            f"says: closed within {error['closed_within_ms']} ms",
        )
    sound(pair)


@prop("P1", "P3", "S2")
def test_a_bare_set_sent_to_a_frozen_server_takes_effect_when_it_wakes(pair: World) -> None:
    """Who sent it got no answer and went away; nobody opens again when the server goes on."""
    with pair.trying():
        begun = clock.now_ns()
        pair.switch.sigstop()
        pair.void(begun, clock.now_ns())
        with pair.switch.line() as line:
            line.socket.sendall(encode("SET", STATE, "ENGAGED into the ice"))
        pair.all_closed(clock.now_ns() + LEASE_NS)
        last_ns = max(trader.last_pass() for trader in pair.traders)
        pair.switch.sigcont()
        for trader in pair.traders:
            trader.says(Code.ENGAGED)
        assert max(trader.last_pass() for trader in pair.traders) == last_ns
        row(pair, "bare SET sent to a frozen server", "P1 P3 S2", closed_ns=last_ns - begun, bound_ns=LEASE_NS)
    sound(pair)
