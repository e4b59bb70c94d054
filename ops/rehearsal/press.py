"""The SET, and the time until every worker has proved to be quiet.

The subscription to the acknowledgements is there before the SET is sent, and both lines are bare sockets read by this
one thread, so the times are those an operator's tool could have at best. An acknowledgement says when; the proof is the
worker's own entry in the registry, read afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from killswitch import Member
from killswitch.clock import NS_PER_MS, now_ns
from ops.rehearsal.line import RawLine
from ops.rehearsal.stage import Stage

__all__ = ["Press", "press"]

_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Press:
    """One SET. `sent_ns` just before it was sent, `ok_ns` when +OK had been received (both `clock.now_ns`, which the
    processes of a host share). `quiet_ns`: worker id to when its acknowledgement was here, proved by its entry, for
    those that are quiet; `pending` are the others."""

    command: str
    sent_ns: int
    ok_ns: int
    epoch: int
    quiet_ns: Mapping[str, int]
    pending: Collection[str]

    @property
    def quiet_ms(self) -> float | None:
        """From the SET until the last worker was quiet; None while one is not."""
        return None if self.pending else (max(self.quiet_ns.values()) - self.sent_ns) / NS_PER_MS

    @property
    def quiet_after_ok_ms(self) -> float | None:
        """The same from +OK on."""
        return None if self.pending else (max(self.quiet_ns.values()) - self.ok_ns) / NS_PER_MS


def press(stage: Stage) -> Press:
    """Sends `SET <prefix>:state ENGAGED` as redis-cli would, and waits for the proof of quiet, for a bounded time."""
    settings = stage.places.settings
    key = f"{settings.prefix}:state"
    before = stage.epoch()
    workers = {member.worker_id for member in stage.members()}
    with RawLine(settings) as acks, RawLine(settings) as line:
        acks.call("SUBSCRIBE", f"{settings.prefix}:acks")
        _, sent_ns, ok_ns = line.timed("SET", key, "ENGAGED")
        heard: dict[str, int] = {}
        proved: dict[str, int] = {}
        epoch = 0
        deadline_ns = ok_ns + int(_PATIENCE_S * 1e9)
        while len(proved) < len(workers) and now_ns() < deadline_ns:
            _hear(acks, heard, workers, before)
            seen_ns = now_ns()
            for member in stage.members():
                if _quiet(member, before):
                    proved.setdefault(member.worker_id, heard.get(member.worker_id, seen_ns))
                    epoch = max(epoch, member.quiet_epoch)
    pending = sorted(workers - proved.keys())
    return Press(f"SET {key} ENGAGED", sent_ns, ok_ns, epoch, proved, pending)


def _hear(acks: RawLine, heard: dict[str, int], workers: Collection[str], before: int) -> None:
    """Takes in acknowledgements until all are there or none came for a while."""
    while len(heard) < len(workers) and (found := acks.wait(_LOOK_EVERY_S)) is not None:
        message, at_ns = found
        worker, _, epoch = str(message[2]).rpartition(" ")
        if worker in workers and epoch.isdigit() and int(epoch) > before:
            heard.setdefault(worker, at_ns)


def _quiet(member: Member, before: int) -> bool:
    """Whether the worker itself reported closed gates and nothing in flight, at an epoch after the SET."""
    return member.known and member.closed and member.quiet_epoch > before and member.in_flight == 0
