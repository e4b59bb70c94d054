"""The push connection: how a worker learns that something changed before anybody tells it.

Invariant: on an armed channel "readable" means "something may have changed", and nothing else is ever received on it.
The watcher alone reads it, after it has closed the gate. Arming happens only while the gate is closed, and a question
is asked only after arming, so a change is either seen by the answer or announced on the channel. It fails closed: an
error is the end of the channel, and the end closes the gate.

The ladder of rungs, best first. bcast: Redis writes the announcement before it answers the operator's SET.
tracking: for servers without BCAST, one announcement per reading, about when the SET is answered (in some cases just
after). keyspace: announced after the SET was answered. polling: not announced; each renewal reads the value.
"""

from __future__ import annotations

from collections.abc import Sequence

from killswitch.core.answer import BadAnswer, parse_answer
from killswitch.core.endpoint import Endpoint
from killswitch.core.modes import DRILL
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.wire import Wire, connect

__all__ = ["LADDER", "PushChannel", "open_channel", "server_of"]

LADDER = ("bcast", "tracking", "keyspace", "polling")
_MAX_REARM = 100


class PushChannel:
    """An armed channel. `rung` says how changes are noticed; `fileno()` is -1 on the polling rung."""

    def __init__(self, rung: str, wire: Wire | None, keys: Sequence[str]) -> None:
        self.rung = rung
        self._wire = wire
        self._keys = tuple(keys)

    def fileno(self) -> int:
        """Descriptor to wait on, or -1 where there is none."""
        return -1 if self._wire is None else self._wire.fileno()

    def server(self) -> str | None:
        """Which server process announces, as `server_of` tells it; None on the polling rung. To be asked before the
        first question: announcements that come meanwhile are thrown away. Raises StoreUnavailable."""
        if self._wire is None:
            return None
        found = server_of(self._wire, self._keys[0])
        self._wire.pushes.clear()
        return found

    def drain(self) -> None:
        """Empties the channel and, on the tracking rung, arms it again. Raises StoreUnavailable at its end."""
        if self._wire is None:
            return
        self._wire.drain()
        if self.rung == "tracking":
            _read_keys(self._wire, self._keys)

    def close(self) -> None:
        """Closes this process's end, without shutdown."""
        if self._wire is not None:
            self._wire.close()


def server_of(wire: Wire, state_key: str) -> str:
    """The run id of the server at the other end; empty where it refuses the question, as it would a worker's. Raises
    StoreUnavailable."""
    try:
        return parse_answer(wire.call("FCALL", "ks_read", 1, state_key, 0), 1).run_id
    except (StoreRefused, BadAnswer):
        return ""


def _read_keys(wire: Wire, keys: Sequence[str]) -> None:
    """Reads every key once, that of drills too, so that its next change is announced; again while a change came in
    between."""
    for _ in range(_MAX_REARM):
        for key in (*keys, f"{keys[0]}:{DRILL}"):
            wire.call("EXISTS", key)
        wire.receive()  # an announcement right behind the last answer would otherwise lie unseen in the reader
        if not wire.pushes:
            return
        wire.pushes.clear()
    raise StoreUnavailable(Code.NO_ANSWER, "the state keys change faster than they can be read")


def _arm_keyspace(wire: Wire, db: int, state_key: str) -> None:
    found = wire.call("CONFIG", "GET", "notify-keyspace-events")
    flags = b"".join(found.values()) if isinstance(found, dict) else b""
    if b"K" not in flags or not (b"A" in flags or all(flag in flags for flag in (b"g", b"$", b"x"))):
        raise StoreRefused(Code.REDIS_REFUSED, "notify-keyspace-events does not announce all changes of a string key")
    wire.send("PSUBSCRIBE", f"__keyspace@{db}__:{state_key}*")
    if wire.wait_push(1.0) is None:
        raise StoreRefused(Code.REDIS_REFUSED, "the subscription was not confirmed")


def _arm(rung: str, wire: Wire, db: int, keys: Sequence[str]) -> None:
    if rung == "bcast":
        wire.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", keys[0])
    elif rung == "tracking":
        wire.call("CLIENT", "TRACKING", "ON")
        _read_keys(wire, keys)
    else:
        _arm_keyspace(wire, db, keys[0])
    wire.pushes.clear()


def open_channel(endpoint: Endpoint, keys: Sequence[str], wanted: str, timeout_s: float) -> PushChannel:
    """Opens and arms a channel for `keys` (the switch first) on the best rung, or on the `wanted` one and no lower.

    Raises:
        StoreUnavailable: no connection.
        StoreRefused: the wanted rung is not to be had, or the credentials were refused.
    """
    for rung in LADDER if wanted == "auto" else (wanted,):
        if rung == "polling":
            return PushChannel(rung, None, keys)
        # A fresh connection for each attempt: some servers hang up after an error, some keep half a registration.
        wire = connect(endpoint, timeout_s, "killswitch-push")
        try:
            _arm(rung, wire, endpoint.db, keys)
        except StoreRefused as error:
            wire.close()
            if wanted != "auto" or error.code not in (Code.REDIS_REFUSED, Code.REDIS_DENIED):
                raise
            continue
        except BaseException:
            wire.close()
            raise  # trouble on the way says nothing about what the server can do
        return PushChannel(rung, wire, keys)
    raise AssertionError("the ladder ends with polling")  # pragma: no cover
