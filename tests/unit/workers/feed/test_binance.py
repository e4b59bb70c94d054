"""Binance capture lines: quotes become ticks, other streams are skipped by name, the rest is bad."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.feed.files import RECEIVED_NS, book_ticker
from workers.domain import Tick
from workers.feed import BadRow, FeedCounts
from workers.feed.binance import BinanceParser

TRADE = f'{RECEIVED_NS} {{"stream":"btcusdt@trade","data":{{"e":"trade","p":"1.0","q":"2.0"}}}}'
DEPTH = f'{RECEIVED_NS} {{"stream":"btcusdt@depth@100ms","data":{{"b":[["1.0","2.0"]],"a":[]}}}}'
SNAPSHOT = f'{RECEIVED_NS} {{"lastUpdateId":5,"bids":[["1.0","2.0"]],"asks":[]}}'


def parse(*lines: str | bytes, symbol: str | None = None) -> tuple[list[Tick], FeedCounts]:
    """The ticks and counts that these lines bring."""
    counts = FeedCounts()
    rows = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return BinanceParser(counts, symbol).parse(rows), counts


def test_a_best_bid_and_ask_becomes_a_tick_at_the_time_it_was_received() -> None:
    """The first field of the line is the time; the exchange's own is not used."""
    ticks, _ = parse(book_ticker(5, "61837.63", "61837.64"))
    assert ticks == [Tick("BTCUSDT", RECEIVED_NS + 5, 61837.63, 61837.64)]


def test_other_streams_are_skipped_and_counted_not_bad() -> None:
    """Trades, book updates and the snapshot are sound rows that hold no quote."""
    ticks, counts = parse(TRADE, DEPTH, SNAPSHOT, DEPTH, book_ticker(1, "1.0", "1.1"))
    assert len(ticks) == 1
    assert counts.as_dict() == {
        "rows": 5,
        "ticks": 1,
        "bad": {},
        "skipped": {"depth": 2, "snapshot": 1, "trade": 1},
    }


def test_a_given_symbol_overrides_the_one_in_the_message() -> None:
    """The explicit word wins."""
    ticks, _ = parse(book_ticker(1, "1.0", "1.1"), book_ticker(2, "1.0", "1.1"), symbol="BTC")
    assert [tick.symbol for tick in ticks] == ["BTC", "BTC"]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("hello", BadRow.UNPARSABLE),
        ("12 {}", BadRow.UNPARSABLE),
        (f"{RECEIVED_NS} [1,2]", BadRow.UNPARSABLE),
        (TRADE[:-5], BadRow.UNPARSABLE),
        (book_ticker(1, "1.0", "1.1")[:-12], BadRow.UNPARSABLE),
        (book_ticker(1, "x", "1.1"), BadRow.UNPARSABLE),
        (book_ticker(1, None, "1.1"), BadRow.UNPARSABLE),
        (book_ticker(1, "nan", "1.1"), BadRow.UNPARSABLE),
        (book_ticker(1, "1.0", "inf"), BadRow.UNPARSABLE),
        (book_ticker(1, "1.0", "1.1", symbol=7), BadRow.UNPARSABLE),
        (book_ticker(1, "1.0", "1.1", symbol=["a"]), BadRow.UNPARSABLE),
        (book_ticker(1, "1.0", "1.1", symbol="BTC\u001b[31m"), BadRow.UNPARSABLE),
        (f'{RECEIVED_NS} {{"stream":"b@bookTicker","data":{{}}}}', BadRow.UNPARSABLE),
        (book_ticker(1, "0", "1.1"), BadRow.NON_POSITIVE),
        (book_ticker(1, "-1", "1.1"), BadRow.NON_POSITIVE),
        (book_ticker(1, "1.2", "1.1"), BadRow.CROSSED),
        (book_ticker(-1, "1.0", "1.1"), BadRow.TIME_BACK),
    ],
)
def test_a_bad_line_is_dropped_and_counted_by_kind(line: str, kind: BadRow) -> None:
    """One bad line costs that line, and its neighbours nothing."""
    ticks, counts = parse(book_ticker(0, "1.0", "1.1"), line, book_ticker(2, "1.0", "1.1"))
    assert len(ticks) == 2
    assert counts.as_dict() == {"rows": 3, "ticks": 2, "bad": {kind.value: 1}, "skipped": {}}


def test_deeply_nested_json_is_a_bad_row() -> None:
    """A hostile line must not exhaust the stack."""
    head = f'{RECEIVED_NS} {{"stream":"b@bookTicker","data":{{"x":'
    assert parse(head + "[" * 100_000 + "}")[1].bad == {BadRow.UNPARSABLE: 1}


MUTATED = st.builds(
    lambda line, at, junk: line[: at % len(line)] + junk + line[at % len(line) :],
    st.sampled_from([TRADE.encode(), SNAPSHOT.encode(), book_ticker(1, "1.0", "1.1").encode()]),
    st.integers(0, 200),
    st.binary(max_size=5),
)


@given(st.lists(st.one_of(st.binary(max_size=60), MUTATED), max_size=20))
def test_whatever_the_bytes_every_line_is_accounted_for(lines: list[bytes]) -> None:
    """No line raises, lines are ticks plus bad plus skipped ones, and every tick is sound."""
    ticks, counts = parse(*lines)
    assert counts.rows == len(lines) == counts.ticks + counts.bad.total() + counts.skipped.total()
    assert all(0 < tick.bid <= tick.ask < float("inf") for tick in ticks)
    assert [tick.time_ns for tick in ticks] == sorted(tick.time_ns for tick in ticks)
