"""Lean quote files: one day of one instrument, a row `milliseconds since midnight,bid,ask` for each quote.

The rows name neither the day, nor the instrument, nor whose midnight is meant. The day and the instrument are in the
name of the file inside the zip (`20140508_eurusd_tick_quote.csv`). Midnight is the venue's: FXCM's files run on UTC-05
all year, Oanda's on UTC. The venue is taken from the folders above the file (`.../forex/fxcm/tick/eurusd/...`), and
where they do not tell, from the rows: only Oanda's milliseconds have fractions.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workers.domain import Tick
from workers.feed.base import BadRow, FeedCounts, FeedError

__all__ = ["LEAN_ROW", "VENUE_UTC_OFFSET_H", "LeanDay", "LeanParser", "lean_day"]

VENUE_UTC_OFFSET_H = {"fxcm": -5, "oanda": 0}
"""Hours that a venue's clock is ahead of UTC (Lean's market-hours database: `dataTimeZone`)."""

LEAN_ROW = re.compile(rb"\d{1,8}(?P<fraction>\.\d+)?,\d+(\.\d+)?,\d+(\.\d+)?\r?")
"""The form by which a Lean quote file is recognised. Parsing is laxer: what float() reads, passes."""

_NAMED = re.compile(r"(?P<day>\d{8})_(?P<symbol>[A-Za-z0-9]{2,20})_tick_quote\.csv")
_DAY = re.compile(r"(?<!\d)(?P<day>\d{8})(?!\d)")
_SYMBOL_FOLDER = re.compile(r"[a-z0-9]{2,20}")
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class LeanDay:
    """What the rows do not say. `venue_from` names the evidence: `given`, `path` or `rows`."""

    symbol: str
    venue: str
    venue_from: str
    midnight_ns: int
    """The venue's midnight, UTC nanoseconds since the Unix epoch."""


def lean_day(path: Path, member: str, rows: Iterable[bytes], symbol: str | None, venue: str | None) -> LeanDay:
    """Finds day, instrument and venue; `symbol` and `venue` override what the names say.

    Raises:
        FeedError: one of them cannot be told, or the venue is not a known one.
    """
    named = _NAMED.fullmatch(Path(member).name)
    dated = named or _DAY.search(Path(member).name) or _DAY.search(path.name)
    if dated is None:
        raise FeedError(f"ticks {str(path)!r}: no date (YYYYMMDD) in its name or in {member!r}: name it as Lean does")
    found, venue_from = _venue(path, rows, venue)
    try:
        midnight = calendar.timegm(datetime.strptime(dated["day"], "%Y%m%d").timetuple())  # noqa: DTZ007
    except ValueError:
        raise FeedError(f"ticks {str(path)!r}: {dated['day']} is not a day: name the file as Lean does") from None
    midnight_ns = (midnight - VENUE_UTC_OFFSET_H[found] * 3600) * 1_000_000_000
    return LeanDay(symbol or _symbol(path, member, named), found, venue_from, midnight_ns)


def _symbol(path: Path, member: str, named: re.Match[str] | None) -> str:
    if named is not None:
        return named["symbol"].upper()
    folder = path.absolute().parent.name
    if _SYMBOL_FOLDER.fullmatch(folder) is None:
        raise FeedError(
            f"ticks {str(path)!r}: neither {member!r} nor the folder {folder!r} names the instrument: give the symbol"
        )
    return folder.upper()


def _venue(path: Path, rows: Iterable[bytes], given: str | None) -> tuple[str, str]:
    if given is not None:
        if given.lower() not in VENUE_UTC_OFFSET_H:
            known = ", ".join(VENUE_UTC_OFFSET_H)
            raise FeedError(f"venue {given!r} is not one whose clock is known: use one of {known}")
        return given.lower(), "given"
    for part in reversed(path.absolute().parts):  # the nearest folder wins
        for word in re.split(r"[^a-z0-9]+", part.lower()):
            if word in VENUE_UTC_OFFSET_H:
                return word, "path"
    fractions = any(row["fraction"] for row in map(LEAN_ROW.fullmatch, rows) if row is not None)
    return ("oanda" if fractions else "fxcm"), "rows"


class LeanParser:
    """Turns rows into ticks and counts the rest. Never raises for a row."""

    def __init__(self, day: LeanDay, counts: FeedCounts) -> None:
        self._day = day
        self._counts = counts
        self._last_ns = 0

    def parse(self, rows: list[bytes]) -> list[Tick]:
        """The ticks among `rows`, in their order."""
        symbol, midnight_ns = self._day.symbol, self._day.midnight_ns
        last_ns = self._last_ns
        bad = self._counts.bad
        ticks: list[Tick] = []
        for row in rows:
            try:
                since_midnight, bid_text, ask_text = row.split(b",")
                ms, bid, ask = float(since_midnight), float(bid_text), float(ask_text)
            except ValueError:
                bad[BadRow.UNPARSABLE] += 1
                continue
            if 0.0 < bid <= ask < _INFINITY and 0.0 <= ms < _DAY_MS:
                time_ns = midnight_ns + round(ms * 10_000) * 100  # the recorded fractions have four digits
                if time_ns >= last_ns:
                    last_ns = time_ns
                    ticks.append(Tick(symbol, time_ns, bid, ask))
                else:
                    bad[BadRow.TIME_BACK] += 1
            else:
                bad[_fault(ms, bid, ask)] += 1
        self._last_ns = last_ns
        self._counts.rows += len(rows)
        self._counts.ticks += len(ticks)
        return ticks


_INFINITY = float("inf")


def _fault(ms: float, bid: float, ask: float) -> BadRow:
    """Which rule a row of three numbers breaks; nan breaks every comparison and so ends as UNPARSABLE."""
    if not (0.0 <= ms < _DAY_MS and -_INFINITY < bid < _INFINITY and -_INFINITY < ask < _INFINITY):
        return BadRow.UNPARSABLE
    return BadRow.NON_POSITIVE if bid <= 0.0 or ask <= 0.0 else BadRow.CROSSED
