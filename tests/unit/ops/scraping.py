"""Scrapes of pictures of a fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from killswitch import AuditEntry, AuditOutcome, Deadman, DrillNews, DrillRecord, Observation, RecordNews
from killswitch.core.drill_record import Figures
from ops.exporter.collector import Scraper
from tests.support.scrapes import Scrape, parse
from tests.unit.ops.pictures import engaged, member, status
from workers.histogram import Histogram
from workers.latency import latency_text
from workers.report import STAGES

__all__ = ["drill", "entry", "everything", "news", "proof", "scraped"]


def entry(number: int = 1, **changes: Any) -> AuditEntry:
    """A change on record: somebody engaged by hand."""
    made = AuditEntry(f"{number}-0", number, "switch", "SAFE", "ENGAGED", "r", "a", "raw", "", 1000)
    return replace(made, **changes)


def proof(verdict: str = "QUIET", waited_ms: int = 12) -> AuditOutcome:
    """How a wait for a proof ended."""
    return AuditOutcome(verdict, waited_ms, 4, "", "alice", 1000)


def news(*entries: AuditEntry | AuditOutcome, anew: bool = False, unsealed: int | None = 2) -> RecordNews:
    """What was added to the record."""
    changes = tuple(entry for entry in entries if isinstance(entry, AuditEntry))
    outcomes = tuple(entry for entry in entries if isinstance(entry, AuditOutcome))
    return RecordNews(changes, outcomes, anew, 5, unsealed)


def drill(verdict: str = "PASSED", max_us: int = 4200, **changes: Any) -> DrillRecord:
    """A drill that all four workers acknowledged."""
    figures = Figures(4, 900, 2000, max_us, max_us)
    made = DrillRecord(
        "5-0", 1_055_500, verdict, "alice", "command", "SAFE", 4, 4, 0, 1112, 90, figures, figures, "", "", ""
    )
    return replace(made, **changes)


def scraped(record: RecordNews | None = None, drills: DrillNews | None = None, **changes: Any) -> Scrape:
    """One scrape of `status(**changes)`."""
    return parse(Scraper(lambda _: Observation(status(**changes), record, drills)).scrape())


def everything() -> Scrape:
    """A scrape of a fleet in which everything that can be told is told."""
    histogram = Histogram()
    histogram.record(1000)
    info = {"ticks": 1, "latency": latency_text(dict.fromkeys(STAGES, histogram))}
    worker = member("a", engine="e", slack_ms=1, refused={"engaged": (1, 1)}, info=info)
    switch = engaged(ttl_ms=1000)
    deadman = Deadman("alice", 20_000, 80_000, 1, 2, 70_000, False, "op")
    found = {"switch": switch, "members": (worker,), "library": 2, "deadman": deadman, "last_drill": drill()}
    return scraped(news(entry(), anew=True), DrillNews((drill(),), True), **found)
