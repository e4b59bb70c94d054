"""Latencies of a running engine as a short text, which its worker's heartbeats carry to whoever monitors the fleet.

`tick 61233 9:120 10:7;gate1 ...`: for each stage the sum in nanoseconds, then for each power of two how many values
were below it and not below half of it. Counts only rise while the engine runs. Some 600 bytes for an engine in full
work, and never more than a few thousand: five stages, at most 58 powers each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workers.histogram import Histogram
from workers.report import STAGES

__all__ = ["Latency", "joined", "latency_text", "parse_latency", "stage_text"]

_LONGEST = 16_384
_MOST = 2**63
_STAGE = re.compile(r"([a-z0-9_]{1,32}) ([0-9]{1,19})((?: [0-9]{1,2}:[0-9]{1,19})*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Latency:
    """One stage: the sum of all values in nanoseconds, and under `n` how many were below 2**n and not below half."""

    sum_ns: int
    powers: Mapping[int, int]


def stage_text(stage: str, histogram: Histogram) -> str:
    """One stage of what `parse_latency` reads; empty where nothing was timed yet."""
    counts = " ".join(f"{power}:{count}" for power, count in histogram.by_power().items())
    return f"{stage} {histogram.total} {counts}" if counts else ""


def latency_text(latency: Mapping[str, Histogram]) -> str:
    """What `parse_latency` reads, of all stages."""
    return joined(stage_text(stage, histogram) for stage, histogram in latency.items())


def joined(stages: Iterable[str]) -> str:
    """Several stages as one text."""
    return ";".join(filter(None, stages))


def parse_latency(text: object) -> dict[str, Latency]:
    """The known stages of such a text; total, because anybody may have written it: what is of another form is not
    there."""
    found: dict[str, Latency] = {}
    if not isinstance(text, str) or len(text) > _LONGEST:
        return found
    for part in text.split(";"):
        match = _STAGE.fullmatch(part)
        if match is None or match[1] not in STAGES:
            continue
        pairs = [pair.split(":") for pair in match[3].split()]
        powers = {int(power): int(count) for power, count in pairs}
        sum_ns = int(match[2])
        if sum_ns < _MOST and all(count < _MOST for count in powers.values()):
            found[match[1]] = Latency(sum_ns, powers)
    return found
