"""Faults of a server that answers late, not at all, or that is gone."""

from __future__ import annotations

from killswitch import Code, clock
from tests.faults.fault import Closes, Fault, Step
from tests.faults.world import World
from tests.support.resp import ReplyError, encode

__all__ = ["SILENCES"]

_SHORT_S = 0.06  # of a patience of 0.2 s
_LONG_MS = 3000  # of what ends by itself: more than a lease and what a busy machine may add, less than a line's limit
_UNTIL_HEALED_MS = 60_000
_SILENT = frozenset({Code.NO_ANSWER, Code.LEASE_EXPIRED, Code.UNREACHABLE})
_GONE = frozenset({Code.UNREACHABLE, Code.DISCONNECTED})
_LOADING = frozenset({Code.REDIS_LOADING})  # said by one that starts, until it has read its data
_ANEW = frozenset({Code.ENGAGED, Code.INCARNATION_CHANGED})
_UNANSWERED_S = 0.03

BUSY_FOR = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local from = ms()
repeat until ms() - from > %d
return 'done'
"""


def occupied(world: World, *words: str | bytes | int) -> None:
    """Sends a command that keeps the server busy; returns once it answers nobody else as usual."""
    line = world.switch.line()
    world.held.append(line)
    with world.switch.line() as probe:
        for one in (line, probe):  # both are accepted before the server is too busy for that
            assert one.call("PING") == "PONG"
        line.socket.sendall(encode(*words))
        probe.socket.settimeout(_UNANSWERED_S)
        for _ in range(100):
            try:
                probe.call("PING")
            except (TimeoutError, ReplyError):
                return
            clock.sleep(0.001)
    raise AssertionError(f"{words[0]!r} did not keep the server busy")


def released(world: World) -> None:
    """Waits until the server has answered what kept it busy, and answers others."""
    while world.held:
        with world.held.pop() as line:
            try:
                line.read()
            except ReplyError:
                pass
    assert world.raw("PING") == "PONG"


def _script(world: World, ms: int, busy_after_ms: int) -> None:
    world.switch.config_set("busy-reply-threshold", str(busy_after_ms))
    occupied(world, "EVAL", BUSY_FOR % ms, 0)


def _function(world: World) -> None:
    world.switch.config_set("busy-reply-threshold", "50")
    body = "#!lua name=endless\nredis.register_function('endless', function() while true do end end)"
    world.raw("FUNCTION", "LOAD", "REPLACE", body)
    occupied(world, "FCALL", "endless", 0)


def _function_killed(world: World) -> None:
    world.raw("FUNCTION", "KILL")
    released(world)
    world.raw("FUNCTION", "DELETE", "endless")


def _short_stop(world: World) -> None:
    world.switch.sigstop()
    clock.sleep(_SHORT_S)
    world.switch.sigcont()


def _many_keys(world: World) -> None:
    """A look for keys among very many, several times at one go, by a neighbour in another database."""
    with world.switch.line() as line:
        line.call("SELECT", 5)
        line.call("DEBUG", "POPULATE", 200_000, "crowd", 8)
        line.socket.sendall(encode("KEYS", "nothing-like-it-*") * 8)
        for _ in range(8):
            line.read()
        line.call("FLUSHDB")


def _paused(how: str, ms: int, heal: Step) -> Fault:
    def inject(world: World) -> None:
        world.raw("CLIENT", "PAUSE", ms, how)

    return Fault(f"CLIENT PAUSE {how}", "P3 P4 S2", inject, _SILENT, heal, core=True)


def _script_killed(world: World) -> None:
    world.raw("SCRIPT", "KILL")
    released(world)


def _killed(world: World) -> None:
    world.switch.kill9()


SILENCES = [
    Fault("server frozen", "P3 S2", lambda w: w.switch.sigstop(), _SILENT, lambda w: w.switch.sigcont(), core=True),
    Fault("server frozen for a moment", "L7", _short_stop, frozenset(), closes=Closes.AT_MOST_A_MOMENT, core=True),
    Fault("DEBUG SLEEP", "P3 S2", lambda w: occupied(w, "DEBUG", "SLEEP", f"{_LONG_MS / 1000:g}"), _SILENT, released),
    Fault("slow script, held", "P3 P4 S2", lambda w: _script(w, _LONG_MS, 10_000), _SILENT, released),
    Fault(
        "slow script, busy",
        "P3 P4 S2",
        lambda w: _script(w, _UNTIL_HEALED_MS, 50),
        frozenset({Code.REDIS_BUSY}),
        _script_killed,
        others=_SILENT,
        refuses="BUSY",
        core=True,
    ),
    Fault(
        "endless function",
        "P3 P4 S2",
        _function,
        frozenset({Code.REDIS_BUSY}),
        _function_killed,
        others=_SILENT,
        refuses="BUSY",
    ),
    Fault("KEYS on many keys", "P3 L4", _many_keys, _SILENT, closes=Closes.AT_MOST_A_MOMENT),
    # Who asks for the end of a pause of everything is paused too; its next answer comes when it is over.
    _paused("ALL", _LONG_MS, lambda w: w.raw("SET", "unrelated", "1")),
    _paused("WRITE", _UNTIL_HEALED_MS, lambda w: w.raw("CLIENT", "UNPAUSE")),
    Fault(
        "server killed",
        "P3 P9 S2",
        _killed,
        _GONE,
        lambda w: w.switch.restart(),
        void=True,
        until=_ANEW,
        others=_LOADING,
        core=True,
    ),
    Fault(
        "server killed, its memory lost",
        "P3 P5 P9 S4",
        _killed,
        _GONE,
        lambda w: w.switch.restart(wipe=True),
        void=True,
        until=frozenset({Code.LIBRARY_MISSING}),
        others=frozenset({Code.STATE_MISSING}),  # by who looks while `init` is between the library and the state
        core=True,
    ),
    Fault(
        "server restarted at once",
        "P9 S9",
        lambda w: w.switch.restart(),
        _ANEW,
        closes=Closes.LEASE,
        void=True,
        others=_GONE | _LOADING,
    ),
]
