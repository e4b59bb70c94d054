"""The Lua scripts of the queue's Redis, one file per operation under `lua/`, each with its own header."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis

__all__ = ["Script", "script"]


class Script:
    """One script bound to a client. Called by digest; sent again by itself when the server does not know it."""

    def __init__(self, client: Redis, name: str) -> None:
        self._script = client.register_script(_source(name))

    def __call__(self, keys: list[str], args: list[str | int]) -> Any:
        """Runs the script. Raises redis.RedisError as any command does."""
        return self._script(keys=keys, args=args)


def script(client: Redis, name: str) -> Script:
    """The script `lua/<name>.lua` on `client`."""
    return Script(client, name)


@cache
def _source(name: str) -> str:
    return files("workers").joinpath("lua", f"{name}.lua").read_text("utf-8")
