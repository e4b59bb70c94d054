"""The fleet on a screen: what `status` prints and `watch` repeats. Pure: a picture in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from killswitch import Mode, read_told
from killswitch.clock import wall_text
from ops.drilling.telling import last_drill_line
from ops.limits import limit_lines
from ops.render import COLUMNS, Cell, Column, Paint, ago, brief, clean, count_of, fit, quoted, span, table, wrap

if TYPE_CHECKING:
    from killswitch import FleetStatus, Member, SwitchState

__all__ = ["counts", "headline", "member_name", "state_words", "status_lines", "worker_lines"]

_NAMED = 2
_BEST_RUNG = "bcast"
_LOST_WITH_IT = (
    "before you reset: a stop of a scope that Redis lost with it is not put back by anything. Ask who stopped what, "
    "read `killswitch audit list`, and engage that scope again"
)
_NO_STATE = (
    "if nobody deleted the state key by hand Redis lost its data, and with it its scopes and the rules for the fleet "
    f"(two persons, what a fail-over means); {_LOST_WITH_IT}"
)
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
    return f"ENGAGED: {clean(text[8:].strip())}" if text.startswith("ENGAGED ") else quoted(text)


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
    if switch.unapproved:
        return f"{switch.mode} was written by hand, and opens nothing: two persons have to permit", "warn"
    if not switch.recorded and status.persons > 1:
        return f"{switch.mode} was written by hand; what loosens opens nothing, because it takes two persons", "warn"
    if not switch.recorded:
        return f"{switch.mode} was written by hand; it counts once a worker's beat has recorded it", "warn"
    if status.deadman is not None and not status.deadman.left_ms:
        return f"{switch.mode} is written, but void: nobody renewed the permission", "warn"
    return text, _MODE_STYLES[switch.mode]


def _record(state: SwitchState, now_ms: int) -> str:
    parts = [f"epoch {state.epoch}"]
    if state.unapproved:
        parts.append("not accepted")
    if state.actor:
        parts.append(f"by {clean(state.actor)}")
    if state.via:
        parts.append(f"via {clean(state.via)}")
    if state.at_ms:
        parts.append(f"{wall_text(state.at_ms)} ({ago(now_ms - state.at_ms)})")
    told = ", ".join(parts)
    if state.recorded or state.unapproved:
        return told
    return "by hand, not recorded yet" + (f"; on record before it: {told}" if state.epoch else "")


def _why(state: SwitchState, said: str) -> str:
    """The reason that is on record of this very change, where it is not said already."""
    why = clean(state.why) if state.recorded or state.unapproved else ""
    return "" if why in said else why


def counts(members: Iterable[Member]) -> str:
    """One line about all workers."""
    everyone = list(members)
    if not everyone:
        return "no worker is registered"
    closed = sum(m.closed for m in everyone)
    flying = sum(m.in_flight for m in everyone)
    silent = sum(m.silent for m in everyone)
    ended = sum(_lease_is_out(m) for m in everyone)
    parts = [f"{count_of(len(everyone), 'worker')}: {closed} closed, {len(everyone) - closed - ended} open"]
    if ended:
        parts.append(f"{ended} with its lease run out" if ended == 1 else f"{ended} with their leases run out")
    parts.append(f"{count_of(flying, 'order')} in flight")
    if silent:
        parts.append(f"{silent} silent")
    return ", ".join(parts)


def _lease_is_out(member: Member) -> bool:
    """Whether it last said that it was open, and has been silent for longer than that can have lasted."""
    return member.silent and not member.closed and not member.lease_left_ms


def _gate_and_lease(member: Member) -> tuple[Cell, Cell]:
    said = clean(member.mode if member.code in ("open", "engaged", "reducing", "") else member.code)
    if _lease_is_out(member):
        return (f"was {said}", "warn"), "run out"
    left_ms = min(member.lease_ms, member.lease_left_ms) if member.silent else member.lease_ms
    return (said, _MODE_STYLES.get(member.mode, "")), "closed" if member.closed else f"≤ {span(left_ms)}"


def _worker_row(member: Member, version: str) -> tuple[Cell, ...]:
    age = span(member.beat_age_ms)
    beat: Cell = (f"{age} silent", "stop") if member.silent else age
    if not member.known:
        return clean(member.worker_id), "", ("unknown", "stop"), "", "", "", "", "", beat
    gate, lease = _gate_and_lease(member)
    flying: Cell = (str(member.in_flight), "warn") if member.in_flight else "0"
    return (
        clean(member.worker_id),
        clean(member.engine),
        gate,
        str(member.epoch),
        flying,
        lease,
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
    rows = [_worker_row(m, version) for m in members]
    if limit < COLUMNS:
        rows = _without(rows, columns, {"RUNG": _BEST_RUNG, "VERSION": version})
    return table(columns, rows, paint, limit)


def _without(
    rows: list[tuple[Cell, ...]], columns: Sequence[Column], usual: Mapping[str, str]
) -> list[tuple[Cell, ...]]:
    """For a narrow screen: columns in which everybody says what is usual say nothing, and are left out."""
    idle = {
        at
        for at, column in enumerate(columns)
        if column.title in usual and all(row[at] in ("", usual[column.title]) for row in rows)
    }
    return [tuple("" if at in idle else cell for at, cell in enumerate(row)) for row in rows]


def _scope_row(state: SwitchState, members: Iterable[Member]) -> tuple[Cell, ...]:
    names = [clean(one.engine or one.worker_id) for one in members if state.scope in one.scopes]
    if state.unapproved:
        state = replace(state, mode=Mode.ENGAGED, text="", reason="lifted by hand, and two persons have to permit")
    more = ", ..." if len(names) > _NAMED else ""
    followed = f"{len(names)}: {', '.join(names[:_NAMED])}{more}" if names else "nobody"
    if state.text == "(absent)":
        return (
            clean(state.scope),
            ("as the switch", "dim"),
            str(state.epoch or ""),
            clean(state.actor),
            followed,
            "",
        )
    said = clean(state.text[8:].strip()) if state.text.startswith("ENGAGED ") else ""
    if state.mode == "ENGAGED" and not state.text.startswith("ENGAGED"):
        said = clean(state.reason)
    why = "; ".join(part for part in (said, _why(state, said)) if part)
    says = (str(state.mode), _MODE_STYLES[state.mode])
    if not (state.recorded or state.unapproved):  # what is on record is of the change before
        why = "; ".join(part for part in (said, "by hand, not recorded yet") if part)
        return clean(state.scope), says, "", "", followed, why
    return clean(state.scope), says, str(state.epoch or ""), clean(state.actor), followed, why


def _scope_lines(status: FleetStatus, paint: Paint, limit: int) -> list[str]:
    columns = (
        Column("SCOPE", least=13, middle=True),
        Column("SAYS", least=8),
        Column("EPOCH", right=True),
        Column("BY", least=7),
        Column("FOLLOWED BY", least=11),
        Column("WHY", least=12, wrap=True),
    )
    return table(columns, [_scope_row(state, status.members) for state in status.scopes], paint, limit)


def _persons_lines(status: FleetStatus, paint: Paint, limit: int) -> list[str]:
    """That a permission takes two persons, and what the first of them has approved."""
    if status.persons < 2:
        return []
    lines = wrap("a permission takes two persons, who ask for the same at the same epoch", limit, "  ")
    for state in (status.switch, *status.scopes):
        if state.approved_by:
            of = "" if state.scope == status.switch.scope else f" of {clean(state.scope)}"
            who, what = clean(state.approved_by), clean(state.approved_words)
            text = f"{who} has approved {what}{of}, epoch {state.epoch}; it takes another person"
            lines += [paint(line, "cyan") for line in wrap(text, limit, "  ")]
    return lines


def _data_may_be_lost(status: FleetStatus) -> bool:
    """Whether the state is gone that was there, or a worker has seen more than is on record."""
    gone = status.switch.text == "(absent)" and bool(status.epoch or status.members)
    return gone or any(one.epoch > status.epoch for one in status.members)


def status_lines(status: FleetStatus, version: str, paint: Paint, limit: int = COLUMNS) -> list[str]:
    """The whole screen."""
    text, style = headline(status)
    lines = wrap(text, limit)
    lines = [paint(f" {line} " if style == "alarm" and paint.enabled else line, style) for line in lines]
    lines += wrap(_record(status.switch, status.at_ms), limit, "  ")
    if why := _why(status.switch, text):
        lines += wrap(f"why: {why}", limit, "  ")
    if status.switch.via in ("incarnation", "reassert"):
        lines += [paint(line, "warn") for line in wrap(_LOST_WITH_IT, limit, "  ")]
    elif _data_may_be_lost(status):
        lines += [paint(line, "warn") for line in wrap(_NO_STATE, limit, "  ")]
    lines += limit_lines(status, paint, limit)
    lines += _persons_lines(status, paint, limit)
    if status.trouble:
        code, reason = status.trouble
        for line in wrap(f"no worker can renew [{code}]: {clean(reason)}", limit, "  "):
            lines.append(paint(line, "stop"))
        lines += wrap(code.remedy, limit, "  ") if code.remedy.rstrip(".") not in reason else []
    elif status.switch.mode != "ENGAGED" and not status.confirmed:
        if status.on_failover == "halt":
            ends = 'somebody permits trading again: `killswitch reset --reason "..."`'
        else:
            ends = f"the next heartbeat, which goes on as KILLSWITCH_ON_FAILOVER={status.on_failover} says"
        lines += wrap(f"every gate is closed until {ends}", limit, "  ")
    if status.on_failover != "halt":
        text = f"a restart or fail-over of Redis does not stop the fleet: on record is {status.on_failover}"
        lines += [paint(line, "warn") for line in wrap(text, limit, "  ")]
    if status.scopes:
        lines += ["", *_scope_lines(status, paint, limit)]
    lines += ["", counts(status.members)]
    if status.members:
        lines += worker_lines(status.members, version, paint, limit)
    drill, style = last_drill_line(status)
    lines += ["", *(paint(line, style) for line in wrap(drill, limit))] if drill else []
    run = f", run {fit(clean(status.run_id[:8]), 20)}" if status.run_id else ""
    server = fit(clean(status.server), 40)
    return [*lines, "", paint(f"{server}{run}, {wall_text(status.at_ms)}", "dim")]
