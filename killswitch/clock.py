"""The one module that reads time.

Leases are measured on CLOCK_BOOTTIME where the system has it, because it goes on counting while the machine is
suspended: a laptop lid closed for an hour must not leave a gate open. Elsewhere the monotonic clock is used. Wall
time is for people to read and never decides anything.
"""

from __future__ import annotations

import functools
import time

__all__ = ["NS_PER_MS", "cpu_ns", "now_ns", "perf_ns", "sleep", "wall_ms", "wall_text"]

NS_PER_MS = 1_000_000

if hasattr(time, "CLOCK_BOOTTIME"):
    # A partial of a C function costs no Python frame: the gate calls this before every order.
    now_ns = functools.partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
else:  # pragma: no cover - macOS and Windows
    now_ns = functools.partial(time.monotonic_ns)
now_ns.__doc__ = "Nanoseconds of a clock that never goes back and, where it can, counts suspend. Zero is arbitrary."

perf_ns = time.perf_counter_ns
cpu_ns = time.process_time_ns
sleep = time.sleep


def wall_ms() -> int:
    """Milliseconds since the Unix epoch, for display, log lines and the end of certificates only."""
    return time.time_ns() // NS_PER_MS


def wall_text(at_ms: int) -> str:
    """`at_ms` (milliseconds since the Unix epoch) as UTC text, `2026-01-31 12:00:00.123Z`."""
    seconds, millis = divmod(at_ms, 1000)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f".{millis:03d}Z"
