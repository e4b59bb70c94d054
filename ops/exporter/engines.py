"""What running engines told in their workers' heartbeats, as samples: counts, and latencies as histograms."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from killswitch import Member
from ops.exporter import catalogue as c
from ops.exporter.page import Page
from workers.latency import Latency, parse_latency

__all__ = ["EDGES", "ENGINES_MAX", "EVENTS", "buckets", "tell_engines"]

ENGINES_MAX = 100
"""Most engines whose latencies are shown: each has some hundred series."""

EVENTS = ("ticks", "signals", "orders", "fills", "cancelled")
_MOST = 2**63

_POWERS = (*range(8, 21), 22, 24, 26, 28, 30)
EDGES = tuple(str(2**power / 1e9) for power in _POWERS)
"""Upper edges in seconds: from 256 ns twice as much each to 1.05 ms, then four times as much each to 1.07 s. A value of
exactly an edge counts above it."""


def tell_engines(page: Page, members: Iterable[Member]) -> int:
    """Every member that says it runs an engine; returns how many engines' latencies were left out."""
    shown = left_out = 0
    for member in members:
        if not (member.known and member.engine):
            continue
        for event in EVENTS:
            count = member.info.get(event)
            if type(count) is int and 0 <= count < _MOST:
                page.set(c.ENGINE_EVENTS, count, member.worker_id, member.engine, event)
        text = member.info.get("latency")
        if text and shown >= ENGINES_MAX:
            left_out += 1
            continue
        stages = parse_latency(text)
        shown += bool(stages)
        for stage, latency in stages.items():
            total_s = latency.sum_ns / 1e9
            page.observe(c.ENGINE_LATENCY, buckets(latency), total_s, member.worker_id, member.engine, stage)
    return left_out


def buckets(latency: Latency) -> list[tuple[str, float]]:
    """Cumulative counts by upper edge, the last one "+Inf"."""
    counts = [0] * (len(EDGES) + 1)
    for power, count in latency.powers.items():
        counts[bisect_left(_POWERS, power)] += count
    return list(zip((*EDGES, "+Inf"), map(float, accumulate(counts)), strict=True))
