"""How long a permission may be believed: integer arithmetic on times that are passed in."""

from __future__ import annotations

__all__ = ["CLOCK_RATE_ERROR", "LONGEST_LEASE_MS", "closed_by_ms", "deadline_ns", "surely_passed_ms"]

CLOCK_RATE_ERROR = 0.10
"""Largest rate error that the bounds allow for, of each clock and in either direction: while a second passes, a clock
shows between 0.9 and 1.1 of it. Time daemons may slew by 8.3 %."""

LONGEST_LEASE_MS = 60_000
"""The longest lease that settings allow."""

_NS_PER_MS = 1_000_000


def deadline_ns(sent_ns: int, lease_ms: int, ttl_ms: int | None) -> int:
    """When a permission ends that was asked for at `sent_ns`.

    It counts from the moment the question was SENT: the answer may have waited anywhere for any time, and it was true
    no later than when Redis gave it. The key's own time to live, as Redis told it, bounds it as well.
    """
    bound = lease_ms if ttl_ms is None else min(lease_ms, ttl_ms)
    return sent_ns + bound * _NS_PER_MS


def surely_passed_ms(duration_ms: int) -> int:
    """What this host's clock must show before `duration_ms` have passed on another host's clock for certain.

    W = D * (1 + rho) / (1 - rho). The other clock may be slow: its D takes up to D / (1 - rho) of true time. This clock
    may be fast: in a true time of T it shows up to T * (1 + rho). Neither can be known here, so both are allowed for.
    """
    return int(duration_ms * (1 + CLOCK_RATE_ERROR) / (1 - CLOCK_RATE_ERROR)) + 1


def closed_by_ms(lease_ms: int) -> int:
    """How long after an engagement (or a failure) every lease of `lease_ms` has run out, as who waits for it counts:
    the worker counts its lease on one clock, the wait is counted on another."""
    return surely_passed_ms(lease_ms)
