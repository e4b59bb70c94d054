"""One engine runs once: a lease with a fencing token under the engine's name, in the queue's Redis.

Invariant: of two processes that ask `owns()` at the same moment at most one hears True. The lease is believed from
the moment its renewal was *sent*, and for a tenth less than Redis keeps it, so the holder stops believing before
anybody else can take it. Redis ends a record by its wall clock, which may jump: whoever takes an engine that was
not given back therefore acts only after a whole further life on its own clock, in which the former owner stops
believing. A lease that has run out is never revived: a worker that was paused and wakes finds it
gone for good. Written by the thread that renews; read by the trading loop, which compares one clock reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from killswitch import clock
from killswitch.clock import NS_PER_MS
from workers.scripts import script

__all__ = ["Holder", "Lease", "Ownership"]

_BELIEVED = 0.9
"""Part of the life in Redis for which the holder believes in it: room for clocks that run at different speed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an engine: `owner`, its `token`, and the milliseconds left in Redis."""

    owner: str
    token: int
    left_ms: int


class Lease:
    """The right to run one engine. Made by `Ownership.acquire`."""

    __slots__ = ("_from_ns", "_given_up", "_ownership", "_until_ns", "engine", "token")

    def __init__(self, ownership: Ownership, engine: str, token: int, until_ns: int, from_ns: int = 0) -> None:
        self._ownership = ownership
        self._from_ns = from_ns
        self._until_ns = until_ns
        self._given_up = False
        self.engine = engine
        self.token = token

    def owns(self) -> bool:
        """Whether this process may act for the engine now. False is final, but for the wait of `wait_s`."""
        return self._from_ns <= clock.now_ns() < self._until_ns

    def held(self) -> bool:
        """Whether the lease is kept, be it that its holder may not act yet. False is final."""
        return clock.now_ns() < self._until_ns

    def wait_s(self) -> float:
        """Seconds until a former owner that never gave the engine back has stopped for sure; 0.0 when none can act."""
        return max(0.0, (self._from_ns - clock.now_ns()) / 1e9)

    def renew(self) -> bool:
        """Prolongs the lease; False when it is lost, and then it stays lost.

        Raises:
            redis.RedisError: Redis did not answer; the lease goes on until its time is up.
        """
        sent_ns = clock.now_ns()
        if sent_ns >= self._until_ns or not self._ownership.renew(self.engine, self.token):
            self.drop()
            return False
        if clock.now_ns() >= self._until_ns:  # ran out while the answer was on its way: somebody may have acted on that
            self.drop()
            return False
        self._until_ns = sent_ns + self._ownership.believed_ns
        if self._given_up:  # another thread gave up meanwhile, and giving up is final
            self._until_ns = 0
        return not self._given_up

    def drop(self) -> None:
        """Stops believing in the lease, without a word to Redis."""
        self._given_up = True
        self._until_ns = 0

    def release(self) -> None:
        """Gives the engine back, if it is still ours. Raises redis.RedisError when Redis does not answer."""
        self.drop()
        self._ownership.release(self.engine, self.token, self.released_key())

    def released_key(self) -> str:
        """Where giving it back is noted: nowhere, '', as long as an owner before this one may still act."""
        return "" if self.wait_s() else self._ownership.released_key(self.engine)


class Ownership:
    """The ownership records as seen by one process named `owner`, each kept for `life_ms` without renewal."""

    def __init__(self, client: Redis, owner: str, *, prefix: str = "workers", life_ms: int = 10_000) -> None:
        self.owner = owner
        self.life_ms = life_ms
        self.believed_ns = int(life_ms * _BELIEVED * 1_000_000)
        self._prefix = prefix
        self._client = client
        self._acquire = script(client, "own_acquire")
        self._renew = script(client, "own_renew")
        self._release = script(client, "own_release")

    def key(self, engine: str) -> str:
        """Redis key of the record: a hash with owner and token, and a TTL."""
        return f"{self._prefix}:owner:{engine}"

    @property
    def tokens_key(self) -> str:
        """Redis key of the tokens given last."""
        return f"{self._prefix}:tokens"

    def released_key(self, engine: str) -> str:
        """Redis key of the token that was given back last."""
        return f"{self._prefix}:released:{engine}"

    def acquire(self, engine: str) -> Lease | Holder:
        """The lease of `engine`, or who holds it. Asking again under the same owner name gives a new token.

        When the last owner did not give the engine back, the lease is kept from now on but owns only after `life_ms`.

        Raises:
            redis.RedisError: Redis did not answer; the record may have been written and then runs out by itself.
        """
        sent_ns = clock.now_ns()
        keys = [self.key(engine), self.tokens_key, self.released_key(engine)]
        answer = self._acquire(keys, [engine, self.owner, self.life_ms])
        if answer[0] == 1:
            from_ns = 0 if answer[3] else clock.now_ns() + self.life_ms * NS_PER_MS
            return Lease(self, engine, int(answer[1]), sent_ns + self.believed_ns, from_ns)
        return Holder(_text(answer[2]), int(answer[1]), int(answer[3]))

    def holder(self, engine: str) -> Holder | None:
        """Who holds `engine` now. Raises redis.RedisError when Redis does not answer."""
        found = self._client.hgetall(self.key(engine))
        fields = {_text(key): _text(value) for key, value in found.items()}
        if not fields:
            return None
        left_ms = int(self._client.pttl(self.key(engine)))
        return Holder(fields["owner"], int(fields["token"]), left_ms)

    def renew(self, engine: str, token: int) -> bool:
        """Prolongs the record held under `token`; False when it is gone. Used by `Lease.renew`."""
        return bool(self._renew([self.key(engine)], [str(token), self.life_ms]))

    def release(self, engine: str, token: int, released_key: str) -> bool:
        """Deletes the record held under `token`; False when it is gone. Noted at `released_key`, if any."""
        return bool(self._release([self.key(engine), released_key], [str(token)]))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
