"""Faults of the two connections of an agent, made by the server; those of the network between are in test_lines."""

from __future__ import annotations

from killswitch import Code
from tests.faults.fault import Closes, Fault
from tests.faults.trader import PATIENCE_S
from tests.faults.world import USER, World
from tests.support.agents import kill_client
from tests.support.waiting import eventually

__all__ = ["CONNECTIONS"]

_ENDED = frozenset({Code.DISCONNECTED, Code.UNREACHABLE})
_NAMES = ("killswitch-push", "killswitch-ask")


def _ids(world: World, name: str) -> set[str]:
    lines = str(world.raw("CLIENT", "LIST")).splitlines()
    fields = [dict(pair.partition("=")[::2] for pair in line.split()) for line in lines]
    return {entry["id"] for entry in fields if entry["name"] == name}


def _made_anew(now: set[str], before: set[str], count: int) -> bool:
    return len(now) == count and not now & before


def _killed(name: str, *killed: str) -> Fault:
    def inject(world: World) -> None:
        world.before = {name: _ids(world, name) for name in _NAMES}
        if killed:
            assert kill_client(world.switch, *killed) > 0
        else:
            world.raw("CLIENT", "KILL", "USER", USER)

    def heal(world: World) -> None:
        """Whoever lost one of its two gives up the other as well, and makes both anew."""
        everybody = len(world.traders) + len(world.engines)
        for name, ids in world.before.items():
            eventually(
                lambda name=name, ids=ids: _made_anew(_ids(world, name), ids, everybody),  # type: ignore[misc]
                timeout_s=PATIENCE_S,
                why=f"every {name} is made anew",
            )

    return Fault(f"CLIENT KILL of {name}", "P3 L4", inject, _ENDED, heal, closes=Closes.AT_MOST_A_MOMENT, core=True)


def _no_room(world: World) -> None:
    """Only who is connected stays; and then nobody else is. One line is kept, to make room again."""
    line = world.switch.line()
    world.held.append(line)
    line.call("CONFIG", "SET", "maxclients", 1)
    line.call("CLIENT", "KILL", "USER", USER)


def _room_again(world: World) -> None:
    with world.held.pop() as line:
        line.call("CONFIG", "SET", "maxclients", 10_000)


CONNECTIONS = [
    Fault(
        "no room for clients",
        "P3 S2 S4 L4",
        _no_room,
        frozenset({Code.REDIS_MAXCLIENTS}),
        _room_again,
        others=_ENDED,
        core=True,
    ),
    _killed("the push connections", "killswitch-push"),
    _killed("the ask connections", "killswitch-ask"),
    _killed("both at once"),
]
