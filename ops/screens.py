"""The fleet on a screen: what `status` prints and `watch` repeats. Pure: a picture in, lines out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from killswitch import read_told
from killswitch.clock import wall_text
from ops.drilling.telling import last_drill_line
from ops.limits import limit_lines
from ops.render import COLUMNS, Cell, Column, Paint, ago, brief, clean, fit, span, table, wrap

if TYPE_CHECKING:
    from killswitch import FleetStatus, Member, SwitchState

__all__ = ["counts", "headline", "member_name", "state_words", "status_lines", "worker_lines"]

_BEST_RUNG = "bcast"
_MODE_STYLES = {"SAFE": "go", "REDUCING": "warn", "ENGAGED": "stop"}


def state_words(text: str, via: str = "") -> str:
    """What a state key holds, for people. `via`, as in AuditEntry, tells by what it was set; where that is not known a
    text that may be a limited permission, or somebody's own words, is shown as it is."""
    words = {"SAFE": "SAFE: trading permitted", "REDUCING": "REDUCING: only orders that reduce a position pass"}
    if text in words:
        return words[text]
    told = read_told(text, via)
    if told.limit_s is not None:
        return f"SAFE: trading permitted for {brief(told.limit_s)}"
    if text == "ENGAGED":
        return "ENGAGED: no reason given"
    return f"ENGAGED: {clean(text[8:].strip())}" if text.startswith("ENGAGED ") else clean(text)


def member_name(member: Member) -> str:
    """A worker as people know it: its id, and what it runs."""
    return clean(f"{member.worker_id} ({member.engine})" if member.engine else member.worker_id)


def headline(status: FleetStatus) -> tuple[str, str]:
    """The first line and its style: what the switch says, and whether that is in force."""
    switch = status.switch
    text = state_words(switch.text)
    if switch.mode == "ENGAGED":
        engaged = text.startswith("ENGAGED")
        return (text if engaged else f"ENGAGED: {clean(switch.reason)}"), "alarm"
    if status.trouble:
        return f"{switch.mode} is written, but no gate can be open", "warn"
    if not status.confirmed:
        return f"{switch.mode} is written, but void: Redis restarted, failed over or lost its record since", "warn"
    if not switch.recorded:
        return f"{switch.mode} was written by hand; it counts once a worker's beat has recorded it", "warn"
    if status.deadman is not None and not status.deadman.left_ms:
        return f"{switch.mode} is written, but void: nobody renewed the permission", "warn"
    return text, _MODE_STYLES[switch.mode]


def _record(state: SwitchState, now_ms: int) -> str:
    parts = [f"epoch {state.epoch}"]
    if not state.recorded:
        parts.append("not recorded yet")
    if state.actor:
        parts.append(f"by {clean(state.actor)}")
    if state.via:
        parts.append(f"via {clean(state.via)}")
    if state.at_ms:
        parts.append(f"{wall_text(state.at_ms)} ({ago(now_ms - state.at_ms)})")
    return ", ".join(parts)


def counts(members: Iterable[Member]) -> str:
    """One line about all workers."""
    everyone = list(members)
    if not everyone:
        return "no worker is registered"
    closed = sum(m.closed for m in everyone)
    flying = sum(m.in_flight for m in everyone)
    silent = sum(m.silent for m in everyone)
    parts = [f"{len(everyone)} worker{'s' * (len(everyone) != 1)}: {closed} closed, {len(everyone) - closed} open"]
    parts.append(f"{flying} order{'s' * (flying != 1)} in flight")
    if silent:
        parts.append(f"{silent} silent")
    return ", ".join(parts)


def _worker_row(member: Member, version: str) -> tuple[Cell, ...]:
    age = span(member.beat_age_ms)
    beat: Cell = (f"{age} silent", "stop") if member.silent else age
    if not member.known:
        return clean(member.worker_id), "", ("unknown", "stop"), "", "", "", "", "", beat
    said = member.mode if member.code in ("open", "engaged", "reducing", "") else member.code
    flying: Cell = (str(member.in_flight), "warn") if member.in_flight else "0"
    return (
        clean(member.worker_id),
        clean(member.engine),
        (clean(said), _MODE_STYLES.get(member.mode, "")),
        str(member.epoch),
        flying,
        "closed" if member.closed else f"≤ {span(member.lease_ms)}",
        clean(member.rung) if member.rung == _BEST_RUNG else (clean(member.rung), "warn"),
        clean(member.version) if member.version == version else (clean(member.version), "warn"),
        beat,
    )


def worker_lines(members: Iterable[Member], version: str, paint: Paint, limit: int = COLUMNS) -> list[str]:
    """The table of workers. `version` is this tool's own; another one is highlighted, as is a rung below bcast."""
    columns = (
        Column("WORKER", least=12, middle=True),
        Column("ENGINE", least=8),
        Column("GATE", least=14),
        Column("EPOCH", right=True),
        Column("FLIGHT", right=True),
        Column("LEASE"),
        Column("RUNG", least=8),
        Column("VERSION", least=7),
        Column("LAST BEAT"),
    )
    return table(columns, [_worker_row(m, version) for m in members], paint, limit)


def _scope_row(state: SwitchState) -> tuple[Cell, ...]:
    follows = state.text == "(absent)"
    says: Cell = ("follows the switch", "dim") if follows else (state_words(state.text), _MODE_STYLES[state.mode])
    return clean(state.scope), says, str(state.epoch or ""), clean(state.actor), "" if follows else clean(state.why)


def status_lines(status: FleetStatus, version: str, paint: Paint, limit: int = COLUMNS) -> list[str]:
    """The whole screen."""
    text, style = headline(status)
    lines = wrap(text, limit)
    lines = [paint(f" {line} " if style == "alarm" and paint.enabled else line, style) for line in lines]
    lines += wrap(_record(status.switch, status.at_ms), limit, "  ")
    if status.switch.mode != "ENGAGED" and status.switch.why:
        lines += wrap(f"why: {clean(status.switch.why)}", limit, "  ")
    lines += limit_lines(status, paint, limit)
    if status.trouble:
        code, reason = status.trouble
        for line in wrap(f"no worker can renew: {clean(reason)} [{code}]", limit, "  "):
            lines.append(paint(line, "stop"))
        lines += wrap(code.remedy, limit, "  ")
    elif status.switch.mode != "ENGAGED" and not status.confirmed:
        if status.on_failover == "halt":
            ends = "somebody permits trading again: `killswitch reset`"
        else:
            ends = f"the next heartbeat, which goes on as KILLSWITCH_ON_FAILOVER={status.on_failover} says"
        lines += wrap(f"every gate is closed until {ends}", limit, "  ")
    if status.on_failover != "halt":
        text = f"a restart or fail-over of Redis does not stop the fleet: on record is {status.on_failover}"
        lines += [paint(line, "warn") for line in wrap(text, limit, "  ")]
    if status.scopes:
        titles = (Column("SCOPE", 16), Column("SAYS", 20), Column("EPOCH", right=True), Column("BY", 8))
        lines += ["", *table((*titles, Column("WHY", 12)), map(_scope_row, status.scopes), paint, limit)]
    lines += ["", counts(status.members)]
    if status.members:
        lines += worker_lines(status.members, version, paint, limit)
    drill, style = last_drill_line(status)
    lines += ["", *(paint(line, style) for line in wrap(drill, limit))] if drill else []
    run = f", run {fit(clean(status.run_id[:8]), 20)}" if status.run_id else ""
    server = fit(clean(status.server), 40)
    return [*lines, "", paint(f"{server}{run}, {wall_text(status.at_ms)}", "dim")]
