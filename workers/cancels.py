"""Withdraws an engine's working orders, and does not leave it at one attempt that failed.

While trading is stopped nobody else comes by to try again: a second word from the switch is no news, and no signal
replaces an order. So what failed is tried again by itself, first soon, then at most once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from killswitch.clock import now_ns
from workers.broker import BrokerError, GuardedBroker
from workers.recorder import Recorder
from workers.report import Tally

__all__ = ["Cancels"]

_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 1.0

_log = structlog.get_logger("workers.engine")


class Cancels:
    """Cancels are never gated. A venue that fails to cancel must not end the engine that has to try again.

    `needed(why)` says before each new attempt whether the reason still holds; `done()` is called after one that
    succeeded. Used on the event loop's thread only.
    """

    def __init__(
        self,
        engine: str,
        broker: GuardedBroker,
        tally: Tally,
        recorder: Recorder,
        *,
        needed: Callable[[str], bool],
        done: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._tally = tally
        self._recorder = recorder
        self._needed = needed
        self._done = done
        self._retry: asyncio.TimerHandle | None = None

    def all(self, why: str, loop: asyncio.AbstractEventLoop | None) -> None:
        """Cancels everything that works. A failure is tried again on `loop`; with None, at the end, it is not."""
        if self._retry is not None:  # this attempt takes its place
            self._retry.cancel()
        self._retry = None
        self._attempt(why, loop, _FIRST_RETRY_S)

    def _attempt(self, why: str, loop: asyncio.AbstractEventLoop | None, retry_s: float) -> bool:
        try:
            count = self._broker.cancel_all()
        except BrokerError as error:
            self._tally.cancel_failures += 1
            _log.error(
                "engine_cancel_failed",
                engine=self._engine,
                why=why,
                reason=str(error),
                retry_s=retry_s if loop is not None else None,
            )
            if loop is not None:
                self._retry = loop.call_later(retry_s, self._again, why, loop, retry_s)
            return False
        self._tally.cancelled[why] += count
        self._recorder.cancelled(now_ns(), count, why)
        if count:
            _log.warning("engine_cancelled", engine=self._engine, why=why, count=count)
        return True

    def _again(self, why: str, loop: asyncio.AbstractEventLoop, waited_s: float) -> None:
        self._retry = None
        if self._needed(why) and self._attempt(why, loop, min(waited_s * 2, _LONGEST_RETRY_S)):
            self._done()
