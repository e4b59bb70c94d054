"""Looking at everything that a monitor shows, again and again, each time within a limit.

It reads with plain reads wherever one will do, so a user who may only read serves it. What it remembers between two
looks is how far it has read the record.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from killswitch.clock import now_ns
from killswitch.core.audit import CHANGE, OUTCOME, AuditEntry, AuditOutcome, kind_of, parse_entry, parse_outcome
from killswitch.core.drill_record import DrillRecord, parse_record
from killswitch.core.fleet import FleetStatus
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.settings import Settings
from killswitch.store.bounded import Bounded
from killswitch.store.fleet import FleetStore
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.keys import Keys
from killswitch.store.tail import News, Tail
from killswitch.store.wire import connect

__all__ = ["DrillNews", "Observation", "Observer", "RecordNews"]

_NAME = "killswitch-observer"


@dataclass(frozen=True, slots=True)
class RecordNews:
    """The record since the look before: its new `changes` and `outcomes` of waits for a proof, oldest first. `anew`:
    they are the first ones, and what was counted before is void. `length`: entries in the record, `unsealed` of them
    without a seal (None: not readable). Of a record of more than ten thousand the first look tells none, see `Tail`.
    """

    changes: tuple[AuditEntry, ...]
    outcomes: tuple[AuditOutcome, ...]
    anew: bool
    length: int
    unsealed: int | None


@dataclass(frozen=True, slots=True)
class DrillNews:
    """Drills since the look before, oldest first; `anew` as for the record."""

    drills: tuple[DrillRecord, ...]
    anew: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. `record` and `drills` are None where they cannot be read: not permitted, not in time, or something else
    lies where they were. `library_wanted` is the version of the function library that this release needs."""

    fleet: FleetStatus
    record: RecordNews | None
    drills: DrillNews | None = None
    library_wanted: int = LIBRARY_VERSION


class Observer:
    """Looks at one switch; each look makes a connection of its own. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._audit = Tail(self._keys.audit)
        # The oldest of a thousand drills are dropped: a history that may have lost some is not counted after a restart.
        self._drills = Tail(self._keys.drills, history=900)

    def look(self, limit_s: float) -> Observation:
        """Everything, within `limit_s` seconds.

        Raises:
            StoreUnavailable: no answer in time.
            StoreRefused: the credentials were refused, or not even plain reads are allowed.
        """
        until_ns = now_ns() + int(limit_s * 1e9)
        step_s = min(limit_s, self._settings.timeout_ms / 1000)
        with contextlib.closing(connect(self._settings.endpoint, step_s, _NAME, until_ns)) as wire:
            caller = Bounded(wire, until_ns, step_s)
            fleet = FleetStore(caller, self._keys).status(wary=True)
            return Observation(fleet, self._record(caller), self._drilled(caller))

    def _record(self, caller: Bounded) -> RecordNews | None:
        """Last, because it may be of any size: a record that cannot be read must not hide the fleet."""
        try:
            sealed = caller.call_many([("XLEN", self._keys.seals)])[0]
            news: News = self._audit.read(caller)
        except (StoreRefused, StoreUnavailable):
            return None
        found = [(kind_of(fields), entry.entry_id, fields) for entry in news.entries for fields in [entry.fields()]]
        return RecordNews(
            changes=tuple(parse_entry(entry_id, fields) for kind, entry_id, fields in found if kind == CHANGE),
            outcomes=tuple(parse_outcome(fields) for kind, _, fields in found if kind == OUTCOME),
            anew=news.anew,
            length=news.length,
            unsealed=max(0, news.length - sealed) if isinstance(sealed, int) else None,
        )

    def _drilled(self, caller: Bounded) -> DrillNews | None:
        try:
            news = self._drills.read(caller)
        except (StoreRefused, StoreUnavailable):
            return None
        return DrillNews(tuple(parse_record(entry.entry_id, entry.fields()) for entry in news.entries), news.anew)
