"""Sealing the record of changes and looking through it: for cron, monitoring, and whoever must prove what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Literal

from killswitch._version import __version__
from killswitch.clock import sleep, wall_text
from killswitch.core.anchor import Anchor, AnchorPlace
from killswitch.core.chain import Chain, RawEntry, id_parts
from killswitch.core.comparing import RULES, Disagreement, compare
from killswitch.core.endpoint import Endpoint
from killswitch.core.exporting import Recorded, csv_header, csv_line, json_line, parse_json_line, shown_apart
from killswitch.core.findings import Verification
from killswitch.core.modes import InvalidInput
from killswitch.core.verification import Checker, walk
from killswitch.errors import AnchorUnavailable, NotAsAnchored
from killswitch.settings import Settings
from killswitch.store.anchors import AnchorBook, append_anchor, read_anchors, run_id_at, server_run_id
from killswitch.store.audit import last_changes
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
            for key in (self._keys.audit, self._keys.seals):
                checker.removed(key, removed_entries(wire, key))
            return checker.finish(FleetStore(wire, self._keys).now_ms())

    def verify_export(self, lines: Iterable[str], anchors: Iterable[Anchor] = ()) -> Verification:
        """Looks through an export of the whole record, as JSON lines, without Redis. What was taken out together with
        its seal shows as seals that are missing. Each value that is shown is made anew of what was sealed and compared.
        Raises nothing: a line that is no entry is a finding."""
        checker, last_ms = Checker(self._chain, self.settings.prefix, anchors), 0
        for number, line in enumerate(lines, 1):
            try:
                item = parse_json_line(line)
            except ValueError as error:
                checker.no_entry(f"line {number}: {error}")
                continue
            last_ms = id_parts(item.entry.entry_id)[0]
            if names := shown_apart(line, item, wall_text):
                checker.shown_apart(item.entry, item.seal.position if item.seal is not None else 0, names)
            if item.seal is None:
                checker.unsealed(item.entry)
            else:
                checker.seal(item.seal, item.entry)
        return checker.finish(last_ms)

    def export(
        self,
        form: Literal["jsonl", "csv"] = "jsonl",
        since_ms: int | None = None,
        until_ms: int | None = None,
        scope: str | None = None,
    ) -> Iterator[str]:
        """Every entry with its seal as a line of text without its end, oldest first, read in portions while they are
        taken: from `since_ms` on and before `until_ms` (server clock, milliseconds since the Unix epoch), of one
        `scope` ("switch" is the switch). CSV begins with a header. Raises StoreUnavailable, StoreRefused."""
        if form == "csv":
            yield csv_header()
        make = csv_line if form == "csv" else json_line
        for item in self._entries(since_ms, until_ms, scope):
            yield make(item, wall_text)

    def _entries(self, since_ms: int | None, until_ms: int | None, scope: str | None) -> Iterator[Recorded]:
        start = "-" if since_ms is None else f"{max(since_ms, 0)}-0"
        end = "+" if until_ms is None else f"{max(until_ms - 1, 0)}"
        with self._connected() as wire:
            entries = Portions(wire, self._keys.audit, _same, start, end)
            seals = Portions(wire, self._keys.seals, make_seal, start, end)
            while (entry := entries.peek()) is not None:
                entries.take()
                here = id_parts(entry.entry_id)
                while (seal := seals.peek()) is not None and id_parts(seal.entry_id) < here:
                    seals.take()
                if scope is None or entry.fields().get("scope") == scope:
                    yield Recorded(entry, seal if seal is not None and seal.entry_id == entry.entry_id else None)

    def compare(self, settle_s: float = 0.0) -> tuple[Disagreement, ...]:
        """Where state, ledger, record and workers do not agree. They are not read in one step, and a change takes a
        moment to reach everybody: with `settle_s` above 0, what disagrees is looked at again after so many seconds, and
        what agrees by then is left out. Raises StoreUnavailable, StoreRefused."""
        found = self._compare()
        if found and settle_s > 0:
            sleep(settle_s)
            still = {(one.difference, one.subject) for one in found}
            found = tuple(one for one in self._compare() if (one.difference, one.subject) in still)
        return found

    def _compare(self) -> tuple[Disagreement, ...]:
        with self._connected() as wire:
            status = FleetStore(wire, self._keys).status()
            told = [state.scope for state in status.scopes if state.epoch]
            last = last_changes(wire, self._keys, [*told, *RULES])
        return compare(status, last, __version__)

    def anchors(self, place: AnchorPlace | str) -> AnchorBook:
        """What was copied to `place`. Raises AnchorUnavailable where it cannot be read or has none of this record,
        InvalidInput where it is no place."""
        return read_anchors(self._place(place), self.settings.prefix)

    def anchor(self, place: AnchorPlace | str, actor: str | None = None) -> Anchor:
        """Copies the head of the chain to `place`, provided that today's chain still holds what was copied there last.

        Raises:
            NotAsAnchored: it does not; nothing was added.
            AnchorUnavailable: nothing is sealed yet, or the place cannot be read or written.
            InvalidInput, StoreUnavailable, StoreRefused.
        """
        place = self._place(place)
        if place.endpoint is not None and self._own(place.endpoint):
            raise InvalidInput(
                f"{place} is the switch's own Redis, whatever the database: an anchor there falls with it, and who can "
                "write there can write the anchors too; name another server"
            )
        if place.can_be_read:
            book = read_anchors(place, self.settings.prefix, none_yet=True)
            last = max(book.anchors, key=lambda anchor: anchor.count, default=None)
            if last is not None and not self.holds(last):
                raise NotAsAnchored(str(place), last.count, last.link)
        head = self.head(actor)
        if head is None:
            raise AnchorUnavailable(str(place), "nothing is sealed yet, so there is no head; `killswitch audit seal`")
        append_anchor(place, head)
        return head

    def _own(self, endpoint: Endpoint) -> bool:
        """Whether this is the switch's server, by its address or, under another one, by its run id. A server that does
        not tell it to this user is taken for another."""
        if endpoint.server == self.settings.endpoint.server:
            return True
        there = run_id_at(endpoint)
        if not there:
            return False
        with self._connected() as wire:
            return there == server_run_id(wire)

    def holds(self, anchor: Anchor) -> bool:
        """Whether today's chain has the link of `anchor` at its position; one look, not a verification. Raises
        StoreUnavailable, StoreRefused."""
        with self._connected() as wire:
            seal = Portions(wire, self._keys.seals, make_seal, anchor.entry_id, anchor.entry_id).peek()
            return seal is not None and (seal.position, seal.link) == (anchor.count, anchor.link)

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

    def _place(self, place: AnchorPlace | str) -> AnchorPlace:
        found = AnchorPlace.parse(place) if isinstance(place, str) else place
        if found.endpoint is None:
            return found
        return replace(found, endpoint=found.endpoint.with_tls(self.settings.endpoint.tls_files))

    def _connected(self) -> closing[Wire]:
        return closing(connect(self.settings.endpoint, self.settings.timeout_ms / 1000, _NAME))


def _same(entry: RawEntry) -> RawEntry:
    return entry
