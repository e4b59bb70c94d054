"""Rules about the line between a worker and Redis: what was measured, beside what the promises need."""

from __future__ import annotations

from killswitch.core.checks.facts import Facts
from killswitch.core.checks.finding import Judged, Unseen, fail, ok, warn
from killswitch.core.lease import CLOCK_RATE_ERROR

__all__ = ["clock", "round_trip", "tracking"]

_NOTABLE_RATE = 0.01
_US_PER_MS = 1000


def _us(us: float) -> str:
    return f"{us:.0f} µs" if us < _US_PER_MS else f"{us / _US_PER_MS:.1f} ms"


def tracking(facts: Facts) -> Judged:
    """The announcement of a change is here before the answer to whoever made it (P2)."""
    seen = facts.pushes
    if seen is None:
        raise facts.why_not("pushes")
    if seen.trouble:
        raise Unseen(seen.trouble)
    if seen.rung != "bcast":
        text = f"rung {seen.rung}: a change is noticed only after the operator was answered"
        if facts.settings.rung == seen.rung:
            return warn(f"{text}; KILLSWITCH_RUNG asks for it", "take KILLSWITCH_RUNG away")
        return fail(text, "connect to Redis itself instead of a proxy, or allow CLIENT TRACKING for workers")
    count = f"{seen.rounds} changes"
    if not seen.rounds:
        raise Unseen("no change could be made on the probe key")
    if seen.lost:
        return fail(f"rung bcast, but {seen.lost} of {count} were never announced", "find what stands between")
    if not seen.late:
        return ok(f"rung bcast: {count}, each announced before its +OK (median {_us(seen.trip_us)})")
    text = f"rung bcast: {seen.late} of {count} announced after their +OK, by up to {_us(seen.worst_us)}"
    # Two connections over a network: one packet may overtake the other by what the way itself varies, no more.
    if not facts.settings.local and seen.worst_us <= seen.trip_us / 2:
        return ok(f"{text}, less than the way there takes ({_us(seen.trip_us / 2)})")
    return fail(text, "set io-threads 1 in the server's configuration; if it is, what stands between has to go")


def clock(facts: Facts) -> Judged:
    """The lease of this host is as long as it is meant to be."""
    seen = facts.clock
    if seen is None:
        raise facts.why_not("clock")
    off = abs(seen.rate)
    text = (
        f"rate {seen.rate:+.3%} of the server's, measured to ±{seen.error:.3%} over {seen.stretch_ms / 1000:.1f} s; "
        f"wall clocks {abs(seen.apart_ms):.0f} ms apart"
    )
    limit = f"{CLOCK_RATE_ERROR:.0%}"
    if off - seen.error > CLOCK_RATE_ERROR:
        return fail(text, f"more than {limit}: look at the time daemon of this host and of Redis's (a step, a slew?)")
    if off + seen.error > CLOCK_RATE_ERROR:
        return warn(text, f"{limit} cannot be ruled out: measure from a host nearer to Redis")
    if off - seen.error > _NOTABLE_RATE:
        return warn(text, "one of the two clocks is being slewed or was set: repeat this when that is over")
    return ok(text)


def round_trip(facts: Facts) -> Judged:
    """A renewal is answered well within its patience and the lease."""
    seen, set_to = facts.trips, facts.settings
    if seen is None:
        raise facts.why_not("trips")
    text = (
        f"{seen.what}: p50 {_us(seen.p50_us)}, p99 {_us(seen.p99_us)}, longest {_us(seen.worst_us)} of {seen.count}; "
        f"renew {set_to.renew_ms} ms, patience {set_to.patience_ms} ms, lease {set_to.lease_ms} ms"
    )
    p99_ms = seen.p99_us / _US_PER_MS
    if p99_ms >= set_to.patience_ms or p99_ms + set_to.renew_ms >= set_to.lease_ms:
        return fail(text, "gates would close for no reason: raise KILLSWITCH_LEASE_MS and KILLSWITCH_PATIENCE_MS")
    if p99_ms >= set_to.renew_ms or p99_ms >= set_to.patience_ms / 2:
        return warn(text, "one slow answer more closes gates: raise the lease, or move nearer to Redis")
    return ok(text)
