"""What the engine asks of a strategy.

Seeing the market and deciding to act are two calls, because the first gate stands between them: a strategy goes on
learning prices while trading is stopped, so that it wakes up in the present, but it decides nothing then.
"""

from __future__ import annotations

from typing import Protocol

from workers.domain import Position, Signal, Tick

__all__ = ["Strategy"]


class Strategy(Protocol):
    """Pure: its decisions depend on the ticks and positions it was given and on nothing else."""

    def on_tick(self, tick: Tick) -> None:
        """Market data, also while trading is stopped."""
        ...

    def signal(self, tick: Tick, position: Position) -> Signal | None:
        """What to do now, given what is held. Called after `on_tick` with the same tick, only while gate 1 is open.

        The engine keeps one working order for a symbol: acting on a new signal cancels the order of the one before.
        """
        ...
