"""Faults of what lies in the server: the switch and its record deleted, moved, replaced, made nonsense of."""

from __future__ import annotations

from killswitch import Code, clock
from tests.faults.engines import SCOPE
from tests.faults.fault import Closes, Fault, Step
from tests.faults.world import World
from tests.support.switch import STATE
from tests.support.waiting import eventually

__all__ = ["CONTENTS"]

_MISSING = frozenset({Code.STATE_MISSING})
_WRONG_TYPE = frozenset({Code.STATE_WRONG_TYPE})
_NONSENSE = frozenset({Code.STATE_UNRECOGNISED})
_ANEW = frozenset({Code.ENGAGED, Code.INCARNATION_CHANGED})
_LEDGER = "killswitch:ledger"
_SCOPE_KEY = f"{STATE}:{SCOPE}"


def does(*words: str | bytes | int) -> Step:
    """One command."""
    return lambda world: world.raw(*words)


def _atomically(*commands: tuple[str, ...]) -> Step:
    def inject(world: World) -> None:
        with world.switch.line() as line:
            line.call("MULTI")
            for command in commands:
                line.call(*command)
            line.call("EXEC")

    return inject


def _list_in_its_place(world: World) -> None:
    world.raw("RPUSH", "other", "SAFE")
    world.raw("RENAME", "other", STATE)


def _elsewhere_and_back(world: World) -> None:
    """The swap of two databases changes every value and tells nobody; here it is undone as well."""
    world.raw("SWAPDB", 0, 1)


def _moved(world: World) -> None:
    assert world.raw("MOVE", STATE, 1) == 1


def _evicted(world: World) -> None:
    """Memory runs out, and the server makes room by forgetting keys: the switch among them."""
    world.switch.config_set("maxmemory-policy", "allkeys-lru")
    world.switch.config_set("maxmemory", "1")
    eventually(lambda: world.raw("EXISTS", STATE) == 0, why="the state is evicted")


def _room_again(world: World) -> None:
    world.switch.config_set("maxmemory", "0")
    world.switch.config_set("maxmemory-policy", "noeviction")


def _runs_out(world: World) -> None:
    """Trading is permitted for 250 ms from now on; the end of that is told by no answer."""
    world.raw("PEXPIRE", STATE, 250)
    clock.sleep(0.25)


def _content(name: str, inject: Step, codes: frozenset[Code], *, heal: Step | None = None, core: bool = False) -> Fault:
    """Something under the key other than what was permitted: told before the command is answered."""
    return Fault(
        name,
        "P2 P5 S4",
        inject,
        codes,
        heal or (lambda _: None),
        closes=Closes.ANNOUNCED,
        void=True,
        # A reset names the epoch that a beat gave to what was found; a lost server is not involved.
        core=core,
    )


def _of_scope(name: str, command: tuple[str, ...], code: Code, *, core: bool = False) -> Fault:
    """A part of the fleet, and everybody here belongs to it; without its key it follows the switch again."""
    return Fault(
        name,
        "P2 P5 S4 S14",
        does(*command),
        frozenset({code}),
        lambda world: world.raw("DEL", _SCOPE_KEY),
        closes=Closes.ANNOUNCED,
        core=core,
    )


