"""Measures the line to a server: announcement against answer, clock against clock, the time of a renewal.

Invariant: what is written is written under `<prefix>:preflight:<chance>` and nowhere else, so no gate hears of it; each
write has a time to live of seconds, and the key is taken away in the end. Whatever the server does, each measurement
ends in the time it was given.
"""

from __future__ import annotations

import contextlib
import secrets
import select
from collections.abc import Iterator, Sequence

from killswitch.clock import now_ns, sleep, wall_ms
from killswitch.core.checks.facts import ClockFacts, PushFacts, ReplicaFacts, TripFacts
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.channel import open_channel
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys
from killswitch.store.wire import Push, Wire, connect

__all__ = ["ClockProbe", "measure_pushes", "measure_replicas", "measure_trips", "probe_key", "try_write"]

_NAME = "killswitch-preflight"
_KEY_LIFE_MS = 10_000
_ROUNDS = 300
_LISTENERS = _SETTERS = 2
_LOST_S = 1.0
_TRIPS = 200
_SAMPLES = 8
_REPLICA_WAIT_MS = 500
_NS_PER_US = 1000
_LEAST_ERROR_NS = 2 * _NS_PER_US
"""TIME counts whole microseconds."""


def probe_key(keys: Keys) -> str:
    """A key that nobody else uses, apart from everything that gates listen to."""
    return f"{keys.prefix}:preflight:{secrets.token_hex(6)}"


def try_write(caller: Caller, key: str) -> StoreRefused | None:
    """Writes the probe key; why not, or None. Raises StoreUnavailable."""
    try:
        caller.call("SET", key, "1", "PX", _KEY_LIFE_MS)
    except StoreRefused as error:
        return error
    return None


def measure_replicas(caller: Caller, key: str, replicas: int, timeout_s: float) -> ReplicaFacts:
    """Whether the replicas follow, after one more write of the probe key. The server waits for them for less than
    `timeout_s`, which is how long its answer is waited for. Raises StoreUnavailable, StoreRefused."""
    begun = now_ns()
    caller.call("SET", key, "2", "PX", _KEY_LIFE_MS)
    try:
        found = caller.call("WAIT", replicas, min(_REPLICA_WAIT_MS, int(timeout_s * 500)))
    except StoreRefused:
        return ReplicaFacts(replicas, None, 0.0)
    return ReplicaFacts(replicas, found if isinstance(found, int) else None, (now_ns() - begun) / 1e6)


# ---- the announcement beside the answer ----


def measure_pushes(endpoint: Endpoint, key: str, wanted: str, timeout_s: float, limit_s: float) -> PushFacts:
    """Which rung a worker would get and, on the best one, whether each change of the probe key is announced before it
    is answered; within about `limit_s` seconds. Raises StoreUnavailable, StoreRefused."""
    channel = open_channel(endpoint, (key,), wanted, timeout_s)
    channel.close()
    if channel.rung != "bcast":
        return PushFacts(channel.rung)
    with contextlib.ExitStack() as stack:
        # Two of each: a server with several threads gives them to different ones.
        wires = [
            stack.enter_context(contextlib.closing(connect(endpoint, timeout_s, _NAME)))
            for _ in range(_LISTENERS + _SETTERS)
        ]
        listeners, setters = wires[:_LISTENERS], wires[_LISTENERS:]
        for wire in listeners:
            wire.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key)
        return _rounds(listeners, setters, key, now_ns() + int(limit_s * 1e9))


def _rounds(listeners: Sequence[Wire], setters: Sequence[Wire], key: str, until_ns: int) -> PushFacts:
    late = lost = rounds = 0
    worst_ns = 0
    trips: list[int] = []
    while rounds < _ROUNDS and now_ns() < until_ns and not lost:
        sent_ns = now_ns()
        setters[rounds % len(setters)].call("SET", key, str(rounds), "PX", _KEY_LIFE_MS)
        # From here on the operator has seen +OK: what is not readable at this moment would let a check pass.
        waiting = [wire for wire in listeners if not _readable(wire, 0)]
        ok_ns = now_ns()
        trips.append(ok_ns - sent_ns)
        rounds += 1
        late += bool(waiting)
        for wire in listeners:
            if not _announced(wire, key, ok_ns):
                lost = 1
        if waiting:
            worst_ns = max(worst_ns, now_ns() - ok_ns)
    trip_us = _quantile(trips, 0.5) / _NS_PER_US
    return PushFacts("bcast", rounds, late, lost, worst_ns / _NS_PER_US, trip_us)


