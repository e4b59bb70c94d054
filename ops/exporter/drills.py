"""Drills as samples: counts over all of them, and how the last one went."""

from __future__ import annotations

from collections import Counter

from killswitch import DrillNews, DrillRecord, DrillVerdict
from ops.exporter import catalogue as c
from ops.exporter.durations import Durations
from ops.exporter.page import Page

__all__ = ["DrillCounts", "tell_last_drill"]


class DrillCounts:
    """What was counted so far. Used by one thread at a time."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._durations = Durations()

    def add(self, news: DrillNews) -> None:
        """Counts each new drill once."""
        if news.anew:
            self._begin()
        for drill in news.drills:
            self._verdicts[drill.verdict] += 1
            if drill.recorded is not None:
                self._durations.add(drill.recorded.max_us / 1e6)

    def tell(self, page: Page) -> None:
        """The counts."""
        for verdict in DrillVerdict:
            page.set(c.DRILLS, self._verdicts[verdict], verdict)
        page.observe(c.DRILL_SECONDS, self._durations.buckets(), self._durations.total_s)


def tell_last_drill(page: Page, drill: DrillRecord | None) -> None:
    """How the last drill went; nothing where there was none, or what is there is no such entry."""
    if drill is None or drill.verdict not in set(DrillVerdict) or drill.at_ms < 0:
        return
    page.set(c.LAST_DRILL, drill.at_ms / 1000)
    page.one_of(c.LAST_VERDICT, drill.verdict, DrillVerdict)
    page.set(c.LAST_MISSING, max(0, drill.workers - drill.acknowledged))
    if drill.recorded is not None:
        page.set(c.LAST_SECONDS, drill.recorded.max_us / 1e6)
    if drill.bound_ms >= 0:
        page.set(c.LAST_BOUND, drill.bound_ms / 1000)
