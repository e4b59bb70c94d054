"""A connection that is given so much time and no more, for a whole series of commands.

Invariant: no command begins after the end of that time and none outlasts it, so the series ends in time whatever Redis
does; who runs out of time learns it as StoreUnavailable, as with any other silence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint
from killswitch.core.lease import surely_passed_ms
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.keys import Keys
from killswitch.store.switch import Durability, SwitchStore, as_text
from killswitch.store.wire import Wire

__all__ = ["Bounded", "durability", "split_brain_ms"]

_REPLICA_WAIT_MS = 200
_DURABILITY_S = 0.4
_SPLIT_S = 0.2


class Bounded:
    """`wire` as a caller until `until_ns` (`clock.now_ns`); one command takes at most `step_s`."""

    def __init__(self, wire: Wire, until_ns: int, step_s: float) -> None:
        self._wire = wire
        self._until_ns = until_ns
        self._step_s = step_s

    def call(self, *args: str | bytes | int) -> object:
        """See `Caller.call`."""
        self._limit()
        return self._wire.call(*args)

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """See `Caller.call_many`."""
        self._limit()
        return self._wire.call_many(commands)

    def _limit(self) -> None:
        left_s = (self._until_ns - now_ns()) / 1e9
        if left_s <= 0:
            raise StoreUnavailable(Code.NO_ANSWER, f"{self._wire.peer} took too long")
        self._wire.timeout_s = min(self._step_s, left_s)


def durability(wire: Wire, keys: Keys) -> Durability | None:
    """How durable the last change on `wire` is; None where Redis does not say it soon. The change is made: who waits
    for the proof of it must not wait for this."""
    caller = Bounded(wire, now_ns() + int(_DURABILITY_S * 1e9), _DURABILITY_S)
    try:
        return SwitchStore(caller, keys).durability(_REPLICA_WAIT_MS)
    except StoreUnavailable:
        return None


def split_brain_ms(reach: Callable[[int], Wire], endpoint: Endpoint) -> int | None:
    """For how long after a fail-over, on this host's clock, a master that was cut off may go on answering its side:
    until it misses its replicas, `min-replicas-max-lag` and the second in which it looks, on its own clock. 0 where
    there is one server only; None where nothing bounds it, or that cannot be read soon: then no lease can be said to
    have run out.

    `reach` makes a connection by a time (`clock.now_ns`). It is taken for granted that all servers are set up alike.
    """
    if not endpoint.by_sentinel:
        return 0
    until_ns = now_ns() + int(_SPLIT_S * 1e9)
    try:
        with contextlib.closing(reach(until_ns)) as wire:
            found = Bounded(wire, until_ns, _SPLIT_S).call("CONFIG", "GET", "min-replicas-*")
    except (StoreUnavailable, StoreRefused):
        return None
    told = {as_text(name): as_text(value) for name, value in found.items()} if isinstance(found, dict) else {}
    wanted, lag_s = told.get("min-replicas-to-write", ""), told.get("min-replicas-max-lag", "")
    bounded = wanted.isdigit() and lag_s.isdigit() and int(wanted) > 0 and int(lag_s) > 0
    return surely_passed_ms((int(lag_s) + 1) * 1000) if bounded else None
