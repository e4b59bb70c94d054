"""What is proved about workers that did not say that they are quiet: may an order of an older epoch still reach a sink?

It cannot where two things hold. The worker's lease has run out, so its gate is closed and lets nothing new pass. And
every sink that its orders go to has confirmed a fence at or above the epoch of the stop, so what had passed the gate
before, and has not arrived yet, is refused there, however late the worker wakes up. Whatever is not known speaks
against it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from killswitch.core.fleet import Member
from killswitch.core.lease import closed_by_ms

__all__ = ["SinkFence", "Standing", "fenceable_ms", "may_turn_quiet", "standing"]


@dataclass(frozen=True, slots=True)
class SinkFence:
    """One sink that a worker named, `name/session`, and the fence that it confirmed (0: none)."""

    sink: str
    fence: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One worker that is not proved quiet. `missing` says what keeps it from being fenced; "" when it is."""

    worker_id: str
    fenced: bool
    fences: tuple[SinkFence, ...]
    missing: str


def fenceable_ms(member: Member) -> int | None:
    """How long after the stop a fence proves something about this worker; None when it never does."""
    known = member.known and not member.rival and member.lease_ms > 0 and member.sinks
    return closed_by_ms(member.lease_ms) if known else None


def may_turn_quiet(member: Member, epoch: int) -> bool:
    """Whether it has answered this stop and is waited for only because of its orders in flight: worth the rest of the
    wait, because QUIET tells more than FENCED."""
    return member.known and member.closed and member.epoch >= epoch > 0 and not member.silent


def standing(
    member: Member,
    epoch: int,
    elapsed_ms: float,
    confirmed: Mapping[str, int],
    sinks: Collection[str],
    trouble: Mapping[str, str],
) -> Standing:
    """Whether one worker is fenced at `epoch`, `elapsed_ms` after the stop was confirmed.

    `confirmed` has the fence of each `name/session` that a sink told, `sinks` the names that are configured, and
    `trouble` what went wrong at a sink.
    """
    fences = tuple(SinkFence(sink, confirmed.get(sink, 0)) for sink in member.sinks)
    missing = _missing(member, epoch, elapsed_ms, fences, sinks, trouble)
    return Standing(member.worker_id, not missing, fences, missing)


def _missing(
    member: Member,
    epoch: int,
    elapsed_ms: float,
    fences: tuple[SinkFence, ...],
    sinks: Collection[str],
    trouble: Mapping[str, str],
) -> str:
    if epoch <= 0:
        return "the stop has no epoch yet that a sink could refuse"
    if not member.known:
        return "nobody knows where its orders go"
    if member.rival:
        return "another process speaks under its name, and where that one's orders go is not known"
    if member.lease_ms <= 0:
        return "it did not tell its lease"
    if elapsed_ms < (bound_ms := closed_by_ms(member.lease_ms)):
        return f"its lease may run until {bound_ms} ms after the stop"
    if not fences:
        return "it names no sink that could refuse its old orders"
    names = {fence.sink: fence.sink.partition("/")[0] for fence in fences}
    if strange := sorted({name for name in names.values() if name not in sinks}):
        return f"KILLSWITCH_SINKS does not say where to find {', '.join(strange)}"
    lacking = [fence.sink for fence in fences if fence.fence < epoch]
    if lacking:
        why = {f"{name} {trouble[name]}" for name in (names[sink] for sink in lacking) if trouble.get(name)}
        return f"no fence at {', '.join(lacking)}: {'; '.join(sorted(why)) or 'no answer yet'}"
    return ""
