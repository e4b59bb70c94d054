"""Small recorded files for the feed tests."""

from __future__ import annotations

import asyncio
import gzip
import json
import zipfile
from pathlib import Path

from workers.domain import Tick
from workers.feed import Feed

RECEIVED_NS = 1_723_161_253_937_085_768
FXCM_MIDNIGHT_NS = 1_399_525_200_000_000_000  # 2014-05-08 00:00 at UTC-05 is 05:00 UTC
UTC_MIDNIGHT_NS = 1_399_507_200_000_000_000


def lean_zip(
    folder: Path, rows: str | bytes, *, member: str = "20140508_eurusd_tick_quote.csv", name: str = ""
) -> Path:
    """A Lean quote zip in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or "20140508_quote.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, rows)
    return path


def capture(path: Path, *lines: str | bytes) -> Path:
    """A gzip of these lines."""
    with gzip.open(path, "wb") as file:
        for line in lines:
            file.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
    return path


def book_ticker(n: int, bid: object, ask: object, symbol: object = "BTCUSDT") -> str:
    """The line of a best bid and ask received `n` nanoseconds after the first."""
    data = {"u": n, "s": symbol, "b": bid, "B": "1.0", "a": ask, "A": "2.0"}
    text = json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=(",", ":"))
    return f"{RECEIVED_NS + n} {text}"


def all_ticks(feed: Feed) -> list[Tick]:
    """Everything that a feed hands over."""

    async def collect() -> list[Tick]:
        return [tick async for batch in feed.batches(asyncio.Event()) for tick in batch]

    return asyncio.run(collect())
