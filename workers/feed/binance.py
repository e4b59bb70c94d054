"""Captures of Binance's combined WebSocket stream: a line `<local receive time, ns> <JSON as the stream sent it>`.

`bookTicker` messages are quotes and become ticks; trades, book updates and the bare REST snapshot are counted as
skipped. A tick carries the local receive time, the order in which a live engine would have seen it: the exchange's own
time is not in every stream, and a capturing host's clock may well differ from it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from workers.domain import Tick
from workers.feed.base import BadRow, FeedCounts

__all__ = ["CAPTURE_LINE", "BinanceParser"]

CAPTURE_LINE = re.compile(rb'\d{16,19} \{.*("stream"|"lastUpdateId")', re.DOTALL)
"""The form by which a capture is recognised."""

_HEAD = re.compile(
    rb'\d{16,19} \{"(?:stream":"[^"@]{1,40}@(?P<stream>[A-Za-z]{1,30})[^"]{0,20}","data":\{'
    rb'|(?P<snapshot>lastUpdateId)":)'
)
"""The head of a well-formed message. Whether its long tail is sound matters only where it is used."""

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}")
_INFINITY = float("inf")


class BinanceParser:
    """Turns lines into ticks and counts the rest; never raises for a line. `symbol` overrides the message's own."""

    def __init__(self, counts: FeedCounts, symbol: str | None = None) -> None:
        self._counts = counts
        self._symbol = symbol
        self._known: dict[str, str] = {}
        self._last_ns = 0

    def parse(self, lines: list[bytes]) -> list[Tick]:
        """The ticks among `lines`, in their order."""
        ticks: list[Tick] = []
        for line in lines:
            quote = self._quote(line)
            if type(quote) is Tick:
                ticks.append(quote)
            elif type(quote) is BadRow:
                self._counts.bad[quote] += 1
            else:
                self._counts.skipped[str(quote)] += 1
        self._counts.rows += len(lines)
        self._counts.ticks += len(ticks)
        return ticks

    def _quote(self, line: bytes) -> Tick | BadRow | str:
        """A tick, a fault, or the kind of message that this line is instead of a quote."""
        head = _HEAD.match(line)
        if head is None or not line.endswith((b"}", b"}\r")):
            return BadRow.UNPARSABLE
        kind: bytes | None = head["stream"]
        if kind != b"bookTicker":
            return "snapshot" if kind is None else kind.decode("ascii")
        received, _, text = line.partition(b" ")
        try:
            data = json.loads(text)["data"]
            time_ns, bid, ask = int(received), float(data["b"]), float(data["a"])
            symbol = self._known.get(data["s"]) or self._admit(data["s"])
        except (ValueError, TypeError, LookupError, RecursionError):
            return BadRow.UNPARSABLE
        if not 0.0 < bid <= ask < _INFINITY:
            return _fault(bid, ask)
        if time_ns < self._last_ns:
            return BadRow.TIME_BACK
        self._last_ns = time_ns
        return Tick(symbol, time_ns, bid, ask)

    def _admit(self, symbol: Any) -> str:
        """Checks a symbol once: it comes from outside and goes into orders and logs.

        Raises:
            ValueError: it has a form that no instrument has.
        """
        if not isinstance(symbol, str) or _SYMBOL.fullmatch(symbol) is None:
            raise ValueError("not a symbol")
        if len(self._known) < 1000:  # a bound for a hostile file
            self._known[symbol] = self._symbol or symbol
        return self._symbol or symbol


def _fault(bid: float, ask: float) -> BadRow:
    """Which rule a pair of numbers breaks; nan and infinity count as UNPARSABLE."""
    if not (-_INFINITY < bid < _INFINITY and -_INFINITY < ask < _INFINITY):
        return BadRow.UNPARSABLE
    return BadRow.NON_POSITIVE if bid <= 0.0 or ask <= 0.0 else BadRow.CROSSED
