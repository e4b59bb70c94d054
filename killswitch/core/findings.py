"""What looking through the record can find, and the report of one look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["AuditFinding", "Findings", "Kind", "Verification"]

_MOST_KEPT = 200


class Kind(StrEnum):
    """A closed list. `violation`: it does not come about by itself. `meaning` is a text for people."""

    violation: bool
    meaning: str

    def __new__(cls, value: str, violation: bool, meaning: str) -> Kind:
        """A kind is its own text; what it means goes with it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.violation = violation
        member.meaning = meaning
        return member

    EDITED = "edited", True, "the entry does not hold what was sealed"
    REORDERED = "reordered", True, "the entry holds what was sealed in another place"
    MISSING = "missing", True, "it was sealed, and the entry is gone"
    INSERTED = "inserted", True, "the entry stands among sealed ones and was never sealed"
    BROKEN = "chain-broken", True, "the seal does not follow from the one before it: a seal was altered"
    SEALS_MISSING = "seals-missing", True, "the seals are gone"
    NO_SEAL = "no-seal", True, "what lies among the seals is none"
    FOREIGN = "foreign", True, "the entry is not of the form that the function library writes"
    EPOCHS = "epochs", True, "the epoch is not above the one before it in the same scope"
    REMOVED = "removed", True, "the stream has held more than is there"
    CUT = "cut", True, "an anchor knows more sealed entries than are there"
    NOT_AS_ANCHORED = "not-as-anchored", True, "the chain is not the one whose head was anchored"
    UNKEYED = "unkeyed", True, "the seal was made without the key that is set here"
    UNCHECKED = "unchecked", False, "the seal was made with a key that is not set here, so its link was not checked"
    GAP = "gap", False, "epochs were leapt over"
    BEGINS_LATE = "begins-late", False, "the first entry on record is not the first change"
    BEFORE_THE_KEY = "before-the-key", False, "sealed before there was a key; the first seal with it covers them"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One finding, or a run of like ones: positions `first` to `last` of the chain (0: it has none), entries `entry_id`
    to `last_id` (empty: none). `text` says more than `kind.meaning` does, where there is more to say."""

    kind: Kind
    first: int
    last: int
    entry_id: str
    last_id: str
    text: str


class Findings:
    """Findings as they come. Neighbours of a kind become one; a few hundred violations and a few hundred notes are
    kept, so that neither crowds the other out; all are counted."""

    def __init__(self) -> None:
        self.violations: list[AuditFinding] = []
        self.notes: list[AuditFinding] = []
        self.counts: Counter[str] = Counter()

    def add(
        self,
        kind: Kind,
        first: int = 0,
        last: int = 0,
        entry_id: str = "",
        last_id: str = "",
        text: str = "",
        count: int = 1,
    ) -> None:
        """`count` entries, from position `first` to `last`."""
        self.counts[str(kind)] += count
        last, last_id = last or first, last_id or entry_id
        found = self.violations if kind.violation else self.notes
        before = found[-1] if found else None
        if first and before and (before.kind, before.text, before.last + 1) == (kind, text, first):
            found[-1] = AuditFinding(kind, before.first, last, before.entry_id, last_id, text)
        elif len(found) < _MOST_KEPT:
            found.append(AuditFinding(kind, first, last, entry_id, last_id, text))


@dataclass(frozen=True, slots=True)
class Verification:
    """One look through the record.

    `entries` were read, of which `unsealed` form the tail that nobody has sealed yet, the oldest `unsealed_ms` old by
    the server's clock. `position` and `link` are the head of the chain, `last_id` is the entry that it seals,
    `first_id` the first entry that was read. `keyed` seals were made with a key, `unchecked` of them could not be
    checked for want of it. `anchors` heads were compared; without any, a record that was cut at its end, or built anew
    from its beginning, can look whole. `findings` are violations, `notes` what is worth knowing; of each at most a few
    hundred, while `counts` has the number of all, by kind.
    """

    entries: int
    unsealed: int
    unsealed_ms: int
    position: int
    link: str
    first_id: str
    last_id: str
    keyed: int
    unchecked: int
    anchors: int
    findings: tuple[AuditFinding, ...]
    notes: tuple[AuditFinding, ...]
    counts: Mapping[str, int]

    @property
    def intact(self) -> bool:
        """Nothing that was looked at is wrong."""
        return not self.findings

    @property
    def empty(self) -> bool:
        """There is neither entry nor seal."""
        return not self.entries and not self.position
