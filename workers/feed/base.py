"""What every feed offers the engine, and how it accounts for each row it read.

A feed hands over ticks in small batches: making one costs a coroutine step, so a step for each tick would halve the
speed, and a batch larger than about a millisecond of work would keep a request to stop waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from killswitch import InvalidInput
from workers.domain import Tick

__all__ = ["BATCH", "BadRow", "Feed", "FeedCounts", "FeedError"]

BATCH = 128
"""Rows in a batch at most: about one millisecond of work for the engine."""


class FeedError(InvalidInput):
    """A feed cannot be opened or ends before its time. The message names the value, the rule and the remedy."""


class BadRow(StrEnum):
    """Why a row was dropped. A row is counted under the first rule it breaks, in this order."""

    UNPARSABLE = "unparsable"
    """Not of the file's form: missing fields, text for a number, nan, a time outside its day."""
    NON_POSITIVE = "non_positive"
    """A bid or an ask of zero or less."""
    CROSSED = "crossed"
    """The bid above the ask. Aggregated venues print these; trading on one books a profit nobody could have had."""
    TIME_BACK = "time_back"
    """Earlier than the last tick of the same file. Equal times are kept."""


@dataclass(slots=True)
class FeedCounts:
    """What became of every row: `rows == ticks + all bad + all skipped`, at any moment between batches."""

    rows: int = 0
    ticks: int = 0
    bad: Counter[BadRow] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    """Well-formed rows that hold no quote, by their kind: the other streams of a capture."""

    def as_dict(self) -> dict[str, Any]:
        """For reports: plain numbers and texts, kinds without a row left out."""
        return {
            "rows": self.rows,
            "ticks": self.ticks,
            "bad": {kind.value: self.bad[kind] for kind in BadRow if self.bad[kind]},
            "skipped": {kind: self.skipped[kind] for kind in sorted(self.skipped)},
        }


class Feed(Protocol):
    """A source of ticks, read once."""

    @property
    def counts(self) -> FeedCounts:
        """What was read so far."""
        ...

    def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        """Yields ticks in order until the source or the patience of `stop` ends, and lets other tasks run between.

        Raises:
            FeedError: the source turned out to be damaged.
        """
        ...
