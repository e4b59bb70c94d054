"""What a running engine tells with its worker's heartbeats: what it counted, and how long its stages took."""

from __future__ import annotations

from collections.abc import Mapping

from killswitch.clock import NS_PER_MS, now_ns
from workers.histogram import Histogram
from workers.latency import latency_text
from workers.report import Tally
from workers.switch import Switch

__all__ = ["Telling"]

_PROGRESS_NS = 250 * NS_PER_MS
_TIMES_NS = 1000 * NS_PER_MS


class Telling:
    """Says it to `agent`, now and then. On the engine's loop."""

    def __init__(self, name: str, agent: Switch, tally: Tally, latency: Mapping[str, Histogram]) -> None:
        self._name = name
        self._agent = agent
        self._tally = tally
        self._latency = latency
        self._told_ns = 0
        self._timed_ns = 0

    def when_due(self) -> None:
        """After each batch of ticks."""
        if now_ns() - self._told_ns >= _PROGRESS_NS:
            self.tell()

    def tell(self, last: bool = False) -> None:
        """At once. The times cost more than the counts, so they are told less often, and at the end."""
        now = self._told_ns = now_ns()
        said: dict[str, str | int] = {"engine": self._name, **self._tally.progress()}
        if last or now - self._timed_ns >= _TIMES_NS:
            self._timed_ns = now
            said["latency"] = latency_text(self._latency)
        self._agent.annotate(**said)
