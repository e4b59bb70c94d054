"""The truth about the state keys of one server, put on record each time it changes.

It reads the key space itself and not through any function of the product. A value is `recorded` when the ledger names
this very value; then the event carries the ledger's epoch, otherwise 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.history.events import History
from tests.simulation.kernel import MS, Kernel
from tests.simulation.server import SimRedis
from tests.simulation.store import Value, type_name

__all__ = ["LEDGER", "PREFIX", "SWITCH", "Observer", "state_key"]

PREFIX = "ks"
LEDGER = f"{PREFIX}:ledger".encode()
SWITCH = "switch"


def state_key(scope: str) -> bytes:
    """The key of the switch or of a scope."""
    return f"{PREFIX}:state".encode() if scope == SWITCH else f"{PREFIX}:state:{scope}".encode()


class _Seen(NamedTuple):
    value: object
    ends: int | None
    recorded: bool
    epoch: int

    def mode(self, scope: str) -> str:
        if self.value in (b"SAFE", b"REDUCING"):
            return str(self.value, "ascii")
        return "SAFE" if self.value is None and scope != SWITCH else "ENGAGED"


def _token(value: Value | None, ends: int | None) -> bytes:
    if value is None:
        return b"absent"
    if not isinstance(value, bytes):
        return b"type:" + type_name(value)
    return b"=" + value + (b"@%d" % ends if ends is not None else b"")


class Observer:
    """Looks at the switch and at `scopes` on the server called `name`."""

    def __init__(
        self, kernel: Kernel, history: History, name: str, scopes: tuple[str, ...], now_ms: Callable[[], int]
    ) -> None:
        self._kernel = kernel
        self._history = history
        self._name = name
        self._now_ms = now_ms
        self._keys = {
            scope: (state_key(scope), f"{scope}:token".encode(), f"{scope}:epoch".encode())
            for scope in (SWITCH, *scopes)
        }
        self.keys = frozenset([LEDGER, *(key for key, _, _ in self._keys.values())])  # all that it looks at
        self._last: dict[str, _Seen] = {}
        self._redis: SimRedis | None = None  # the process on this host now
        self._told: dict[str, int] = {}  # the highest epoch on record here
        self._undone: dict[str, int] = {}  # an epoch whose value came back by hand before anybody recorded the change

    def _see(self, redis: SimRedis, scope: str) -> _Seen:
        store = redis.store
        key, token, epoch = self._keys[scope]
        ends = store.ends.get(key)
        value = store.values.get(key)
        if ends is not None and self._now_ms() > ends:
            value = ends = None
        ledger = store.values.get(LEDGER)
        known = ledger if type(ledger) is dict else {}
        return _Seen(value, ends, known.get(token) == _token(value, ends), int(known.get(epoch, b"0")))

    def begin(self, redis: SimRedis) -> None:
        """Another process with its own data: what it holds is not a permission, and what changes from here on is."""
        self._redis = redis
        redis.store.begin(0)
        for scope in self._keys:
            seen = self._last[scope] = self._see(redis, scope)
            if scope != SWITCH:
                self._tell(scope, seen, "fault", None)

    def lose(self, why: str) -> None:
        """From here on the server's permissions are void."""
        self._told.clear()
        self._undone.clear()
        # A moment earlier, so that what is given at this very moment is not void.
        self._history.add("lost", self._kernel.now - 1, server=self._name, why=why)

    def look(self, redis: SimRedis, words: list[bytes] | None, via: str = "raw") -> None:
        """After a command (None: it was refused), or after anything else that may have changed a key."""
        self._redis = redis
        redis.store.begin(0)
        for scope, (key, _, _) in self._keys.items():
            seen, last = self._see(redis, scope), self._last.get(scope)
            if seen == last:
                continue
            self._last[scope] = seen
            looked = _looked(words, key, last, scope) if words else None
            self._tell(scope, seen, via, looked)
            if seen.ends is not None:
                self._kernel.at(self._kernel.now + max(seen.ends + 1 - self._now_ms(), 0) * MS, self._ended, redis)

    def _ended(self, redis: SimRedis) -> None:
        if redis is self._redis:
            self.look(redis, None, "expiry")

    def _tell(self, scope: str, seen: _Seen, via: str, looked: int | None) -> None:
        now = self._kernel.now
        epoch = seen.epoch if seen.recorded else 0
        if looked is not None and looked == self._undone.get(scope):
            looked = None  # the record does not show the change by hand that was undone by hand
        self._undone.pop(scope, None)
        if epoch and epoch == self._told.get(scope):
            self._undone[scope], epoch = epoch, 0
        self._told[scope] = max(epoch, self._told.get(scope, 0))
        self._history.add(
            "state",
            now,
            server=self._name,
            scope=scope,
            mode=seen.mode(scope),
            epoch=epoch,
            via=via,
            looked=looked,
            from_t=now,
        )


def _looked(words: list[bytes], key: bytes, last: _Seen | None, scope: str) -> int | None:
    """The epoch that a conditional command named, where it was one and its condition applied."""
    if len(words) < 5 or words[0].upper() != b"FCALL" or words[3] != key:
        return None
    if words[1] == b"ks_reset":
        return int(words[4])
    loosens = last is not None and last.mode(scope) == "ENGAGED"
    if words[1] == b"ks_reduce" and loosens and len(words) > 6 and words[6].isdigit():
        return int(words[6])
    return None
