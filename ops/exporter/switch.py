"""The switch, its scopes and the server, as samples."""

from __future__ import annotations

from collections.abc import Iterable

from killswitch import Code, FleetStatus, Mode, SwitchState
from ops.exporter import catalogue as c
from ops.exporter.page import Page

__all__ = ["SCOPES_MAX", "tell_switch"]

SCOPES_MAX = 500
"""Most scopes that are shown one by one; what is engaged or reducing comes first."""

_REFUSALS = (
    Code.REDIS_OOM,
    Code.REDIS_MISCONF,
    Code.REDIS_NOREPLICAS,
    Code.REDIS_MAXCLIENTS,
    Code.REDIS_READONLY,
    Code.REDIS_BUSY,
    Code.REDIS_LOADING,
    Code.REDIS_REFUSED,
    Code.LIBRARY_MISSING,
    Code.LIBRARY_MISMATCH,
    Code.BAD_ANSWER,
)
"""What can be wrong when a worker's question would be refused. Not REDIS_DENIED: that is about this user."""

_STRICTEST_FIRST = {Mode.ENGAGED: 0, Mode.REDUCING: 1, Mode.SAFE: 2}


def tell_switch(page: Page, status: FleetStatus) -> int:
    """Everything but the workers; returns how many scopes were left out."""
    scopes = sorted(status.scopes, key=lambda state: (_STRICTEST_FIRST[state.mode], state.scope))
    for state in (status.switch, *scopes[:SCOPES_MAX]):
        _tell_state(page, state)
    if (deadman := status.deadman) is not None:
        page.set(c.DEADMAN_LEFT, deadman.left_ms / 1000)
        page.set(c.DEADMAN_EVERY, deadman.every_ms / 1000)
        page.set(c.DEADMAN_OVERDUE, deadman.overdue)
    page.set(c.HIGHEST_EPOCH, status.epoch)
    page.set(c.CONFIRMED, status.confirmed)
    code = status.trouble[0] if status.trouble else None
    if code is not Code.REDIS_DENIED:
        page.one_of(c.REFUSED, code, _REFUSALS)
    if status.library is not None:
        page.set(c.LIBRARY, status.library)
    page.set(c.SERVER, 1, status.server, status.run_id)
    return len(scopes[SCOPES_MAX:]) + status.left_out


def _tell_state(page: Page, state: SwitchState) -> None:
    scope = state.scope
    page.one_of(c.MODE, state.mode, Mode, scope)
    page.set(c.EPOCH, state.epoch, scope)
    page.set(c.RECORDED, state.recorded, scope)
    if state.at_ms:
        page.set(c.CHANGED, state.at_ms / 1000, scope)
    if state.ttl_ms is not None:
        page.set(c.PERMISSION_LEFT, state.ttl_ms / 1000, scope)
    if state.at_ms or not state.recorded:
        page.set(c.CHANGE, 1, scope, *_why(state))


def _why(state: SwitchState) -> Iterable[str]:
    """Actor, way and reason of what is in force; of a change that nobody has recorded, what the key itself says."""
    if state.recorded:
        return state.actor, state.via, state.why
    return "", "", state.text
