"""What happened between two looks at the fleet, one line each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.limits import limit_lines, limit_news
from ops.render import Paint, clean, span
from ops.screens import counts, headline, member_name, state_words

if TYPE_CHECKING:
    from killswitch import FleetStatus, Member, SwitchState

__all__ = ["between", "opening"]


def opening(status: FleetStatus) -> list[str]:
    """The first lines: how things are."""
    lines = [_switch(status), *(line.strip() for line in limit_lines(status, Paint(False), 1000))]
    lines += [_scope(state) for state in status.scopes if state.text != "(absent)"]
    return [*lines, counts(status.members), *(_worker(member) for member in status.members)]


def _switch(status: FleetStatus) -> str:
    by = f", by {clean(status.switch.actor)}" if status.switch.actor else ""
    return f"switch: {headline(status)[0]} (epoch {status.switch.epoch}{by})"


def _scope(state: SwitchState) -> str:
    says = "follows the switch" if state.text == "(absent)" else state_words(state.text)
    return f"scope {clean(state.scope)}: {says} (epoch {state.epoch})"


def _worker(member: Member) -> str:
    if not member.known:
        return f"worker {clean(member.worker_id)}: its last words are gone"
    gate = "closed" if member.closed else "open"
    flying = f", {member.in_flight} in flight" if member.in_flight else ""
    return f"worker {member_name(member)}: {gate}, {clean(member.code)}, epoch {member.epoch}{flying}"


def _words(member: Member) -> tuple[object, ...]:
    return member.known, member.closed, member.code, member.epoch, member.in_flight > 0


def _of_worker(old: Member | None, new: Member) -> list[str]:
    if old is None:
        return [f"joined: {_worker(new)}"]
    lines = []
    if _words(old) != _words(new):
        turned = "quiet: " if new.quiet_epoch > old.quiet_epoch else ""
        lines.append(turned + _worker(new))
    if new.silent != old.silent:
        lines.append(
            f"worker {member_name(new)}: silent for {span(new.beat_age_ms)}"
            if new.silent
            else f"worker {member_name(new)}: beats again"
        )
    if new.rung != old.rung and old.known and new.known:
        lines.append(f"worker {member_name(new)}: rung {clean(old.rung)} -> {clean(new.rung)}")
    return lines


def between(old: FleetStatus, new: FleetStatus) -> list[str]:
    """What changed from `old` to `new`."""
    lines = []
    if (headline(old), old.switch.epoch) != (headline(new), new.switch.epoch):
        lines.append(_switch(new))
    lines += limit_news(old, new)
    if new.trouble != old.trouble:
        lines.append(f"no worker can renew: {clean(new.trouble[1])}" if new.trouble else "workers can renew again")
    before = {state.scope: state for state in old.scopes}
    for state in new.scopes:
        was = before.get(state.scope)
        if was is None or (was.text, was.epoch) != (state.text, state.epoch):
            lines.append(_scope(state))
    known = {member.worker_id: member for member in old.members}
    for member in new.members:
        lines += _of_worker(known.pop(member.worker_id, None), member)
    return [*lines, *(f"worker {member_name(member)}: left" for member in known.values())]
