"""Replay of recorded files, in the order given, each recognised by what is in it.

Every file is opened and recognised before the first tick is handed over, so a typing mistake in the last of five names
is told at once and not after an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from workers.domain import Tick
from workers.feed.base import FeedCounts, FeedError
from workers.feed.binance import CAPTURE_LINE, BinanceParser
from workers.feed.lean import LEAN_ROW, LeanDay, LeanParser, lean_day
from workers.feed.pacing import Speed, paced
from workers.feed.source import Packing, line_batches, packing_of

__all__ = ["Recording", "ReplayFeed", "recognise"]

_log = structlog.get_logger("workers.feed")

_LOOK_AT = 64
"""Rows looked at to recognise a file: one that breaks off or starts with a bad row is still told from a foreign one."""


class _Parser(Protocol):
    def parse(self, rows: list[bytes], /) -> list[Tick]: ...


@dataclass(frozen=True, slots=True)
class Recording:
    """One recognised file. `day` is None for a Binance capture, whose rows say everything themselves."""

    path: Path
    packing: Packing
    day: LeanDay | None

    @property
    def form(self) -> str:
        """What the file was recognised as."""
        return "binance capture" if self.day is None else f"lean {self.day.venue} {self.day.symbol}"


def recognise(path: Path, *, symbol: str | None = None, venue: str | None = None) -> Recording:
    """Looks into a file and says what it is.

    Raises:
        FeedError: missing, unreadable, of no known form, or its day, instrument or venue cannot be told.
    """
    packing = packing_of(path)
    with contextlib.closing(line_batches(path, packing)) as batches:
        head = next(batches, [])[:_LOOK_AT]
    if any(map(CAPTURE_LINE.match, head)):
        return Recording(path, packing, None)
    if any(map(LEAN_ROW.fullmatch, head)):
        return Recording(path, packing, lean_day(path, packing.member or path.name, head, symbol, venue))
    raise FeedError(
        f"ticks {str(path)!r}: its first rows are neither Lean quotes (milliseconds,bid,ask) nor a Binance capture "
        "(time in ns, then JSON): give a file of one of these forms"
    )


class ReplayFeed:
    """Ticks of recorded files at a chosen speed.

    `symbol` and `venue` override what names and rows say of every file. The first `lead` ticks come at once.

    Raises:
        FeedError: no file was given, or one of them cannot be replayed.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        speed: Speed = "max",
        symbol: str | None = None,
        venue: str | None = None,
        lead: int = 0,
    ) -> None:
        if not paths:
            raise FeedError("ticks: no file was given: name at least one")
        self._speed = speed
        self._lead = lead
        self._symbol = symbol
        self.counts = FeedCounts()
        self.recordings = tuple(recognise(Path(path), symbol=symbol, venue=venue) for path in paths)

    def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        """Yields the ticks of all files; see `Feed`."""
        return paced(self._read(), self._speed, stop, lead=self._lead)

    def _read(self) -> Iterator[list[Tick]]:
        for recording in self.recordings:
            _log.info("feed_file", path=str(recording.path), form=recording.form, **_evidence(recording.day))
            parser = self._parser(recording)
            for rows in line_batches(recording.path, recording.packing):
                yield parser.parse(rows)
        _log.info("feed_end", **self.counts.as_dict())

    def _parser(self, recording: Recording) -> _Parser:
        if recording.day is None:
            return BinanceParser(self.counts, self._symbol)
        return LeanParser(recording.day, self.counts)


def _evidence(day: LeanDay | None) -> dict[str, str]:
    return {} if day is None else {"venue_from": day.venue_from}
