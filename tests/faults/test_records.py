"""Broken bookkeeping: audit, ledger and membership destroyed or forbidden. Engaging works all the same (S13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from killswitch import KillSwitchError, clock
from ops.exit_codes import Exit
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.shell import press
from tests.faults.world import World
from tests.support.switch import STATE

_LAST_ID = "18446744073709551615-18446744073709551615"
_P = "killswitch"
Break = Callable[[World], object]


def _does(*commands: tuple[str | int, ...]) -> Break:
    def inject(world: World) -> None:
        with world.switch.line() as line:  # in one step: a beat between two of them would make the record anew
            line.call("MULTI")
            for command in commands:
                line.call(*command)
            line.call("EXEC")

    return inject


def _every_key(world: World) -> None:
    """Every key of the switch but the state becomes something else."""
    for key in [f"{_P}:{name}" for name in ("ledger", "audit", "workers", "acks", "op")]:
        world.raw("DEL", key)
        world.raw("SET", key, "x")


def _rows_of_workers(world: World) -> None:
    for trader in world.traders:
        world.raw("DEL", f"{_P}:worker:{trader.worker_id}")
        world.raw("SADD", f"{_P}:worker:{trader.worker_id}", "x")


BROKEN: dict[str, Break] = {
    "audit is a string": _does(("DEL", f"{_P}:audit"), ("SET", f"{_P}:audit", "x")),
    "audit has used up its ids": _does(("DEL", f"{_P}:audit"), ("XADD", f"{_P}:audit", _LAST_ID, "epoch", "x")),
    "audit tells an impossible epoch": _does(("XADD", f"{_P}:audit", "*", "epoch", "1e400", "scope", "switch")),
    "ledger is a list": _does(("DEL", f"{_P}:ledger"), ("RPUSH", f"{_P}:ledger", "x")),
    "ledger counts nonsense": _does(("HSET", f"{_P}:ledger", "epoch", "nan", "switch:epoch", "-1", "run_id", "")),
    "membership is a string": _does(("DEL", f"{_P}:workers"), ("SET", f"{_P}:workers", "x")),
    "membership has endless scores": _does(("ZADD", f"{_P}:workers", "inf", "ghost", "-inf", "other")),
    "workers' rows are sets": _rows_of_workers,
    "every key is a string": _every_key,
    "state is a hash": _does(("DEL", STATE), ("HSET", STATE, "SAFE", "SAFE")),
    "functions are gone": _does(("FUNCTION", "FLUSH")),
}


@prop("S13", "S6", "P1", "P8", "L1", "L2")
@pytest.mark.parametrize("broken", BROKEN)
def test_engaging_from_the_shell_works_whatever_became_of_the_record(pair: World, broken: str) -> None:
    """The stop is set, everybody is closed, and the command ends in time with a word that is true; the proof is had
    where the workers could put the record right."""
    with pair.trying():
        begun = clock.now_ns()
        BROKEN[broken](pair)
        if broken.startswith("state"):
            pair.void(begun, clock.now_ns())
        before = clock.now_ns()
        told = press(pair, "--wait", "3")
        done = clock.now_ns()
        pair.void(before, done, "engage")
        pair.all_closed(done)
        assert pair.raw("GET", STATE) == "ENGAGED broken"
        assert told["code"] in (Exit.DONE, Exit.UNCERTAIN, 4), told
        assert (told["verdict"], told["code"]) in (("QUIET", 0), ("FENCED", 4), ("UNCERTAIN", 3))
        repaired = broken not in ("functions are gone", "membership has endless scores")
        assert told["verdict"] == ("QUIET" if repaired else told["verdict"]), told
        took_s = (done - before - told["in_line_ns"]) / 1e9
        assert took_s < 3 + 1 + 3  # the wait, its grace, and a Python that starts
        timed_ms = {"L2": (told["waited_ms"], 4000.0)}
        note = f"{told['verdict']}, epoch {told['epoch']}"
        row(pair, f"engage while {broken}", "S13 L1 L2", timed_ms=timed_ms, note=note)
        pair.raw("ZREM", f"{_P}:workers", "ghost", "other")
        pair.control.init()
    sound(pair)


RIGHTS: dict[str, str] = {
    "may not write the audit": "%R~killswitch:audit ~killswitch:[slow]*",
    "may not write the ledger": "%R~killswitch:ledger ~killswitch:[saow]*",
    "may write nothing but the state": "%R~killswitch:* ~killswitch:state",
    "may do nothing but SET the state": "~killswitch:state -@all +set +hello",
}


@prop("S13", "P1", "P10", "L1")
@pytest.mark.parametrize("rights", RIGHTS)
def test_engaging_works_for_who_may_write_nothing_but_the_state(pair: World, rights: str) -> None:
    """What the operator's user may not record is recorded by the workers' beats; the stop itself needs one right."""
    with pair.trying():
        pair.raw("ACL", "SETUSER", "trip", "reset", "on", ">pw", "&*", "+@all", *RIGHTS[rights].split())
        before = clock.now_ns()
        told = press(pair, user="trip:pw")
        done = clock.now_ns()
        pair.void(before, done, "engage")
        assert told["code"] == 0, told
        pair.all_closed(done)
        assert pair.raw("GET", STATE) == "ENGAGED broken"
        entry = _recorded(pair)
        row(pair, f"engage by a user who {rights}", "S13 P10", note=f"recorded as {entry.via} by {entry.actor}")
        pair.raw("ACL", "DELUSER", "trip")
    sound(pair)


def _recorded(world: World) -> Any:
    """The audit entry of the stop, once there is one."""
    end = clock.now_ns() + 10_000_000_000
    while True:
        try:
            entries = [entry for entry in world.control.audit(1) if entry.after == "ENGAGED broken"]
        except KillSwitchError:
            entries = []
        if entries:
            return entries[0]
        assert clock.now_ns() < end, "nobody recorded the stop"
        clock.sleep(0.02)
