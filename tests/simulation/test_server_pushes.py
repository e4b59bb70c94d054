"""What the simulated server writes to others, and whether before or after the reply, is what a real one does.

Of two sockets with data, epoll names the one first that became readable first: so a real server's order of writing can
be seen without a look inside.
"""

from __future__ import annotations

import contextlib
import select
from typing import Any

import pytest

from killswitch.store.functions import library_source
from tests.simulation.differential import Line, Pair, compare, outcome
from tests.simulation.server import NO_REPLY, SimRedis, SimSession
from tests.simulation.steps import STATE, Words
from tests.support.server import RealServer

SOURCE = library_source()
PERMITTED: list[Words] = [("FCALL", "ks_engage", 1, STATE), ("FCALL", "ks_reset", 1, STATE, 1)]
COMMANDS: dict[str, Words] = {
    "SET": ("SET", STATE, "ENGAGED"),
    "SET of the same": ("SET", STATE, "SAFE"),
    "SET NX in vain": ("SET", STATE, "SAFE", "NX"),
    "SET elsewhere": ("SET", "k:other", "x"),
    "SET of a scope": ("SET", STATE + ":a:1", "ENGAGED"),
    "DEL": ("DEL", STATE),
    "DEL of nothing": ("DEL", STATE + ":a:1"),
    "UNLINK": ("UNLINK", STATE),
    "RENAME away": ("RENAME", STATE, "k:other"),
    "RENAME within": ("RENAME", STATE, STATE + ":a:1"),
    "PEXPIRE": ("PEXPIRE", STATE, 100_000),
    "PEXPIRE at once": ("PEXPIRE", STATE, 0),
    "PERSIST in vain": ("PERSIST", STATE),
    "APPEND": ("APPEND", STATE, "x"),
    "LPUSH in vain": ("LPUSH", STATE, "x"),
    "GET": ("GET", STATE),
    "FLUSHALL": ("FLUSHALL",),
    "FLUSHDB": ("FLUSHDB",),
    "SWAPDB": ("SWAPDB", 0, 1),
    "FUNCTION FLUSH": ("FUNCTION", "FLUSH"),
    "engage": ("FCALL", "ks_engage", 1, STATE),
    "engage a scope": ("FCALL", "ks_engage", 1, STATE + ":a:1"),
    "reset in vain": ("FCALL", "ks_reset", 1, STATE, 1),
    "reduce": ("FCALL", "ks_reduce", 1, STATE),
    "read": ("FCALL", "ks_read", 1, STATE, "n"),
    "beat": ("FCALL", "ks_beat", 1, STATE, 1, "w1", 0, 0, 0, 60_000, 60_000, "i1"),
    "PUBLISH": ("PUBLISH", "k:acks", "text"),
    "PUBLISH to nobody": ("PUBLISH", "k:other", "text"),
    "leave": ("FCALL", "ks_leave", 1, STATE, "w1"),
}


class _Order:
    """In which order two lines became readable."""

    def __init__(self, lines: dict[str, Line]) -> None:
        self._names = {line.fileno(): name for name, line in lines.items()}
        self._epoll = select.epoll()
        for descriptor in self._names:
            self._epoll.register(descriptor, select.EPOLLIN)

    def seen(self) -> list[str]:
        return [self._names[descriptor] for descriptor, _ in self._epoll.poll(0)]

    def close(self) -> None:
        self._epoll.close()


def _wait(*lines: Line) -> None:
    for line in lines:
        assert select.select([line], [], [], 5.0)[0]


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_announcements_come_before_or_after_the_reply_as_a_real_server_writes_them(
    module_server: RealServer, words: Words
) -> None:
    """Changed keys are announced before the reply; a flush and a published message come after it."""

    def action(pair: Pair) -> None:
        subscribed = ("SUBSCRIBE", "k:acks")
        pair.ears.send(*subscribed)
        assert pair.server.execute(pair.hearer, subscribed) is NO_REPLY
        assert pair.ears.take_pushes() == [push for _, push, _ in pair.server.take_pushes()]
        for prepared in PERMITTED:
            pair.run(prepared)
        with contextlib.closing(_Order({"reply": pair.line, "push": pair.ears})) as order:
            pair.line.send(*words)
            simulated = outcome(pair.server, pair.session, words)
            pushes = [(push, before) for _, push, before in pair.server.take_pushes()]
            _wait(pair.line, *([pair.ears] if pushes else []))
            real_order = order.seen()
        real = pair.line.reply()
        assert isinstance(real, list) or real == simulated  # an answer with a time in it is compared elsewhere
        assert [push for push, _ in pushes] == pair.ears.take_pushes()
        assert {before for _, before in pushes} == ({real_order == ["push", "reply"]} if pushes else set())
        assert len(real_order) == 1 + bool(pushes)

    assert compare(module_server.socket_path, SOURCE, STATE, action)


