"""Counts over the record of changes. The record is read forwards, so these only rise, until it is replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from killswitch import AuditEntry, Mode, RecordNews, Verdict, read_told
from ops.exporter import catalogue as c
from ops.exporter.durations import Durations
from ops.exporter.page import Page

__all__ = ["VIAS", "RecordCounts"]

VIAS = ("library", "command", "redis-cli", "raw", "expiry", "incarnation", "other")
"""How a change was made, see the reference; anything else that somebody wrote there is `other`."""

VERDICTS = (Verdict.QUIET, Verdict.FENCED, Verdict.UNCERTAIN)


class RecordCounts:
    """What was counted so far. Used by one thread at a time."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changes: Counter[tuple[str, str]] = Counter()
        self._proofs: dict[str, Durations] = {verdict: Durations() for verdict in VERDICTS}

    def add(self, news: RecordNews) -> None:
        """Counts each new entry once."""
        if news.anew:
            self._begin()
        for entry in news.changes:
            self._changes[entry.via if entry.via in VIAS else "other", mode_after(entry)] += 1
        for outcome in news.outcomes:
            if outcome.verdict in self._proofs and outcome.waited_ms >= 0:
                self._proofs[outcome.verdict].add(outcome.waited_ms / 1000)

    def tell(self, page: Page, news: RecordNews | None) -> None:
        """The counts; `news` is what the look of this scrape found."""
        page.set(c.READABLE, news is not None)
        if news is None:
            return
        page.set(c.ENTRIES, news.length)
        if news.unsealed is not None:
            page.set(c.UNSEALED, news.unsealed)
        for verdict, durations in self._proofs.items():
            page.observe(c.PROOF_SECONDS, durations.buckets(), durations.total_s, verdict)
        for via, mode in _all(VIAS, Mode):
            page.set(c.CHANGES, self._changes[via, mode], via, mode)


def _all(vias: Iterable[str], modes: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Every pair, also those that were not seen yet: a counter that begins with its first increase has none."""
    return [(via, mode) for via in vias for mode in modes]


def mode_after(entry: AuditEntry) -> str:
    """What a change made of its switch or scope. A scope that is not there follows the switch; all else stops."""
    if entry.after == "(absent)" and entry.scope != "switch":
        return Mode.SAFE
    told = read_told(entry.after, entry.via)
    return told.maybe or told.mode  # a permission by hand that may have been one is not counted among the stops