CONTENTS = [
    _content("SET of another text", does("SET", STATE, "safe"), _NONSENSE, core=True),
    _content("SET of an empty text", does("SET", STATE, ""), _NONSENSE),
    _content("SET with a blank behind", does("SET", STATE, "SAFE "), _NONSENSE),
    _content("SET of bytes", does("SET", STATE, bytes(range(256))), _NONSENSE),
    _content("SET of eight megabytes", does("SET", STATE, b"SAFE" + b"\0" * (8 << 20)), _NONSENSE, core=True),
    _content("APPEND", does("APPEND", STATE, "!"), _NONSENSE),
    _content("SETRANGE", does("SETRANGE", STATE, 1, "a"), _NONSENSE),
    _content("SETBIT far out", does("SETBIT", STATE, 1 << 20, 1), _NONSENSE),
    _content("GETDEL", does("GETDEL", STATE), _MISSING),
    _content("DEL", does("DEL", STATE), _MISSING, core=True),
    _content("UNLINK", does("UNLINK", STATE), _MISSING),
    _content("RENAME away", does("RENAME", STATE, "elsewhere"), _MISSING, core=True),
    _content("MOVE to another database", _moved, _MISSING, heal=lambda w: _in_another(w, "FLUSHDB", number=1)),
    _content("PEXPIREAT in the past", does("PEXPIREAT", STATE, 1), _MISSING),
    _content("a list in its place", _list_in_its_place, _WRONG_TYPE, core=True),
    _content("a hash in its place", _atomically(("DEL", STATE), ("HSET", STATE, "SAFE", "SAFE")), _WRONG_TYPE),
    Fault(
        "EXPIRE",
        "P5 S2 S4",
        _runs_out,
        frozenset({Code.PERMISSION_EXPIRED, Code.STATE_MISSING}),
        closes=Closes.ANNOUNCED,
        void=True,
        until=_MISSING,
        core=True,
    ),
    _of_scope("scope engaged by hand", ("SET", _SCOPE_KEY, "ENGAGED by hand"), Code.SCOPE_ENGAGED, core=True),
    _of_scope("scope of another text", ("SET", _SCOPE_KEY, "Safe"), Code.STATE_UNRECOGNISED),
    _of_scope("a list in place of a scope", ("RPUSH", _SCOPE_KEY, "SAFE"), Code.STATE_WRONG_TYPE),
    # Announced as well, but some microseconds after the answer to the command.
    Fault("FLUSHALL", "P3 P5 S4", does("FLUSHALL"), _MISSING, void=True, core=True),
    Fault("FLUSHDB", "P3 P5 S4", does("FLUSHDB"), _MISSING, void=True),
    Fault("FLUSHDB ASYNC", "P3 P5 S4", does("FLUSHDB", "ASYNC"), _MISSING, void=True),
    Fault(
        "SWAPDB and back",
        "P3 P5 P9 S5",
        _elsewhere_and_back,
        _MISSING,
        _elsewhere_and_back,
        void=True,
        until=frozenset({Code.EPOCH_BEHIND}),
        core=True,
    ),
    Fault(
        "everything evicted",
        "P3 P4 P5 S4",
        _evicted,
        frozenset({Code.STATE_MISSING, Code.REDIS_OOM}),
        _room_again,
        void=True,
        until=_MISSING,
        refuses="OOM",
        core=True,
    ),
    Fault("ledger deleted", "P9 P10 S4", does("DEL", _LEDGER), _ANEW, void=True, core=True),
    Fault(
        "ledger of another type",
        "P9 P10 S4",
        _atomically(("DEL", _LEDGER), ("SADD", _LEDGER, "x")),
        _ANEW,
        void=True,
    ),
    Fault(
        "FLUSHDB of another database",
        "L4",
        lambda world: _in_another(world, "FLUSHDB"),
        frozenset(),
        closes=Closes.AT_MOST_A_MOMENT,
        core=True,
    ),
    Fault("DEBUG RELOAD", "L4", does("DEBUG", "RELOAD"), frozenset(), closes=Closes.AT_MOST_A_MOMENT, core=True),
    Fault(
        "SET SAFE again",
        "P10 L5",
        does("SET", STATE, "SAFE"),
        frozenset(),
        closes=Closes.AT_MOST_A_MOMENT,
    ),
    Fault(
        "membership deleted",
        "P6 L4",
        does("DEL", "killswitch:workers"),
        frozenset(),
        closes=Closes.AT_MOST_A_MOMENT,
    ),
]


def _in_another(world: World, *words: str, number: int = 3) -> None:
    with world.switch.line() as line:
        line.call("SELECT", number)
        line.call(*words)
