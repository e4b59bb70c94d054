"""The limits of a permission in time, for people: what `status` says of them, and when `watch` speaks up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from killswitch.clock import wall_text
from ops.render import Paint, ago, clean, span, wrap

if TYPE_CHECKING:
    from killswitch import Deadman, FleetStatus

__all__ = ["limit_lines", "limit_news"]

_SOON_MS = 15 * 60_000
_NOW_MS = 2 * 60_000


def _permits(status: FleetStatus) -> bool:
    return status.switch.mode != "ENGAGED"


def _deadman(deadman: Deadman, at_ms: int) -> tuple[str, str]:
    who = clean(deadman.actor) or "somebody"
    if not deadman.left_ms:
        again = 'permits again: `killswitch reset --reason "..."`'
        return f"nobody renewed it, as {who} was to: every gate is closed; {again}", "stop"
    end = f"{span(deadman.left_ms)} ({wall_text(deadman.ends_at_ms)})"
    last = ago(at_ms - deadman.renewed_at_ms)
    if deadman.overdue:
        return f"renewal overdue: {who} renewed it {last}; unless that comes every gate is closed in {end}", "warn"
    return f"renewed by {who} every {span(deadman.every_ms)}, last {last}; without that it ends in {end}", "cyan"


def limit_lines(status: FleetStatus, paint: Paint, limit: int) -> list[str]:
    """When the permission in force ends: by its own limit, and by want of a renewal; nothing where it does not."""
    if not _permits(status):
        return []
    lines = []
    if (left := status.switch.ttl_ms) is not None:
        style = "stop" if left < _NOW_MS else "warn" if left < _SOON_MS else "yellow"
        lines.append(paint(f"  the permission ends in {span(left)} ({wall_text(status.at_ms + left)})", style))
    if status.deadman is not None:
        text, style = _deadman(status.deadman, status.at_ms)
        lines += [paint(line, style) for line in wrap(text, limit, "  ")]
    return lines


def _stage(left_ms: int | None) -> int:
    """How near an end is: 0 far or none, then 1 and 2."""
    return 0 if left_ms is None else 2 if left_ms < _NOW_MS else 1 if left_ms < _SOON_MS else 0


def limit_news(old: FleetStatus, new: FleetStatus) -> list[str]:
    """What is to be said when `new` follows `old`: an end that has come near, a renewal missed, or come again."""
    if not _permits(new):
        return []
    lines = []
    left, before = new.switch.ttl_ms, old.switch.ttl_ms if _permits(old) else None
    if left is not None and _stage(left) > _stage(before):
        lines.append(f"the permission ends in {span(left)} ({wall_text(new.at_ms + left)})")
    if new.deadman is not None:
        same = old.deadman is not None and old.deadman.operation == new.deadman.operation
        if not (same and _renewed(old.deadman) == _renewed(new.deadman)):
            lines.append(_deadman(new.deadman, new.at_ms)[0])
    return lines


def _renewed(deadman: Deadman | None) -> int:
    """How renewals go: 0 in time, 1 overdue, 2 too late."""
    return 0 if deadman is None or not (deadman.overdue or not deadman.left_ms) else 1 if deadman.left_ms else 2
