"""A check that waits, because a change was announced and it is not known yet what was changed.

Invariant: only the gate decides. What is held is repeated as a whole check, and goes on only if that one passes. The
wait ends with any other word of the gate, when a stop is asked for, and `patience_ms` after the first refusal at the
latest: a gate that says for so long that something changed, and not what, is closed like any other. One thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from killswitch import Code
from killswitch.clock import NS_PER_MS, now_ns

__all__ = ["Doubt"]

_AT_ONCE = 20
"""So often it is asked without a pause in between: a gate that refuses gives the processor away itself."""
_PAUSE_S = 0.002


class Doubt:
    """The checks of one loop that are refused for an announcement only, and the one of them that is to be repeated."""

    def __init__(self, patience_ms: int, stop: asyncio.Event) -> None:
        self.since_ns = 0
        """When the first check was refused so; 0 as soon as one passed, or was refused for a reason."""
        self.held: Callable[[], None] | None = None
        """The check to be repeated. None: the tick in hand is decided."""
        self._patience_ns = patience_ms * NS_PER_MS
        self._stop = stop

    def holds(self, code: Code, again: Callable[[], None]) -> bool:
        """Whether the check that was just refused with `code` is to be repeated, by `again`."""
        if code is not Code.STATE_CHANGED:
            self.since_ns = 0
            return False
        now = now_ns()
        self.since_ns = self.since_ns or now
        if now - self.since_ns >= self._patience_ns or self._stop.is_set():
            return False
        self.held = again
        return True

    async def over(self) -> None:
        """Repeats what is held until it is held no more; other tasks of the loop run meanwhile."""
        tries = 0
        while (again := self.held) is not None:
            await asyncio.sleep(0 if tries < _AT_ONCE else _PAUSE_S)
            tries += 1
            self.held = None
            again()
