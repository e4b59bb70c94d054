"""The fleet as Redis shows it, and when it may be called quiet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from killswitch.core.approval import approval_words
from killswitch.core.deadman import Deadman
from killswitch.core.drill_record import DrillRecord, Running
from killswitch.core.lease import LONGEST_LEASE_MS, closed_by_ms
from killswitch.core.modes import MAX_EPOCH, SWITCH, Mode
from killswitch.core.reasons import Code
from killswitch.core.sinks import parse_sessions

__all__ = [
    "MEMBERS_MAX",
    "MEMBER_FIELDS",
    "MEMBER_FIELD_MAX",
    "FleetStatus",
    "Member",
    "SwitchState",
    "followers",
    "lease_bound_ms",
    "nobody_there",
    "not_quiet",
    "parse_member",
]

MEMBERS_MAX = 10_000
"""Most members that are read. Ten times the largest fleet this is made for; more are somebody's attempt to keep an
operator's tool busy, and are told as one member that nobody knows."""

MEMBER_FIELDS = (
    "host", "pid", "version", "build", "engine", "scopes", "mode", "code", "seen_epoch", "quiet_epoch", "closed",
    "closed_ms", "in_flight", "orders", "rung", "lease_ms", "beat_ms", "started_ms", "info", "refused", "slack_ms",
    "rival_until_ms", "line", "drill",
)  # fmt: skip
"""The fields of a worker's hash that are read: of others there may be any number."""

MEMBER_FIELD_MAX = 65_536
"""Longest field, in bytes, that is read: ten times what a worker with many scopes and orders writes."""

_CODES = frozenset(map(str, Code))
_NAMED, _SHOWN = 5, 80


@dataclass(frozen=True, slots=True)
class Member:
    """One worker, in its own words. `known` is False when it is in the membership but its hash is gone.

    `quiet_epoch` is the epoch at which it reported closed gates and nothing in flight (0: it did not). `in_flight` and
    `orders` are its last words on orders between announcement and release. `beat_age_ms` is the time since its last
    heartbeat by the server's clock. `closed_ms`: how long it had been closed when it last spoke. `sinks` are the places
    that its orders go to, `name/session`, as it said before it sent any (none: it did not say, or not readably).
    `build` tells one build of the gate code from another of the same `version`.
    `rival`: another life that had not ended in order speaks under the same name, and what that one does is not known.
    `refused`: how many checks were refused at gate 1 and at gate 2, by code, since the agent was made. `slack_ms`: the
    least that was left of its lease when it was renewed in the time before its last words (None: it was not renewed).
    `drills`: its release knows drills; `drill`: what its row says of the last one, see `core.drill.Acknowledgement`.
    """

    worker_id: str
    known: bool = True
    host: str = ""
    pid: int = 0
    version: str = ""
    build: str = ""
    engine: str = ""
    scopes: tuple[str, ...] = ()
    mode: str = "ENGAGED"
    code: str = ""
    epoch: int = 0
    quiet_epoch: int = 0
    closed: bool = False
    closed_ms: int = 0
    in_flight: int = 0
    orders: tuple[str, ...] = ()
    rung: str = ""
    lease_ms: int = 0
    beat_ms: int = 0
    beat_age_ms: int = 0
    started_ms: int = 0
    sinks: tuple[str, ...] = ()
    rival: bool = False
    refused: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    slack_ms: int | None = None
    drills: bool = False
    drill: str = ""
    info: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def silent(self) -> bool:
        """Whether it has missed two heartbeats."""
        return not self.known or self.beat_age_ms > 2 * max(self.beat_ms, 1) + 1000

    @property
    def lease_left_ms(self) -> int:
        """How much longer its gates may be open although nothing is heard of it, at most; 0: they are closed.

        Only the answer to a beat opens, so who was quiet is closed until it speaks again. Anybody else may have gone on
        renewing until its next beat was due; from that question on its lease runs, by a clock up to 10 % off. What is
        not told counts as the longest that settings allow, and another life under the same name as just renewed."""
        if self.known and self.quiet_epoch and not self.in_flight and not self.rival:
            return 0
        renewing_ms = closed_by_ms(self.beat_ms or LONGEST_LEASE_MS)
        since_ms = 0 if self.rival else max(0, self.beat_age_ms - renewing_ms)
        return max(0, closed_by_ms(self.lease_ms or LONGEST_LEASE_MS) - since_ms)


@dataclass(frozen=True, slots=True)
class SwitchState:
    """The switch (`scope` is "switch") or one scope: what the key holds and what the ledger says of it.

    `ttl_ms` is the rest of a time-boxed permission, None without one (for a dead man's switch see
    `FleetStatus.deadman`). `recorded` is False between a change by hand and the beat that records it. `approved_by`:
    where two persons have to permit, the one who has approved something at this epoch, and what.
    `unapproved`: it is on record as what one person did by hand where two have to permit, so no gate opens by it.
    """

    scope: str
    mode: Mode
    code: Code
    text: str
    reason: str
    epoch: int
    recorded: bool
    ttl_ms: int | None
    actor: str
    why: str
    via: str
    at_ms: int
    approved_by: str = ""
    approved_what: str = ""
    unapproved: bool = False

    @property
    def approved_words(self) -> str:
        """What was approved, for people."""
        return approval_words(self.approved_what)


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """Everything `status` shows, of one moment `at_ms` (server clock).

    `trouble` says why a worker's question would be refused now (None: it would not), so why no gate can be open.
    `library` is the version of the function library that answered (None: none did). `left_out`: scopes that were not
    looked at because there are too many.
    `on_failover` is what is on record for a restart or fail-over: halt, resume or reassert. `persons`: how many a
    permission takes, 1 or 2.
    `deadman`: the permission in force ends unless it is renewed (None: nobody has to).
    `drill` is under way now, `last_drill` was the newest that was kept.
    """

    at_ms: int
    switch: SwitchState
    scopes: tuple[SwitchState, ...]
    members: tuple[Member, ...]
    epoch: int
    confirmed: bool
    run_id: str
    server: str
    trouble: tuple[Code, str] | None
    library: int | None = None
    left_out: int = 0
    on_failover: str = "halt"
    deadman: Deadman | None = None
    drill: Running | None = None
    last_drill: DrillRecord | None = None
    persons: int = 1

    def nobody_there(self, scope: str) -> str:
        """Why a stop of `scope` stopped nobody; "" where somebody follows it."""
        return "" if followers(self.members, scope) else nobody_there(self.members, scope)


