"""What the entries themselves must tell: a known form, and epochs that rise in each scope."""

from __future__ import annotations

from killswitch.core.audit import CHANGE, KINDS, kind_of, parse_entry
from killswitch.core.chain import RawEntry
from killswitch.core.findings import Findings, Kind

__all__ = ["EpochCheck"]

_MOST_SCOPES = 20_000


class EpochCheck:
    """Judges entries in their order. Of more scopes than a fleet can have the rest is compared as if it were one scope,
    which is not stricter than the truth: epochs rise over all scopes."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._epochs: dict[str, int] = {}
        self._highest = -1

    def entry(self, raw: RawEntry, position: int) -> None:
        """The next entry; `position` 0: it has none."""
        fields = raw.fields()
        kind = kind_of(fields)
        entry = parse_entry(raw.entry_id, fields)
        if kind not in KINDS or entry.epoch < 0 or entry.at_ms < 0 or not entry.scope or len(raw.words) % 2:
            self._findings.add(Kind.FOREIGN, position, entry_id=raw.entry_id)
            return
        if kind != CHANGE:
            return
        scope = entry.scope if entry.scope in self._epochs or len(self._epochs) < _MOST_SCOPES else ""
        before = self._epochs.get(scope, -1)
        self._epochs[scope] = max(entry.epoch, before)
        if entry.epoch <= before:
            text = f"{entry.scope[:80]!r} has epoch {entry.epoch} after {before}"
            self._findings.add(Kind.EPOCHS, position, entry_id=raw.entry_id, text=text)
        elif self._highest < 0 and entry.epoch > 1:
            text = f"it has epoch {entry.epoch}: what was before is not on this record"
            self._findings.add(Kind.BEGINS_LATE, position, entry_id=raw.entry_id, text=text)
        elif 0 <= self._highest < entry.epoch - 1:
            low, high = self._highest + 1, entry.epoch - 1
            text = str(low) if low == high else f"{low} to {high}"
            self._findings.add(Kind.GAP, position, entry_id=raw.entry_id, text=text)
        self._highest = max(self._highest, entry.epoch)