@pytest.mark.parametrize("words", [COMMANDS["SET"], COMMANDS["FLUSHALL"], COMMANDS["engage"]])
def test_a_connection_hears_of_its_own_change_after_the_reply(module_server: RealServer, words: Words) -> None:
    """On the tracking connection itself the reply comes first."""

    def action(pair: Pair) -> None:
        pair.run(COMMANDS["SET of the same"])
        pair.ears.call(*words)
        assert pair.ears.pushes == []
        pair.server.execute(pair.hearer, words)
        pushes = pair.server.take_pushes()
        assert [(session, before) for session, _, before in pushes] == [(pair.hearer, False)]
        assert [push for _, push, _ in pushes] == pair.ears.take_pushes()

    assert compare(module_server.socket_path, SOURCE, STATE, action)


def _simulated() -> tuple[SimRedis, SimSession, list[int]]:
    clock = [1_700_000_000_000]
    server = SimRedis(run_id="a" * 40, replid="b" * 40, now_ms=lambda: clock[0], library=SOURCE)
    return server, server.session(), clock


def _tracking(server: SimRedis, *prefixes: str) -> SimSession:
    session = server.session()
    words = [word for prefix in prefixes for word in ("PREFIX", prefix)]
    server.execute(session, ("CLIENT", "TRACKING", "ON", "BCAST", *words))
    return session


def _announced(server: SimRedis) -> list[tuple[SimSession, list[Any]]]:
    return [(session, push) for session, push, _ in server.take_pushes()]


def test_every_tracking_connection_gets_one_message_for_each_of_its_prefixes() -> None:
    """Keys that a command changed under one prefix come together, sorted."""
    server, session, _ = _simulated()
    one, two, every = _tracking(server, "k:state"), _tracking(server, "k:o", "k:state:"), _tracking(server)
    server.execute(session, ("SET", "k:state:b", "x"))
    server.take_pushes()
    server.execute(session, ("RENAME", "k:state:b", "k:other"))
    assert _announced(server) == [
        (one, [b"invalidate", [b"k:state:b"]]),
        (two, [b"invalidate", [b"k:other"]]),
        (two, [b"invalidate", [b"k:state:b"]]),
        (every, [b"invalidate", [b"k:other", b"k:state:b"]]),
    ]


def test_a_dropped_connection_hears_nothing() -> None:
    """Tracking and subscriptions end with the connection."""
    server, session, _ = _simulated()
    gone = _tracking(server, "k:")
    server.execute(gone, ("SUBSCRIBE", "channel"))
    server.take_pushes()
    server.drop(gone)
    server.execute(session, ("SET", "k:state", "x"))
    assert server.execute(session, ("PUBLISH", "channel", "x")) == 0
    assert server.take_pushes() == []


def test_the_end_of_a_key_is_announced_when_it_is_noticed() -> None:
    """By the server's own round, or by the command that meets the key first, and once."""
    server, session, clock = _simulated()
    hearer = _tracking(server, "k:")
    for how in ("round", "command"):
        server.execute(session, ("SET", "k:state", "SAFE", "PX", 10))
        server.take_pushes()
        clock[0] += 10
        assert server.expire_due() == 0
        assert server.execute(session, ("GET", "k:state")) == b"SAFE"
        clock[0] += 1
        if how == "round":
            assert server.expire_due() == 1
        else:
            assert server.execute(session, ("GET", "k:state")) is None
        assert server.take_pushes() == [(hearer, [b"invalidate", [b"k:state"]], True)]
        assert server.expire_due() == 0
