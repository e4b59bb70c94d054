"""One scrape: a look at Redis within its limit, made into samples.

Scrapes that come while one is under way share its look: Redis is asked once, however many ask the exporter, and nobody
gets what is older than its own question. If Redis does not answer, the scrape says so, and nothing of what was seen
before: an old value would look like a fresh one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric as Family

from killswitch import Code, Observation, StoreRefused, StoreUnavailable, __version__
from killswitch.clock import now_ns
from ops.exporter import catalogue as c
from ops.exporter.drills import DrillCounts, tell_last_drill
from ops.exporter.engines import tell_engines
from ops.exporter.fleet import WORKERS_MAX, by_urgency, tell_fleet
from ops.exporter.page import Page
from ops.exporter.record import RecordCounts
from ops.exporter.switch import tell_switch

__all__ = ["LONGEST_LOOK_S", "Scraper"]

LONGEST_LOOK_S = 5.0
"""Half of the time that Prometheus gives a scrape unless told otherwise."""


class Scraper:
    """Makes scrapes; any number of threads. `look(limit_s)` is the one way to Redis."""

    def __init__(self, look: Callable[[float], Observation], limit_s: float = LONGEST_LOOK_S) -> None:
        self._look = look
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._counts = RecordCounts()
        self._drills = DrillCounts()
        self._failures: Counter[str] = Counter()
        self._families: Sequence[Family] = ()
        self._made_ns = 0
        self.trouble = ""
        """Why the last look found no answer; empty when it found one."""

    def scrape(self, limit_s: float | None = None) -> Sequence[Family]:
        """The samples of now. The look takes at most `limit_s` seconds, and never more than the scraper's own limit."""
        asked_ns = now_ns()
        with self._lock:  # held for one look, which is bounded
            if self._made_ns <= asked_ns:
                self._families = self._make(min(self._limit_s, limit_s or self._limit_s))
                self._made_ns = now_ns()
            return self._families

    def _make(self, limit_s: float) -> Sequence[Family]:
        page = Page()
        began_ns = now_ns()
        found: Observation | None = None
        try:
            found = self._look(limit_s)
        except (StoreUnavailable, StoreRefused) as error:
            self._failures[error.code] += 1
            self.trouble = error.reason
        else:
            self.trouble = ""
        page.set(c.UP, found is not None)
        page.set(c.SCRAPE_SECONDS, (now_ns() - began_ns) / 1e9)
        for code in _codes(self._failures):
            page.set(c.SCRAPE_FAILURES, self._failures[code], code)
        page.set(c.EXPORTER, 1, __version__)
        if found is not None:
            self._tell(page, found)
        return tuple(page.families())

    def _tell(self, page: Page, found: Observation) -> None:
        scopes = tell_switch(page, found.fleet)
        page.set(c.LIBRARY_WANTED, found.library_wanted)
        everybody = by_urgency(found.fleet)
        workers, versions = tell_fleet(page, found.fleet, everybody)
        engines = tell_engines(page, (member for member, _ in everybody[:WORKERS_MAX]))
        if found.record is not None:
            self._counts.add(found.record)
        self._counts.tell(page, found.record)
        if found.drills is not None:
            self._drills.add(found.drills)
            self._drills.tell(page)
        tell_last_drill(page, found.fleet.last_drill)
        left_out = {"scopes": scopes, "workers": workers, "versions": versions, "engines": engines, "same": page.twice}
        for what, count in left_out.items():
            page.set(c.LEFT_OUT, count, what)


def _codes(counted: Iterable[str]) -> Iterable[str]:
    """The usual failures, also before the first of them, and whatever else there was."""
    usual = (Code.UNREACHABLE, Code.DISCONNECTED, Code.NO_ANSWER, Code.REDIS_DENIED)
    return dict.fromkeys((*usual, *counted))
