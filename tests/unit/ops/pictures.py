"""Pictures of a fleet for tests of what is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from killswitch import Code, Deadman, FleetStatus, Member, Mode, SwitchState

__all__ = ["member", "state", "status"]


def state(**changes: Any) -> SwitchState:
    """A switch that says SAFE."""
    made = SwitchState(
        scope="switch",
        mode=Mode.SAFE,
        code=Code.OPEN,
        text="SAFE",
        reason="",
        epoch=7,
        recorded=True,
        ttl_ms=None,
        actor="alice",
        why="go live",
        via="command",
        at_ms=1_000_000,
    )
    return replace(made, **changes)


def engaged(said: str = "fat finger", **changes: Any) -> SwitchState:
    """A switch that is engaged."""
    fields = {"mode": Mode.ENGAGED, "code": Code.ENGAGED, "text": f"ENGAGED {said}", "epoch": 8, **changes}
    return state(**fields)


def member(worker_id: str = "w1", **changes: Any) -> Member:
    """An open worker."""
    made = Member(
        worker_id=worker_id,
        engine="eurusd",
        version="1.0",
        mode="SAFE",
        code="open",
        epoch=7,
        rung="bcast",
        lease_ms=1000,
        beat_ms=1000,
        beat_age_ms=300,
    )
    return replace(made, **changes)


def status(**changes: Any) -> FleetStatus:
    """A fleet that trades."""
    made = FleetStatus(
        at_ms=1_060_000,
        switch=state(),
        scopes=(),
        members=(member(),),
        epoch=7,
        confirmed=True,
        run_id="0123456789abcdef",
        server="Redis 7.0.15",
        trouble=None,
    )
    return replace(made, **changes)


def deadman(**changes: Any) -> Deadman:
    """A permission that alice renewed five seconds ago."""
    made = Deadman(
        actor="alice",
        every_ms=20_000,
        life_ms=80_000,
        renewed_at_ms=1_055_000,
        ends_at_ms=1_135_000,
        left_ms=75_000,
        overdue=False,
        operation="desk",
    )
    return replace(made, **changes)
