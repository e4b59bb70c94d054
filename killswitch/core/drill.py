"""What a drill showed of each worker: was the announcement acknowledged, after how long, and if not, why.

A drill proves nothing about a stop that is in force, and says nothing about quiet: it shows that the line works, and
how fast. What is not known speaks against it. All of it is read from rows and texts that anybody may have written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from killswitch.core.fleet import Member
from killswitch.core.lease import LONGEST_LEASE_MS, closed_by_ms

__all__ = [
    "Acknowledgement",
    "DrilledWorker",
    "bound_of",
    "cannot_be_drilled",
    "drilled",
    "parse_acknowledgement",
]

_ACK = re.compile(r"([0-9a-f]{8,32}) (\d{1,15}) (\d{1,9})(?: (\d{1,12}) (\d{1,12}) (\d{1,12}))?(?: .*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the row of a worker says of a drill. `recorded_us`: from the announcement to the acknowledgement, both in
    Redis, by its clock. `in_flight`: orders between announcement and release at that moment. By the worker's own clock,
    from when it saw the announcement: `shut_us` until the gate was closed, `asked_us` until the question was sent; and
    `answer_us`, how long the question before had taken to be answered. None: not told."""

    token: str
    recorded_us: int
    in_flight: int
    shut_us: int | None = None
    asked_us: int | None = None
    answer_us: int | None = None


def parse_acknowledgement(text: str, token: str) -> Acknowledgement | None:
    """Reads the field `drill` of a row; None where it is not about the drill `token`, or not of the agreed form."""
    match = _ACK.fullmatch(text[:256])
    if match is None or match[1] != token:
        return None
    shut, asked, answer = (None if part is None else int(part) for part in match.groups()[3:])
    return Acknowledgement(token, int(match[2]), int(match[3]), shut, asked, answer)


@dataclass(frozen=True, slots=True)
class DrilledWorker:
    """One worker in a drill. `heard_us`: from the SET sent to its acknowledgement heard, by the clock of who drills;
    the rest as in `Acknowledgement`. `missing` says why it does not count; "" when it acknowledged within
    `bound_ms`."""

    worker_id: str
    engine: str
    host: str
    bound_ms: int
    heard_us: int | None
    recorded_us: int | None
    in_flight: int
    shut_us: int | None
    asked_us: int | None
    answer_us: int | None
    missing: str

    @property
    def acknowledged(self) -> bool:
        """Whether it counts."""
        return not self.missing


def bound_of(member: Member) -> int:
    """Within how many milliseconds its gate is closed whatever happens: the end of its lease."""
    return closed_by_ms(member.lease_ms if member.known and member.lease_ms else LONGEST_LEASE_MS)


def cannot_be_drilled(member: Member) -> str:
    """Why no acknowledgement can come from this worker; "" when one can."""
    if not member.known:
        return "its last words are gone"
    if not member.drills:
        return "its release does not know drills"
    if member.rung == "polling":
        return "no announcement reaches it: it learns by asking (rung polling)"
    if member.rival:
        return "another process speaks under its name"
    return ""


def drilled(member: Member, token: str, heard_us: int | None) -> DrilledWorker:
    """What the drill `token` showed of one worker, by its row as it is afterwards. What was heard counts only with the
    row: anybody may write to the channel."""
    ack, bound_ms = parse_acknowledgement(member.drill, token), bound_of(member)
    missing = cannot_be_drilled(member)
    if not missing and (ack is None or heard_us is None):
        silent = f"; it has been silent for {member.beat_age_ms} ms" if member.silent else ""
        missing = f"no acknowledgement within {bound_ms} ms{silent}"
    elif not missing and heard_us is not None and heard_us > bound_ms * 1000:
        missing = f"acknowledged after {heard_us // 1000} ms, later than {bound_ms} ms"
    if ack is None or heard_us is None:
        return DrilledWorker(
            member.worker_id, member.engine, member.host, bound_ms, None, None, 0, None, None, None, missing
        )
    # A clock of the server that jumped is not taken for a duration.
    recorded_us = ack.recorded_us if ack.recorded_us <= heard_us else None
    return DrilledWorker(
        member.worker_id,
        member.engine,
        member.host,
        bound_ms,
        heard_us,
        recorded_us,
        ack.in_flight,
        ack.shut_us,
        ack.asked_us,
        ack.answer_us,
        missing,
    )
