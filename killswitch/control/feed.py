"""The record from a given place on, and the switch as it is: for whoever passes changes on to people or machines.

Reads only. Each look has a connection of its own and ends within its limit; where it stopped reading is the caller's to
remember, so that several processes may take turns.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from killswitch.clock import now_ns
from killswitch.core.audit import OUTCOME, AuditEntry, attempt_words, kind_of, parse_entry, parse_outcome
from killswitch.core.chain import RawEntry, id_parts
from killswitch.core.deadman import Deadman
from killswitch.core.fleet import SwitchState
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.settings import Settings
from killswitch.store.bounded import Bounded
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.portions import Portions, raw_entry
from killswitch.store.wire import connect

__all__ = ["FeedItem", "FeedLook", "RecordFeed"]

_NAME = "killswitch-feed"
_BEFORE_ALL = "0-0"


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One entry of the record: a change, or what came of one (then `entry.outcome` tells it, and `entry.scope` and
    `entry.epoch` of which), or an attempt to permit that changed nothing (then `attempt` tells what became of it)."""

    entry: AuditEntry
    is_change: bool
    attempt: str = ""


@dataclass(frozen=True, slots=True)
class FeedLook:
    """`items` are the entries after the place that was named, oldest first; `more`: there are further ones. `newest` is
    the id of the newest entry of the record. `switch` and `deadman`: as in FleetStatus, at `at_ms` (server clock)."""

    items: tuple[FeedItem, ...]
    more: bool
    newest: str
    switch: SwitchState
    deadman: Deadman | None
    at_ms: int


class RecordFeed:
    """Reads the record of one switch. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)

    def look(self, after: str | None, limit_s: float, most: int = 1000) -> FeedLook:
        """At most `most` entries after the id `after` (None: no entries, only where the record ends), within `limit_s`
        seconds. A record that ends before `after` was replaced by a younger one, and is read from its beginning.

        Raises:
            StoreUnavailable: no answer in time.
            StoreRefused: the credentials were refused, or this user may not look.
        """
        until_ns = now_ns() + int(limit_s * 1e9)
        step_s = min(limit_s, self._settings.timeout_ms / 1000)
        with contextlib.closing(connect(self._settings.endpoint, step_s, _NAME, until_ns)) as wire:
            caller = Bounded(wire, until_ns, step_s)
            newest = self._newest(caller)
            if after is not None and id_parts(newest) < id_parts(after):
                after = _BEFORE_ALL
            found, more = ([], False) if after is None else self._after(caller, after, newest, most)
            switch, deadman, at_ms = FleetStore(caller, self._keys).switch()
        return FeedLook(tuple(found), more, newest, switch, deadman, at_ms)

    def _newest(self, caller: Bounded) -> str:
        found = caller.call("XREVRANGE", self._keys.audit, "+", "-", "COUNT", 1)
        if not isinstance(found, list):
            raise StoreUnavailable(Code.BAD_ANSWER, "the record was answered with something else")
        return raw_entry(found[0]).entry_id if found else _BEFORE_ALL

    def _after(self, caller: Bounded, mark: str, newest: str, most: int) -> tuple[list[FeedItem], bool]:
        found: list[FeedItem] = []
        portions = Portions(caller, self._keys.audit, _item, start=f"({mark}", end=newest)
        while id_parts(mark) < id_parts(newest) and (item := portions.peek()) is not None:
            if len(found) == most:
                return found, True
            found.append(item)
            portions.take()
        return found, False


def _item(raw: RawEntry) -> FeedItem:
    """An entry of a kind that is not known here is told as a change is: saying too much is better than nothing."""
    fields = raw.fields()
    entry = parse_entry(raw.entry_id, fields)
    if kind_of(fields) == OUTCOME:
        return FeedItem(replace(entry, outcome=parse_outcome(fields)), is_change=False)
    if words := attempt_words(fields):
        return FeedItem(entry, is_change=False, attempt=words)
    return FeedItem(entry, is_change=True)