def _readable(wire: Wire, wait_ms: float) -> bool:
    poll = select.poll()
    poll.register(wire.fileno(), select.POLLIN)
    return bool(poll.poll(wait_ms))


def _announced(wire: Wire, key: str, since_ns: int) -> bool:
    """Reads until the change of the key was announced, for a bounded time."""
    while (left_s := _LOST_S - (now_ns() - since_ns) / 1e9) > 0:
        push = wire.wait_push(left_s)
        if push is not None and _names(push, key):
            return True
    return False


def _names(push: Push, key: str) -> bool:
    match list(push):
        case [b"invalidate", [*names]]:
            return key.encode() in names
    return False


# ---- time ----


class ClockProbe:
    """This host's clock beside the server's, from the first look to the last. Used on one connection."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._first = self._look()

    def finish(self, least_s: float) -> ClockFacts:
        """The rate between the first look and now, at least `least_s` seconds later. Raises StoreUnavailable."""
        left_s = least_s - (now_ns() - self._first[0]) / 1e9
        if left_s > 0:
            sleep(left_s)
        (begun_ns, server_then_us, trip_then), (ended_ns, server_now_us, trip_now) = self._first, self._look()
        ours = ended_ns - begun_ns
        theirs = (server_now_us - server_then_us) * _NS_PER_US
        error = ((trip_then + trip_now) / 2 + _LEAST_ERROR_NS) / ours
        return ClockFacts((theirs - ours) / ours, error, ours / 1e6, server_now_us / 1000 - wall_ms())

    def _look(self) -> tuple[int, int, int]:
        """Our time in the middle of the shortest of some round trips, the server's, and how long that trip took."""
        best: tuple[int, int, int] | None = None
        for _ in range(_SAMPLES):
            sent_ns = now_ns()
            found = self._caller.call("TIME")
            took = now_ns() - sent_ns
            match found:
                case [bytes(seconds), bytes(micros)] if seconds.isdigit() and micros.isdigit():
                    server_us = int(seconds) * 1_000_000 + int(micros)
                case _:
                    raise StoreUnavailable(Code.BAD_ANSWER, "TIME was answered with something else")
            if best is None or took < best[2]:
                best = (sent_ns + took // 2, server_us, took)
        assert best is not None
        return best


def measure_trips(caller: Caller, keys: Keys, with_library: bool, limit_s: float) -> TripFacts:
    """How long a renewal takes, over some hundred of them or `limit_s` seconds. Raises StoreUnavailable."""
    until_ns = now_ns() + int(limit_s * 1e9)
    words: tuple[str | int, ...] = ("FCALL", "ks_read", 1, keys.state, 0) if with_library else ("EXISTS", keys.state)
    trips: list[int] = []
    while len(trips) < _TRIPS and (not trips or now_ns() < until_ns):
        sent_ns = now_ns()
        with contextlib.suppress(StoreRefused):  # a refusal takes the same way
            caller.call(*words)
        trips.append(now_ns() - sent_ns)
    p50, p99, worst = (_quantile(trips, share) / _NS_PER_US for share in (0.5, 0.99, 1.0))
    return TripFacts(p50, p99, worst, len(trips), "a renewal" if with_library else "a question")


def _quantile(values: Sequence[int], share: float) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0


@contextlib.contextmanager
def removed_afterwards(caller: Caller, key: str) -> Iterator[None]:
    """Takes the probe key away in the end, as well as it can be; it ends by itself soon anyway."""
    try:
        yield
    finally:
        with contextlib.suppress(StoreRefused, StoreUnavailable):
            caller.call("DEL", key)
