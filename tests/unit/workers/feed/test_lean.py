"""Lean quote rows: what becomes a tick, what is counted as bad, and how day, symbol and venue are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.feed.files import FXCM_MIDNIGHT_NS, UTC_MIDNIGHT_NS
from workers.domain import Tick
from workers.feed import BadRow, FeedCounts, FeedError
from workers.feed.lean import LeanDay, LeanParser, lean_day

MEMBER = "20140508_eurusd_tick_quote.csv"
WHOLE = [b"17007,1.39147,1.39148"]
FRACTION = [b"46.2042,1284.065,1284.405"]
DAY = LeanDay("EURUSD", "oanda", "given", UTC_MIDNIGHT_NS)


def parse(*rows: bytes) -> tuple[list[Tick], FeedCounts]:
    """The ticks and counts that these rows bring."""
    counts = FeedCounts()
    return LeanParser(DAY, counts).parse(list(rows)), counts


def test_a_row_becomes_a_tick_in_utc() -> None:
    """The time is the venue's midnight plus the milliseconds, to their recorded fraction."""
    ticks, _ = parse(b"46.2042,1284.065,1284.405")
    assert ticks == [Tick("EURUSD", UTC_MIDNIGHT_NS + 46_204_200, 1284.065, 1284.405)]


def test_a_row_that_ends_like_a_dos_line_is_read() -> None:
    """FXCM's files end their lines with carriage return and newline."""
    ticks, _ = parse(b"1,1.0,1.1\r")
    assert [tick.ask for tick in ticks] == [1.1]


def test_a_locked_quote_is_kept() -> None:
    """Bid equal to ask is common on such feeds and harmless."""
    assert len(parse(b"1,1.1,1.1")[0]) == 1


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (b"hello", BadRow.UNPARSABLE),
        (b"1,1.0", BadRow.UNPARSABLE),
        (b"1,1.0,1.1,5", BadRow.UNPARSABLE),
        (b"1,x,1.1", BadRow.UNPARSABLE),
        (b"\xff\xfe,1.0,1.1", BadRow.UNPARSABLE),
        (b"1,nan,1.1", BadRow.UNPARSABLE),
        (b"1,1.0,inf", BadRow.UNPARSABLE),
        (b"nan,1.0,1.1", BadRow.UNPARSABLE),
        (b"-1,1.0,1.1", BadRow.UNPARSABLE),
        (b"86400000,1.0,1.1", BadRow.UNPARSABLE),
        (b"1,0,1.1", BadRow.NON_POSITIVE),
        (b"1,-1.0,1.1", BadRow.NON_POSITIVE),
        (b"1,1.0,0", BadRow.NON_POSITIVE),
        (b"1,1.2,1.1", BadRow.CROSSED),
    ],
)
def test_a_bad_row_is_dropped_and_counted_by_kind(row: bytes, kind: BadRow) -> None:
    """One bad row costs that row, and its neighbours nothing."""
    ticks, counts = parse(b"1,1.0,1.1", row, b"2,1.0,1.1")
    assert len(ticks) == 2
    assert counts.as_dict() == {"rows": 3, "ticks": 2, "bad": {kind.value: 1}, "skipped": {}}


def test_a_row_that_goes_back_in_time_is_dropped() -> None:
    """Equal times are kept, earlier ones are not, and the kept ones are in order."""
    ticks, counts = parse(b"5,1.0,1.1", b"5,1.0,1.1", b"4,1.0,1.1", b"6,1.0,1.1")
    assert [tick.time_ns - UTC_MIDNIGHT_NS for tick in ticks] == [5_000_000, 5_000_000, 6_000_000]
    assert counts.bad == {BadRow.TIME_BACK: 1}


def test_order_in_time_is_kept_across_batches() -> None:
    """The parser remembers the last tick of the batch before."""
    counts = FeedCounts()
    parser = LeanParser(DAY, counts)
    parser.parse([b"5,1.0,1.1"])
    assert parser.parse([b"4,1.0,1.1"]) == []


@given(st.lists(st.one_of(st.binary(max_size=40), st.from_regex(rb"[0-9.,e+-]{0,30}", fullmatch=True)), max_size=20))
def test_whatever_the_bytes_every_row_is_accounted_for(rows: list[bytes]) -> None:
    """No row raises, rows are ticks plus bad ones, and every tick is sound."""
    ticks, counts = parse(*rows)
    assert counts.rows == len(rows) == counts.ticks + counts.bad.total()
    assert all(0 < tick.bid <= tick.ask < float("inf") for tick in ticks)
    assert [tick.time_ns for tick in ticks] == sorted(tick.time_ns for tick in ticks)


@pytest.mark.parametrize(
    ("folder", "rows", "venue", "found"),
    [
        ("/d/forex/fxcm/tick/eurusd", WHOLE, None, ("fxcm", "path", FXCM_MIDNIGHT_NS)),
        ("/d/fxcm-eurusd-2014-05", FRACTION, None, ("fxcm", "path", FXCM_MIDNIGHT_NS)),
        ("/d/cfd/oanda/tick/eurusd", WHOLE, None, ("oanda", "path", UTC_MIDNIGHT_NS)),
        ("/d/fxcm/Oanda", WHOLE, None, ("oanda", "path", UTC_MIDNIGHT_NS)),
        ("/d", WHOLE, None, ("fxcm", "rows", FXCM_MIDNIGHT_NS)),
        ("/d", FRACTION, None, ("oanda", "rows", UTC_MIDNIGHT_NS)),
        ("/d/fxcm", WHOLE, "OANDA", ("oanda", "given", UTC_MIDNIGHT_NS)),
    ],
)
def test_the_venue_is_given_or_in_the_path_or_told_by_the_rows(
    folder: str, rows: list[bytes], venue: str | None, found: tuple[str, str, int]
) -> None:
    """In this order, the nearest folder first; the venue decides whose midnight the rows count from."""
    day = lean_day(Path(folder, "20140508_quote.zip"), MEMBER, rows, None, venue)
    assert (day.venue, day.venue_from, day.midnight_ns) == found


@pytest.mark.parametrize(
    ("path", "member", "symbol", "found"),
    [
        ("/d/x/20140508_quote.zip", MEMBER, None, "EURUSD"),
        ("/d/x/20140508_quote.zip", MEMBER, "EUR/USD", "EUR/USD"),
        ("/d/xauusd/20140508_quote.zip", "quotes.csv", None, "XAUUSD"),
        ("/d/xauusd/anything.zip", "20140508.csv", None, "XAUUSD"),
    ],
)
def test_the_symbol_is_given_or_in_the_name_inside_or_the_folder(
    path: str, member: str, symbol: str | None, found: str
) -> None:
    """In this order."""
    assert lean_day(Path(path), member, WHOLE, symbol, None).symbol == found


@pytest.mark.parametrize(
    ("path", "member", "venue", "message"),
    [
        ("/d/eurusd/quote.zip", "quote.csv", None, "no date"),
        ("/d/eurusd/20141399_quote.zip", "quote.csv", None, "20141399 is not a day"),
        ("/d/My Files/20140508_quote.zip", "quote.csv", None, "names the instrument: give the symbol"),
        (
            "/d/20140508_quote.zip",
            MEMBER,
            "nyse",
            "venue 'nyse' is not one whose clock is known: use one of fxcm, oanda",
        ),
    ],
)
def test_what_cannot_be_told_is_one_clear_error(path: str, member: str, venue: str | None, message: str) -> None:
    """Nothing is guessed: a wrong day or symbol would be replayed in silence."""
    with pytest.raises(FeedError, match=message):
        lean_day(Path(path), member, WHOLE, None, venue)
