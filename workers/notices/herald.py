"""The thread that looks for changes and has them told: in every worker, and one of them at a time does it.

It shares nothing with the trading threads: connections of its own to both servers, and no lock. It never delays a stop,
a beat or a job; if it dies or starves, another worker's takes its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

import redis

from killswitch import FeedLook, KillSwitchError
from workers import logs
from workers.notices.outbox import Outbox
from workers.notices.planning import Place, plan

__all__ = ["Feed", "Herald"]

_EVERY_S = 1.0
_LOOK_S = 2.0
_JOIN_S = 1.0


class Feed(Protocol):
    """What it needs of `killswitch.RecordFeed`."""

    def look(self, after: str | None, limit_s: float) -> FeedLook:
        """See RecordFeed."""
        ...


class Herald:
    """Tells `webhooks` (names) of the switch whose keys begin with `prefix`. `outbox` is on a connection of its own."""

    def __init__(self, feed: Feed, outbox: Outbox, webhooks: Iterable[str], prefix: str) -> None:
        self._feed = feed
        self._outbox = outbox
        self._webhooks = tuple(webhooks)
        self._prefix = prefix
        self._ending = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="worker-herald", daemon=True)
        self._log = logs.get()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it, at most 1 s."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def round(self) -> int:
        """One look, if it is this one's turn; how many notices were put on their way.

        Raises:
            KillSwitchError: the switch's Redis did not answer, or refused.
            redis.RedisError: the queue's did not.
        """
        if not self._outbox.my_turn():
            return 0
        told = 0
        looks: dict[str | None, FeedLook] = {}
        for webhook in self._webhooks:
            kept = self._outbox.place(webhook)
            place = Place.parse(kept)
            mark = place.at if place else None
            if mark not in looks:
                looks[mark] = self._feed.look(mark, _LOOK_S)
            told += self._tell(webhook, kept, place, looks[mark])
        return told

    def _tell(self, webhook: str, kept: bytes | None, place: Place | None, look: FeedLook) -> int:
        if place is None:
            # Whoever is new begins with what comes next, not with the history of the fleet.
            self._outbox.commit(webhook, kept, Place(look.newest), [])
            return 0
        notices, after = plan(place, look.items, look, self._prefix, self._outbox.open_jobs(webhook))
        if after == place or not self._outbox.commit(webhook, kept, after, notices):
            return 0
        for notice in notices:
            self._log.info("notice_made", webhook=webhook, notice=notice.id, about=notice.event, count=notice.count)
        return len(notices)

    def _run(self) -> None:
        while not self._ending.wait(_EVERY_S):
            try:
                self.round()
                self._heard()
            except (KillSwitchError, redis.RedisError) as error:
                self._not_heard(str(error))
            except Exception as error:
                # Nobody else would notice that changes are not told any more; the next look may go well.
                self._not_heard(repr(error))

    def _not_heard(self, reason: str) -> None:
        if reason != self._trouble:
            self._log.warning("notices_waiting", reason=reason)
        self._trouble = reason

    def _heard(self) -> None:
        if self._trouble:
            self._log.info("notices_go_on")
        self._trouble = ""
