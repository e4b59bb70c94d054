"""What dead owners of engines left at the venue, until somebody has cancelled it.

A worker that dies leaves its working orders behind. That they must be cancelled is noted in the queue's Redis in the
same step that puts its engine back, so the death of whoever noticed it loses nothing. And each worker looks for owners
that are neither alive nor gave their engine back, of the whole fleet and whatever became of the job: while every one of
them trades nobody puts an engine back, and other tools may have marked it failed. Every worker looks at the notes; one
that is due becomes a job of the cleanup queue. The note goes only when the venue has confirmed, and until then
comes up again: after a growing wait when the venue was away, after a fixed one when the job vanished with its worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis
from rq.utils import as_text

from workers import logs
from workers.ownership import Ownership
from workers.scripts import script

__all__ = ["Cleanup", "Cleanups"]

_RETAKEN_MS = 15_000
_FIRST_WAIT_MS = 250
_LONGEST_WAIT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What owners of `engine` up to `token` left is to be cancelled. `number` tells its jobs apart, `last_job` came
    before."""

    engine: str
    token: int
    number: int
    last_job: str


class Cleanups:
    """The notes, on one connection. All methods raise redis.RedisError when Redis does not answer."""

    def __init__(self, connection: Redis, prefix: str = "workers") -> None:
        self._connection = connection
        self._prefix = prefix
        self._log = logs.get()
        self._add = script(connection, "cleanup_add")
        self._dead = script(connection, "cleanup_dead")
        self._claim = script(connection, "cleanup_claim")
        self._done = script(connection, "cleanup_done")
        self._failed = script(connection, "cleanup_failed")

    @property
    def due_key(self) -> str:
        """Redis key of when each is due."""
        return f"{self._prefix}:cleanups"

    @property
    def cleaned_key(self) -> str:
        """Redis key of the tokens that were cleaned up after last."""
        return f"{self._prefix}:cleaned"

    def key(self, engine: str) -> str:
        """Redis key of the note on one engine."""
        return f"{self._prefix}:cleanup:{engine}"

    def add(self, engine: str, token: int) -> None:
        """Notes that owners up to `token` are to be cleaned up after."""
        self._add([self.due_key, self.key(engine)], [engine, token])

    def add_dead(self, ownership: Ownership) -> None:
        """Notes and tells which owners of engines died without a note. One trip: it may be asked for beside a trade."""
        begin = [ownership.key(""), ownership.released_key(""), self.key("")]
        found = self._dead([ownership.tokens_key, self.due_key, self.cleaned_key], [*begin])
        for engine, token in zip(found[::2], found[1::2], strict=True):
            self._log.warning("engine_owner_dead", engine=as_text(engine), owner=int(token))

    def claim(self) -> list[Cleanup]:
        """Takes what is due; each comes up again should it not be done within a while."""
        found = []
        for engine in map(as_text, self._claim([self.due_key], [_RETAKEN_MS, 2 * _RETAKEN_MS])):
            with self._connection.pipeline() as pipe:
                pipe.hget(self.key(engine), "token")
                pipe.hincrby(self.key(engine), "jobs", 1)
                pipe.hget(self.key(engine), "job")
                token, number, job = pipe.execute()
            if token is not None:
                found.append(Cleanup(engine, int(token), int(number), as_text(job) if job else ""))
            else:  # done in between; the counter must not stay behind as a note without a token
                self.done(engine, 0)
        return found

    def enqueued(self, cleanup: Cleanup, job_id: str) -> None:
        """Remembers the job that was made of it."""
        self._connection.hset(self.key(cleanup.engine), "job", job_id)

    def done(self, engine: str, token: int) -> bool:
        """Forgets it, unless a later owner died meanwhile; whether it was forgotten."""
        return bool(self._done([self.due_key, self.key(engine), self.cleaned_key], [engine, token]))

    def failed(self, engine: str, token: int, reason: str) -> int:
        """Puts it off; ms until it comes up again, -1 when there is nothing to do any more."""
        keys = [self.due_key, self.key(engine)]
        return int(self._failed(keys, [engine, token, _FIRST_WAIT_MS, _LONGEST_WAIT_MS, reason[:200]]))
