"""Sealing the record of changes and looking through it: for cron, monitoring, and whoever must prove what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

from killswitch.core.anchor import Anchor
from killswitch.core.chain import Chain, RawEntry
from killswitch.core.findings import Verification
from killswitch.core.verification import Checker, walk
from killswitch.settings import Settings
from killswitch.store.fleet import FleetStore
from killswitch.store.keys import Keys
from killswitch.store.portions import Portions
from killswitch.store.seals import Sealing, last_seal, make_seal, removed_entries, seal_record
from killswitch.store.wire import Wire, connect

__all__ = ["Auditor"]

_NAME = "killswitch-audit"
_ALL = 2**62

Progress = Callable[[int], None]


class Auditor:
    """Looks after the record of one switch. Nothing here is needed for stopping or permitting, and nothing of it waits
    for anything here. Every call makes its own connection. Raises SettingsError when no settings were given and those
    of the environment are not valid.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._keys = Keys(self.settings.prefix)
        self._chain = Chain(self.settings.prefix, self.settings.audit_key)

    def seal(self, limit: int = _ALL, on_progress: Progress | None = None) -> Sealing:
        """Seals what nobody has sealed yet, at most `limit` entries, oldest first. May be repeated, and done by several
        at once. Raises StoreUnavailable, StoreRefused, LibraryMissing; what was sealed before is sealed."""
        with self._connected() as wire:
            return seal_record(wire, self._keys, self._chain, limit, on_progress)

    def verify(self, anchors: Iterable[Anchor] = (), on_progress: Progress | None = None) -> Verification:
        """Looks through the whole record, in portions; changes nothing. `on_progress` hears how many entries were read.

        Without `anchors` a record whose end was cut off, or that was built anew from its beginning by somebody who can
        write to both streams (and, where there is a key, knows it), looks whole. Raises StoreUnavailable, StoreRefused.
        """
        with self._connected() as wire:
            entries = Portions(wire, self._keys.audit, _same)
            seals = Portions(wire, self._keys.seals, make_seal, on_portion=entries.look_again)
            checker = Checker(self._chain, self.settings.prefix, anchors)
            walk(entries, seals, checker, on_progress)
            for portions, key in ((entries, self._keys.audit), (seals, self._keys.seals)):
                if portions.no_stream:
                    checker.no_stream(key)
            removed = removed_entries(wire, self._keys)
            return checker.finish(FleetStore(wire, self._keys).now_ms(), removed)

    def head(self, actor: str | None = None) -> Anchor | None:
        """The head of the chain now, to be copied elsewhere; None where nothing is sealed. Raises StoreUnavailable,
        StoreRefused."""
        with self._connected() as wire:
            seal = last_seal(wire, self._keys)
            if seal is None or not seal.readable:
                return None
            now_ms = FleetStore(wire, self._keys).now_ms()
        who = actor or self.settings.who
        return Anchor(self.settings.prefix, seal.position, seal.link, seal.entry_id, seal.algorithm, now_ms, who)

    def _connected(self) -> closing[Wire]:
        return closing(connect(self.settings.endpoint, self.settings.timeout_ms / 1000, _NAME))


def _same(entry: RawEntry) -> RawEntry:
    return entry
