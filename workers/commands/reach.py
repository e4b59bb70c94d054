"""The queue's Redis, or one clear end."""

from __future__ import annotations

from typing import NoReturn

import redis

from workers import queues
from workers.commands.common import shown
from workers.shell import fail

__all__ = ["reach", "unusable"]

_EXIT_UNREACHABLE = 69


def reach(url: str) -> None:
    """One try to reach the queue's Redis, or the end of the process with one line."""
    client = queues.connect(url)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        unusable(url, error)
    finally:
        client.close()


def unusable(url: str, error: Exception) -> NoReturn:
    """The end of the process: why it cannot be used."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    fail(f"the queue's Redis cannot be used at {shown(url)} (WORKERS_QUEUE_URL): {reason}", _EXIT_UNREACHABLE)
