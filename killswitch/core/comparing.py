"""Four places tell what the switch says: the state keys, the ledger, the record of changes, and every worker. Where
they do not agree, something was altered, lost, or has not come about yet; each disagreement has a name and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from killswitch.core.audit import AuditEntry
from killswitch.core.fleet import FleetStatus, Member, SwitchState
from killswitch.core.modes import SWITCH, Mode, strictest
from killswitch.core.told import read_told

__all__ = ["RULES", "Difference", "Disagreement", "LastChanges", "compare"]

_LONGEST = 400
RULES = {"on_failover": "halt", "persons": "1"}
"""What is on record for the whole fleet like a scope of its own, and what holds where nothing is."""
_OPEN_CODES = ("open", "reducing")
_STOP_CODES = ("engaged", "scope_engaged")


class Difference(StrEnum):
    """A closed list; `remedy` says what to do."""

    remedy: str

    def __new__(cls, value: str, remedy: str) -> Difference:
        """A difference is its own text; its remedy goes with it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.remedy = remedy
        return member

    UNRECORDED = (
        "not-recorded",
        "A beat of a worker that follows it puts a change by hand on record; where nobody does, `killswitch engage` or "
        "`reset` of it.",
    )
    UNAPPROVED = (
        "unapproved",
        "One person permitted it by hand, where two have to, so no gate opens by it: "
        '`killswitch engage --reason "..."`, or two persons reset it.',
    )
    VOID = (
        "void",
        'Redis restarted, failed over or lost its ledger since: all is closed until `killswitch reset --reason "..."`.',
    )
    REFUSED = "refused", "No worker can renew, so no gate is open, whatever the switch says: see the reason."
    NO_ENTRY = (
        "no-entry",
        "The ledger tells a change that the record has not: `killswitch audit verify` tells whether it was cut.",
    )
    OTHER_ENTRY = (
        "other-entry",
        "Ledger and record tell different things of the same scope, which one step writes: one of them was altered.",
    )
    NEWER_ENTRY = (
        "newer-entry",
        "The record tells a change that the ledger has not: the ledger was altered or lost; `killswitch engage`.",
    )
    OTHER_STATE = "other-state", "State and record disagree although the ledger holds both: one of them was altered."
    COUNTER = "counter", "The ledger counts below an epoch that was given; the next change goes above both."
    UNKNOWN = "unknown-worker", "Its last words are gone. Does it run? `FCALL ks_leave` takes it off; see the runbook."
    SILENT = "silent-worker", "It has missed its heartbeats: is it alive, and can it reach Redis?"
    TWO_LIVES = "two-lives", "Two processes speak under one name: give each a name of its own."
    OTHER_VERSION = "other-version", "It runs another release than this tool: update the older one."
    AHEAD = "ahead", "It has seen an epoch that Redis does not know: the ledger was lost or restored."
    BEHIND = "behind", "It has not seen the last change; if this stays, look at its connection to Redis."
    STILL_OPEN = "still-open", "It says that its gate is open although the switch stops it: end the process."
    NOT_QUIET = "not-quiet", "It is stopped and not proved quiet: reconcile its orders in flight."
    CLOSED = "closed", "It is permitted to trade and says that it does not: its code tells why."


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One disagreement: about `subject` (the switch, a scope, a worker's id, or "ledger"), told in `text`."""

    difference: Difference
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class LastChanges:
    """The last change of each scope on record, and the highest epoch of all. `whole`: the record was read to its
    beginning, so a scope that is not among them has no entry. `first`: the epoch with which that record begins; above 1
    it is the second of several, or was cut, which `audit verify` tells apart."""

    by_scope: Mapping[str, AuditEntry]
    highest: int
    whole: bool
    first: int = 1


def compare(status: FleetStatus, last: LastChanges, version: str) -> tuple[Disagreement, ...]:
    """Every disagreement, of one moment. `version` is this tool's own release."""
    states = (status.switch, *status.scopes)
    found: list[Disagreement] = []
    if status.trouble is not None:
        code, reason = status.trouble
        found.append(Disagreement(Difference.REFUSED, SWITCH, f"renewals are refused ({code}): {reason}"))
    elif not status.confirmed and status.switch.mode is not Mode.ENGAGED:
        text = f"it says {status.switch.mode}, which was recorded under another incarnation of Redis"
        found.append(Disagreement(Difference.VOID, SWITCH, text))
    for state in states:
        held = status.deadman
        over = state.scope == SWITCH and (state.ttl_ms == 0 or (held is not None and not held.left_ms))
        found += _of_state(state, last, over)
    known = {state.scope for state in states}
    for rule, says in {"on_failover": status.on_failover, "persons": str(status.persons)}.items():
        found += _of_rule(rule, says, last)
    for scope in sorted(scope for scope in set(last.by_scope) - known if ":" in scope):
        entry = last.by_scope[scope]
        text = f"the last entry is epoch {entry.epoch} by {entry.actor}; the ledger has none"
        found.append(Disagreement(Difference.NEWER_ENTRY, scope, text))
    if last.highest > status.epoch:
        text = f"it counts {status.epoch} epochs, the record tells {last.highest}"
        found.append(Disagreement(Difference.COUNTER, "ledger", text))
    by_scope = {state.scope: state for state in states}
    for member in status.members:
        found += _of_member(member, by_scope, status.epoch, version)
    return tuple(replace(one, subject=one.subject[:_LONGEST], text=one.text[:_LONGEST]) for one in found)


def _of_rule(rule: str, says: str, last: LastChanges) -> Iterator[Disagreement]:
    entry = last.by_scope.get(rule)
    if entry is None:
        if says != RULES[rule] and last.whole and last.first <= 1:
            yield Disagreement(Difference.NO_ENTRY, rule, f"the ledger says {says}; there is no entry of it")
    elif entry.after != says:
        text = f"the ledger says {says}; the entry of epoch {entry.epoch} says {entry.after!r:.80}"
        yield Disagreement(Difference.OTHER_ENTRY, rule, text)


def _of_state(state: SwitchState, last: LastChanges, over: bool) -> Iterator[Disagreement]:
    """`over`: nobody renewed its permission. Workers that may not write the state put that on record beside a state
    that goes on saying what it said."""
    name, entry = state.scope, last.by_scope.get(state.scope)
    if state.unapproved:
        yield Disagreement(Difference.UNAPPROVED, name, f"it holds {state.text!r:.80}, which is not accepted")
    elif not state.recorded:
        known = f"epoch {state.epoch} by {state.actor}" if state.actor else "nothing"
        yield Disagreement(Difference.UNRECORDED, name, f"it holds {state.text!r:.80}; the ledger tells {known}")
    if entry is None:
        if state.epoch >= last.first and last.whole:
            text = f"the ledger tells epoch {state.epoch} by {state.actor}; there is no entry of this scope"
            yield Disagreement(Difference.NO_ENTRY, name, text)
        return
    if entry.epoch != state.epoch:
        kind = Difference.NO_ENTRY if entry.epoch < state.epoch else Difference.NEWER_ENTRY
        text = f"the ledger tells epoch {state.epoch} by {state.actor or 'nobody'}"
        yield Disagreement(kind, name, f"{text}; the last entry is epoch {entry.epoch} by {entry.actor or 'nobody'}")
        return
    pairs = {"actor": (state.actor, entry.actor), "reason": (state.why, entry.reason), "via": (state.via, entry.via)}
    pairs["time"] = (str(state.at_ms), str(entry.at_ms))
    apart = [f"{what} {one!r:.60} and {other!r:.60}" for what, (one, other) in pairs.items() if one != other]
    if apart:
        text = f"of epoch {state.epoch} the ledger and the entry tell: {'; '.join(apart)}"
        yield Disagreement(Difference.OTHER_ENTRY, name, text)
    absent = state.text == "(absent)" and entry.after == "(absent)"
    ended = over and entry.via == "expiry"
    told = read_told(entry.after, entry.via).under(state)
    if state.recorded and not absent and not ended and told.mode is not state.mode:
        text = f"it holds {state.text!r:.80}; the entry of epoch {entry.epoch} says {entry.after!r:.80}"
        yield Disagreement(Difference.OTHER_STATE, name, text)


def _of_member(member: Member, states: Mapping[str, SwitchState], counter: int, version: str) -> Iterator[Disagreement]:
    name = member.worker_id
    if not member.known:
        yield Disagreement(Difference.UNKNOWN, name, "it is in the membership and its row is gone")
        return
    if member.rival:
        yield Disagreement(Difference.TWO_LIVES, name, "another life that did not end in order has this name")
    if member.version != version:
        yield Disagreement(Difference.OTHER_VERSION, name, f"it runs {member.version!r:.40}, this tool is {version}")
    if member.silent:
        text = f"silent for {member.beat_age_ms} ms, it beats every {member.beat_ms} ms"
        yield Disagreement(Difference.SILENT, name, text)
    if member.epoch > counter:
        yield Disagreement(Difference.AHEAD, name, f"it has seen epoch {member.epoch}, the ledger counts {counter}")
    followed = [states[scope] for scope in (SWITCH, *member.scopes) if scope in states]
    given = max((state.epoch for state in followed), default=0)
    if counter >= member.epoch > given and len(followed) > len(member.scopes):
        yield Disagreement(Difference.AHEAD, name, f"it has seen epoch {member.epoch}, what it follows is at {given}")
    followed = [state for state in followed if state.scope == SWITCH or state.text != "(absent)"]
    epoch = max((state.epoch for state in followed), default=0)
    if member.epoch < epoch:
        yield Disagreement(Difference.BEHIND, name, f"it has seen epoch {member.epoch}, what it follows is at {epoch}")
    yield from _of_gate(member, strictest(*(state.mode for state in followed)), epoch)


def _of_gate(member: Member, mode: Mode, epoch: int) -> Iterator[Disagreement]:
    """What the worker says of its gate, beside what it is told."""
    name = member.worker_id
    if mode is Mode.ENGAGED:
        if not member.closed:
            yield Disagreement(Difference.STILL_OPEN, name, f"it is told to stop, and says {member.code or 'open'}")
        elif member.quiet_epoch < epoch or member.in_flight:
            text = f"quiet at epoch {member.quiet_epoch}, in flight {member.in_flight}; the stop has epoch {epoch}"
            yield Disagreement(Difference.NOT_QUIET, name, text)
    elif member.closed and member.code not in (*_OPEN_CODES, *_STOP_CODES):
        yield Disagreement(Difference.CLOSED, name, f"it may trade ({mode}), and says {member.code or 'nothing'}")
    elif member.code in _STOP_CODES:
        yield Disagreement(Difference.CLOSED, name, f"it may trade ({mode}), and says {member.code}")
