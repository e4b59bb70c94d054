"""What a running engine tells with its worker's heartbeats: what it counted, and how long its stages took."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

from killswitch.clock import NS_PER_MS, now_ns
from workers.histogram import Histogram
from workers.latency import joined, stage_text
from workers.report import Tally
from workers.switch import Switch

__all__ = ["Telling"]

_PROGRESS_NS = 250 * NS_PER_MS


class Telling:
    """Says it to `agent`, now and then. On the engine's loop.

    A histogram has some hundred counts to go through. That happens between two ticks, so one stage has its turn each
    time: a stage is told a second or so late, and no tick waits for all of them.
    """

    def __init__(self, name: str, agent: Switch, tally: Tally, latency: Mapping[str, Histogram]) -> None:
        self._name = name
        self._agent = agent
        self._tally = tally
        self._latency = latency
        self._texts = dict.fromkeys(latency, "")
        self._turns = cycle(latency)
        self._told_ns = 0

    def when_due(self) -> None:
        """After each batch of ticks."""
        if now_ns() - self._told_ns >= _PROGRESS_NS:
            self.tell()

    def tell(self, last: bool = False) -> None:
        """At once; the last time with the times of all stages."""
        self._told_ns = now_ns()
        for stage in self._latency if last else (next(self._turns),):
            self._texts[stage] = stage_text(stage, self._latency[stage])
        self._agent.annotate(engine=self._name, **self._tally.progress(), latency=joined(self._texts.values()))
