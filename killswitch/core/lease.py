"""How long a permission may be believed: integer arithmetic on times that are passed in."""

from __future__ import annotations

__all__ = ["CLOCK_RATE_ERROR", "LONGEST_LEASE_MS", "closed_by_ms", "deadline_ns"]

CLOCK_RATE_ERROR = 0.10
"""Largest rate error of a worker's clock that the bounds allow for. Time daemons may slew by 8.3 %."""

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


def closed_by_ms(lease_ms: int) -> int:
    """How long after an engagement (or a failure) every lease of `lease_ms` has run out, as seen by a right clock.

    W = L / (1 - rho): a worker whose clock runs slow by rho believes its lease for that long.
    """
    return int(lease_ms / (1 - CLOCK_RATE_ERROR)) + 1
