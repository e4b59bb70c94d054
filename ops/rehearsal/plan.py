"""What a rehearsal is to play. Every mistake in it is told before anything is started."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.exit_codes import Exit
from workers.feed import FeedCounts, FeedError, Speed
from workers.feed.binance import BinanceParser
from workers.feed.lean import LeanParser
from workers.feed.replay import Recording, recognise
from workers.feed.source import line_batches

__all__ = ["Market", "Plan", "RehearsalError", "markets_of"]

_SYMBOL = "EURUSD"
_LEAD = 20_000
_ENOUGH_TICKS = 3_000_000
"""More than an engine gets through in one scenario at full speed."""
_MOST_REPEATS = 1000


class RehearsalError(Exception):
    """The rehearsal cannot go on. The text is one message for people, `details` are lines of a log below it, and
    `exit_code` is what the process ends with."""

    def __init__(self, text: str, exit_code: Exit = Exit.REFUSED, details: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.exit_code = exit_code
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class Market:
    """The recordings of one instrument, in the order given. `form` says what they were recognised as."""

    symbol: str
    files: tuple[Path, ...]
    form: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` is the longest that engines trade in a scenario; None: what fits the feed. No markets: a market made
    of `seed`. `keep` is a folder for the evidence and the workers' logs; None: they are removed."""

    workers: int = 4
    markets: tuple[Market, ...] = ()
    speed: Speed = "max"
    seconds: float | None = None
    seed: int = 1
    keep: Path | None = None

    def __post_init__(self) -> None:
        if len(self.markets) > self.workers:
            symbols = ", ".join(market.symbol for market in self.markets)
            raise RehearsalError(
                f"the files hold {len(self.markets)} instruments ({symbols}) and an engine trades one: "
                f"give --workers {len(self.markets)} or more, or fewer files",
                Exit.USAGE,
            )

    @property
    def normal_s(self) -> float:
        """Longest time of normal operation: a file at full speed is read to its end if that is not too long."""
        return self.seconds or (20.0 if self.markets and self.speed == "max" else 6.0)

    @property
    def before_s(self) -> float:
        """How long engines trade before the SET."""
        return min(2.0, (self.seconds or 6.0) / 3)

    @property
    def after_s(self) -> float:
        """How long ticks go on coming after the SET."""
        return min(1.5, (self.seconds or 6.0) / 3)

    @property
    def patience_s(self) -> float:
        """How long to wait for what the feed has to bring: a first order, a tick after the SET."""
        return max(self.normal_s, 10.0 if self.speed == "max" else 30.0)

    def feed(self, number: int, passes: int = 1) -> dict[str, Any]:
        """The feed of engine `number` (from 1) as a job specifies it; files are played `passes` times over."""
        pace: dict[str, Any] = {"speed": self.speed, "lead": 0 if self.speed == "max" else _LEAD}
        market = self.market(number)
        if market is None:
            return {"kind": "synthetic", "seed": self.seed + number - 1, **pace}
        return {"kind": "replay", "files": [str(path) for path in market.files] * passes, **pace}

    def market(self, number: int) -> Market | None:
        """The market of engine `number`; None is the synthetic one."""
        return self.markets[(number - 1) % len(self.markets)] if self.markets else None

    def symbol(self, number: int) -> str:
        """What engine `number` trades."""
        market = self.market(number)
        return market.symbol if market else _SYMBOL

    def passes(self, ticks: int) -> int:
        """How often files of `ticks` ticks must be played so that they last for any scenario."""
        return min(_MOST_REPEATS, math.ceil(_ENOUGH_TICKS / max(1, ticks)))


def markets_of(paths: Sequence[Path]) -> tuple[Market, ...]:
    """The files, recognised by their content and sorted by instrument.

    Raises:
        RehearsalError: one of them is missing, of no known form, or holds no usable tick.
    """
    found: dict[str, list[Path]] = {}
    forms: Counter[tuple[str, str]] = Counter()
    for path in paths:
        full = path.absolute()
        try:
            recording = recognise(full)
            symbol = _first_symbol(recording)
        except FeedError as error:
            raise RehearsalError(str(error), Exit.USAGE) from None
        if symbol is None:
            raise RehearsalError(f"ticks {str(path)!r}: it holds not one usable tick: give another file", Exit.USAGE)
        found.setdefault(symbol, []).append(full)
        forms[symbol, recording.form] += 1
    return tuple(
        Market(symbol, tuple(files), ", ".join(form for known, form in forms if known == symbol))
        for symbol, files in found.items()
    )


def _first_symbol(recording: Recording) -> str | None:
    counts = FeedCounts()
    parser = BinanceParser(counts) if recording.day is None else LeanParser(recording.day, counts)
    with closing(line_batches(recording.path, recording.packing)) as batches:
        return next((ticks[0].symbol for ticks in map(parser.parse, batches) if ticks), None)
