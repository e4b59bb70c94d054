"""One thing that is told: what was changed, what came of it, that much was, or that a permission is about to end.

A notice is what a job carries, so it is checked like everything that comes off a queue. Its texts were written by
others, so they are one line each, of printable characters and of bounded length, before they go anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from killswitch import AuditEntry, FeedItem, FeedLook, Mode, SwitchState, printable, read_told

__all__ = ["Notice", "Part", "Permission", "Proof", "of_item", "of_permission", "of_several", "trial_notice"]

_MOST_TEXT = 256
_MOST_PARTS = 20

Text = Annotated[str, Field(max_length=_MOST_TEXT + 1)]
Whole = Annotated[int, Field(ge=-1, le=2**62)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """A change: of the switch (`scope` is "switch") or of a part of the fleet. `mode` is there where a look at the key
    told what `after` leaves open."""

    entry: Text
    scope: Text
    epoch: Whole
    before: Text
    after: Text
    reason: Text
    actor: Text
    via: Text
    at_ms: Whole
    mode: Mode | None = None


class Proof(_Strict):
    """How the wait for a stop ended."""

    verdict: Text
    waited_ms: Whole
    members: Whole
    pending: Text


class Permission(_Strict):
    """A permission that is about to end: `kind` time_box or deadman, `left_ms` from `at_ms` (server clock)."""

    kind: Literal["time_box", "deadman"]
    left_ms: Whole
    at_ms: Whole
    epoch: Whole
    actor: Text


class Notice(_Strict):
    """`id` is the same whenever the same is told again. An attempt to permit, which changed nothing, has a part whose
    `after` says what became of it. Of `parts`, a single change has one, and several at once have
    the newest of each scope, `count` entries in all. `proof` tells what came of the change in `parts`. `now` is what
    the switch said when several changes were put together. `switch` is the prefix of its keys."""

    id: Annotated[str, Field(min_length=1, max_length=96, pattern=r"^[A-Za-z0-9:._-]+$")]
    event: Literal["change", "outcome", "attempt", "several", "permission", "test"]
    switch: Text
    parts: Annotated[tuple[Part, ...], Field(max_length=_MOST_PARTS)] = ()
    count: Annotated[int, Field(ge=0, le=2**53)] = 0
    proof: Proof | None = None
    permission: Permission | None = None
    now: Text = ""


def _line(text: str) -> str:
    """One line of printable text; what is too long is cut."""
    shown = printable(text[: _MOST_TEXT + 1])
    return shown if len(shown) <= _MOST_TEXT else shown[:_MOST_TEXT] + "…"


def _looked(entry: AuditEntry, switch: SwitchState) -> Mode | None:
    """The mode, where only the key tells it: of a permission by hand with a limit in time, while it is in force."""
    told = read_told(entry.after, entry.via)
    same = switch.recorded and (entry.scope, entry.epoch) == (switch.scope, switch.epoch)
    return told.under(switch).mode if told.maybe and same else None


def _part(entry: AuditEntry, look: FeedLook) -> Part:
    texts = {name: _line(getattr(entry, name)) for name in ("scope", "before", "after", "reason", "actor", "via")}
    mode = _looked(entry, look.switch)
    return Part(entry=_line(entry.entry_id), epoch=entry.epoch, at_ms=entry.at_ms, mode=mode, **texts)


def of_item(switch: str, item: FeedItem, look: FeedLook) -> Notice:
    """Tells one entry of the record, which `look` found."""
    entry, outcome = item.entry, item.entry.outcome
    proof = None
    if outcome is not None:
        pending, verdict = _line(outcome.pending), _line(outcome.verdict)
        proof = Proof(verdict=verdict, waited_ms=outcome.waited_ms, members=outcome.members, pending=pending)
    part = _part(entry, look)
    if item.attempt:
        part = part.model_copy(update={"after": _line(item.attempt)})
        return Notice(id=entry.entry_id, event="attempt", switch=switch, parts=(part,), count=1)
    event: Literal["change", "outcome"] = "change" if item.is_change else "outcome"
    return Notice(id=entry.entry_id, event=event, switch=switch, parts=(part,), count=1, proof=proof)


def of_several(switch: str, items: Sequence[FeedItem], look: FeedLook) -> Notice:
    """Tells many entries as one: the newest of each scope, the newest last, and how many there were."""
    newest: dict[str, AuditEntry] = {}
    for item in items:
        if item.is_change:
            newest.pop(item.entry.scope, None)
            newest[item.entry.scope] = item.entry
    parts = tuple(_part(entry, look) for entry in list(newest.values())[-_MOST_PARTS:])
    name = f"{items[0].entry.entry_id}_{items[-1].entry.entry_id}"
    return Notice(id=name, event="several", switch=switch, parts=parts, count=len(items), now=_line(look.switch.text))


def of_permission(switch: str, name: str, kind: Literal["time_box", "deadman"], left_ms: int, look: FeedLook) -> Notice:
    """Tells that the permission in force is about to end; `name` tells this telling from others of the same."""
    epoch, actor = look.switch.epoch, _line(look.switch.actor)
    permission = Permission(kind=kind, left_ms=left_ms, at_ms=look.at_ms, epoch=epoch, actor=actor)
    return Notice(id=name, event="permission", switch=switch, permission=permission)


def trial_notice(switch: str, name: str) -> Notice:
    """Tells nothing; for who sets a webhook up."""
    return Notice(id=name, event="test", switch=switch)
