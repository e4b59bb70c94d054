"""One entry of the record of changes, and how it is read back from untrusted bytes.

Besides changes the record holds how the wait for a stop ended, written by whoever waited, after the stop and never in
its way; what was refused, because its epoch was not current; and what the first of two persons approved. Such an entry
has a field `kind`, is no change and gets no epoch of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from killswitch.core.approval import approval_words
from killswitch.core.modes import MAX_EPOCH

__all__ = [
    "APPROVED",
    "CHANGE",
    "KINDS",
    "OUTCOME",
    "REFUSED",
    "AuditEntry",
    "AuditOutcome",
    "attempt_words",
    "kind_of",
    "parse_entry",
    "parse_outcome",
]

CHANGE, OUTCOME, REFUSED, APPROVED = "change", "outcome", "refused", "approved"
KINDS = (CHANGE, OUTCOME, REFUSED, APPROVED)


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """How a wait for the proof of a stop ended: `verdict` QUIET, FENCED or UNCERTAIN, `waited_ms` after the stop.

    `members` were concerned; `pending` names those who had not proved to be quiet, as far as there was room. `actor`
    waited. -1 where a number is not told.
    """

    verdict: str
    waited_ms: int
    members: int
    pending: str
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change; or, where `kind` is not "change", a permission that was tried and not given: "refused", as its epoch
    was not current, or "approved", by the first of two persons; `attempt` then tells what was asked for.

    `before` and `after` are what the state key held. `via` tells how: library, command or redis-cli (through a
    function), raw (by hand, found afterwards), expiry (a time-boxed permission ran out), incarnation (Redis restarted
    or failed over). `at_ms` is the server's clock. `epoch` is -1 where the entry does not tell a valid one. `outcome`
    tells how the wait for the workers ended, where somebody waited.
    """

    entry_id: str
    epoch: int
    scope: str
    before: str
    after: str
    reason: str
    actor: str
    via: str
    operation: str
    at_ms: int
    outcome: AuditOutcome | None = None
    kind: str = CHANGE
    attempt: str = ""


def _whole(text: str, high: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= high else -1


def parse_entry(entry_id: str, fields: Mapping[str, str]) -> AuditEntry:
    """Reads an entry; total, because somebody may have written to the stream by hand: what is missing stays empty."""
    return AuditEntry(
        entry_id=entry_id,
        epoch=_whole(fields.get("epoch", ""), MAX_EPOCH),
        scope=fields.get("scope", ""),
        before=fields.get("from", ""),
        after=fields.get("to", ""),
        reason=fields.get("reason", ""),
        actor=fields.get("actor", ""),
        via=fields.get("via", ""),
        operation=fields.get("op", ""),
        at_ms=_whole(fields.get("at_ms", ""), 2**62),
        kind=kind_of(fields),
        attempt=_attempt(fields),
    )


def _attempt(fields: Mapping[str, str]) -> str:
    named, what = fields.get("named", ""), approval_words(fields.get("what", ""))
    return {REFUSED: f"{fields.get('verb', '')} at epoch {named}", APPROVED: what}.get(kind_of(fields), "")


def kind_of(fields: Mapping[str, str]) -> str:
    """What an entry is: a change, unless it says something else."""
    return fields.get("kind", CHANGE)


def attempt_words(fields: Mapping[str, str]) -> str:
    """What an entry tells that is no change and no outcome: who tried to permit was refused, or is the first of two. ""
    for any other entry."""
    verb, named = fields.get("verb", "") or "a permission", fields.get("named", "")
    texts = {
        REFUSED: f"{verb} was refused: {named} is not the current epoch",
        APPROVED: f"{verb} was approved by the first of two persons, and nothing is permitted yet",
    }
    return texts.get(kind_of(fields), "")


def parse_outcome(fields: Mapping[str, str]) -> AuditOutcome:
    """Reads an entry of the kind OUTCOME; total, as `parse_entry` is."""
    return AuditOutcome(
        verdict=fields.get("verdict", ""),
        waited_ms=_whole(fields.get("waited_ms", ""), 2**62),
        members=_whole(fields.get("members", ""), 2**62),
        pending=fields.get("pending", ""),
        actor=fields.get("actor", ""),
        at_ms=_whole(fields.get("at_ms", ""), 2**62),
    )
