"""The errors of a benchmark that cannot be carried out."""

from __future__ import annotations

from killswitch import KillSwitchError

__all__ = ["BenchError", "NoServer"]


class BenchError(KillSwitchError):
    """A measurement could not be made; the message says what stood in the way."""


class NoServer(BenchError):
    """No server was given and none can be started; the message names the ways to get one."""
