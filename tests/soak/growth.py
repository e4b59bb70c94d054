"""Whether a process that lives long grows: memory, descriptors, threads.

The rule: of one life the first part is warm-up (60 s, or a third of it if that is shorter) and is not judged. Of the
rest, the median of the last third is compared with the median of the first. It grows if memory is higher by more than
8 MB and by more than a tenth, or descriptors or threads by more than 3, and if the straight line through all samples
(Theil-Sen: the median slope of all pairs, which a few outliers do not move) rises as well. What a server stores on
purpose is allowed for by `grant_kb`. A life with fewer than 9 samples after the warm-up is not judged.
"""

from __future__ import annotations

import os
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from killswitch import clock

__all__ = ["Growth", "Sample", "Watchers", "judge_growth", "look_at"]

_WARM_UP_S = 60.0
_FEWEST = 9
_PAIRS = 2000
_LIMITS: Mapping[str, tuple[float, float]] = {"rss_kb": (8192, 0.10), "fds": (3, 0.0), "threads": (3, 0.0)}
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_MOST_SAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process, `at_s` seconds into its life."""

    at_s: float
    rss_kb: float
    fds: float
    threads: float


@dataclass(frozen=True, slots=True)
class Growth:
    """What came of one measure of one life."""

    name: str
    measure: str
    samples: int
    first: float
    last: float
    per_hour: float
    grows: bool


def look_at(pid: int, at_s: float) -> Sample | None:
    """Memory, descriptors and threads of a process now; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/statm").read_text().split()
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (OSError, IndexError):
        return None
    return Sample(at_s, int(status[1]) * _PAGE_KB, fds, threads)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    step = max(1, len(points) * (len(points) - 1) // 2 // _PAIRS)
    pairs = [(a, b) for i, a in enumerate(points) for b in points[i + 1 :]][::step]
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] > a[0])


def judge_growth(name: str, samples: Sequence[Sample], grant_kb: float = 0.0) -> list[Growth]:
    """Each measure of one life under the rule above; empty for a life too short to be judged."""
    if not samples:
        return []
    lived_s = samples[-1].at_s - samples[0].at_s
    warm = [s for s in samples if s.at_s - samples[0].at_s >= min(_WARM_UP_S, lived_s / 3)]
    if len(warm) < _FEWEST:
        return []
    third = len(warm) // 3
    found = []
    for measure, (least, share) in _LIMITS.items():
        values = [(s.at_s, float(getattr(s, measure))) for s in warm]
        first = statistics.median(value for _, value in values[:third])
        last = statistics.median(value for _, value in values[-third:])
        slope = _slope(values[:: max(1, len(values) // 200)])
        more = last - first - (grant_kb if measure == "rss_kb" else 0.0)
        grows = more > least and more > first * share and slope > 0
        found.append(Growth(name, measure, len(warm), first, last, slope * 3600, grows))
    return found


@dataclass
class _Life:
    name: str
    pid: int
    begun_ns: int
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_MOST_SAMPLES))


class Watchers:
    """Samples of every process of a run, life by life. A life that ended is judged when it ends."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self.found: list[Growth] = []

    def look(self, pids: Mapping[str, int], grant_kb: Mapping[str, float]) -> None:
        """One sample of each; `pids` names the processes of now, and a name with another pid begins a new life."""
        now = clock.now_ns()
        for name, pid in pids.items():
            life = self._lives.get(name)
            if life is not None and life.pid != pid:
                self._end(life, grant_kb)
                life = None
            if life is None:
                life = self._lives[name] = _Life(name, pid, now)
            sample = look_at(pid, (now - life.begun_ns) / 1e9)
            if sample is not None:
                life.samples.append(sample)
        for name in [name for name in self._lives if name not in pids]:
            self._end(self._lives.pop(name), grant_kb)

    def close(self, grant_kb: Mapping[str, float]) -> list[Growth]:
        """Judges what still lives; everything that was judged in this run."""
        for life in self._lives.values():
            self._end(life, grant_kb)
        self._lives.clear()
        return self.found

    def _end(self, life: _Life, grant_kb: Mapping[str, float]) -> None:
        self.found += judge_growth(life.name, life.samples, grant_kb.get(life.name, 0.0))