def _whole(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "")
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return min(value, MAX_EPOCH)


def _json(text: str, kind: type) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _refusals(text: str) -> dict[str, tuple[int, int]]:
    """Counts by code, for codes of the closed list only."""
    found: dict[str, tuple[int, int]] = {}
    counts = _json(text, dict)
    for code, pair in counts.items() if isinstance(counts, dict) else ():
        if code in _CODES and isinstance(pair, list) and len(pair) == 2 and all(map(_countable, pair)):
            found[code] = (pair[0], pair[1])
    return found


def _countable(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_EPOCH


def _signed(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else None


def parse_member(worker_id: str, fields: Mapping[str, str], beat_at_ms: int, now_ms: int) -> Member:
    """Reads a worker's hash; total, because anybody may have written there: nonsense reads as the closed-minded value
    (not quiet, not closed), never as the reassuring one. A field of a size that no worker writes: it is unknown."""
    if not fields or any(len(text) > MEMBER_FIELD_MAX for text in fields.values()):
        return Member(worker_id, known=False, beat_age_ms=max(0, now_ms - beat_at_ms))
    orders = _json(fields.get("orders", ""), list)
    info = _json(fields.get("info", ""), dict)
    in_flight = fields.get("in_flight", "")
    certain = in_flight.isascii() and in_flight.isdigit()
    rival_until = fields.get("rival_until_ms", "0")
    return Member(
        worker_id=worker_id,
        host=fields.get("host", ""),
        pid=_whole(fields, "pid"),
        version=fields.get("version", ""),
        build=fields.get("build", ""),
        engine=fields.get("engine", ""),
        scopes=tuple(part for part in fields.get("scopes", "").split(",") if part),
        mode=fields.get("mode", ""),
        code=fields.get("code", ""),
        epoch=_whole(fields, "seen_epoch"),
        quiet_epoch=_whole(fields, "quiet_epoch") if certain else 0,
        closed=fields.get("closed") == "1",
        closed_ms=_whole(fields, "closed_ms"),
        in_flight=_whole(fields, "in_flight"),
        orders=tuple(str(name) for name in orders) if isinstance(orders, list) else (),
        rung=fields.get("rung", ""),
        lease_ms=_whole(fields, "lease_ms"),
        beat_ms=_whole(fields, "beat_ms"),
        beat_age_ms=max(0, now_ms - beat_at_ms),
        started_ms=_whole(fields, "started_ms"),
        sinks=tuple(map(str, parse_sessions(info.get("sinks")))) if isinstance(info, dict) else (),
        rival=not (rival_until.isascii() and rival_until.isdigit()) or int(rival_until[:20]) > now_ms,
        refused=_refusals(fields.get("refused", "")),
        slack_ms=_signed(fields.get("slack_ms", "")),
        drills="line" in fields,
        drill=fields.get("drill", ""),
        info=info if isinstance(info, dict) else {},
    )


def followers(members: Iterable[Member], scope: str) -> tuple[Member, ...]:
    """The members that `scope` concerns. One whose hash is gone concerns every scope, because it cannot be asked; so
    does one under whose name another life speaks, because the scopes that are told are those of one of them."""
    return tuple(m for m in members if scope == SWITCH or scope in m.scopes or not m.known or m.rival)


def nobody_there(members: Sequence[Member], scope: str) -> str:
    """Why nobody follows `scope`. Either way that proves nothing: an empty membership is what a flush leaves behind,
    and a scope that nobody follows may be a slip of the pen, while what was meant trades on."""
    if not members:
        return "no worker is registered, so nobody is there to prove it; if there should be, their record was lost"
    followed = sorted({one[:_SHOWN] for member in members for one in member.scopes})  # anybody may have written them
    more = f" and {len(followed) - _NAMED} more" if len(followed) > _NAMED else ""
    shown = f"followed are {', '.join(followed[:_NAMED])}{more}" if followed else "all of them follow the switch alone"
    return f"no worker follows {scope}, so this stopped nobody; {shown}"


def not_quiet(members: Iterable[Member], epoch: int) -> tuple[Member, ...]:
    """The members that have not proved to be closed with nothing in flight at `epoch` or a later one (P6)."""
    return tuple(m for m in members if not m.known or m.quiet_epoch < epoch or m.in_flight)


def lease_bound_ms(members: Iterable[Member], own_lease_ms: int) -> int:
    """The longest lease anybody may hold: the members' and this tool's own setting, whichever is longest. A member that
    does not tell its lease may have the longest that settings allow."""
    return max([own_lease_ms, *(m.lease_ms if m.known and m.lease_ms else LONGEST_LEASE_MS for m in members)])
