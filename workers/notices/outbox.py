"""How far each webhook was told, and what is on its way: in the queue's Redis, shared by all workers.

Taking entries and making jobs of them is one transaction that fails if another worker was first, so each entry becomes
a job once. Whose turn it is to look is a matter of courtesy: it spares the switch's Redis a question of every worker.
What was told, but never arrived, is counted when the last try has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from redis import Redis
from redis.exceptions import WatchError
from rq.utils import as_text

from killswitch import clock
from workers import queues
from workers.notices.notice import Notice
from workers.notices.planning import Place
from workers.scripts import script

__all__ = ["Outbox"]

_TURN_MS = 5_000
_LIFE_MS = 30 * 60_000
"""Longer than all tries of a job take: what is still open then was lost with its job."""


class Outbox:
    """The state of all webhooks, on one connection. `name` tells this process from others. All methods raise
    redis.RedisError when Redis does not answer."""

    def __init__(self, connection: Redis, name: str, prefix: str = "workers") -> None:
        self._connection = connection
        self._name = name
        self._prefix = f"{prefix}:notices"
        self._turn = script(connection, "notice_turn")

    def my_turn(self) -> bool:
        """Whether this process is to look now: until it has not looked for a while."""
        return bool(self._turn([f"{self._prefix}:turn"], [self._name, _TURN_MS]))

    def place(self, webhook: str) -> bytes | None:
        """What is kept of `webhook`, see `Place.text`."""
        return cast("bytes | None", self._connection.get(self._place_key(webhook)))

    def open_jobs(self, webhook: str) -> int:
        """Notices that are on their way to `webhook`, or are to be tried again."""
        key = self._open_key(webhook)
        with self._connection.pipeline() as pipe:
            pipe.zremrangebyscore(key, "-inf", clock.wall_ms())
            pipe.zcard(key)
            return int(pipe.execute()[1])

    def commit(self, webhook: str, before: bytes | None, after: Place, notices: Sequence[Notice]) -> bool:
        """Makes jobs of `notices` and moves on, provided that the place is still `before`; whether it was."""
        key, until_ms = self._place_key(webhook), clock.wall_ms() + _LIFE_MS
        with self._connection.pipeline() as pipe:
            try:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                if pipe.get(key) != before:
                    return False
                pipe.multi()
                pipe.set(key, after.text())
                for notice in notices:
                    told = notice.model_dump(mode="json", exclude_defaults=True)  # an older worker may have the job
                    job = queues.send_notice(self._connection, webhook, told, pipeline=pipe)
                    pipe.zadd(self._open_key(webhook), {job.id: until_ms})
                pipe.execute()
            except WatchError:
                return False
        return True

    def delivered(self, webhook: str, job_id: str) -> None:
        """It arrived."""
        self._ended(webhook, job_id, "delivered")

    def given_up(self, webhook: str, job_id: str) -> None:
        """It will not arrive."""
        self._ended(webhook, job_id, "undelivered")

    def counts(self, webhook: str) -> dict[str, int]:
        """How many were `delivered` and `undelivered` so far."""
        found = cast("dict[bytes, bytes]", self._connection.hgetall(self._count_key(webhook)))
        return {as_text(name): int(value) for name, value in found.items()}

    def _ended(self, webhook: str, job_id: str, how: str) -> None:
        with self._connection.pipeline() as pipe:
            pipe.zrem(self._open_key(webhook), job_id)
            pipe.hincrby(self._count_key(webhook), how, 1)
            pipe.execute()

    def _place_key(self, webhook: str) -> str:
        return f"{self._prefix}:place:{webhook}"

    def _open_key(self, webhook: str) -> str:
        return f"{self._prefix}:open:{webhook}"

    def _count_key(self, webhook: str) -> str:
        return f"{self._prefix}:count:{webhook}"
