"""Files as a whole: recognised by content, replayed in order, and every fault one clear error."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workers.feed.files import FXCM_MIDNIGHT_NS, all_ticks, book_ticker, capture, lean_zip
from workers.feed import FeedError, ReplayFeed
from workers.feed.base import BATCH
from workers.feed.source import MAX_LINE, Packing, line_batches

ROWS = "17007,1.39147,1.39148\r\n17264,1.39147,1.39149\r\n17906,1.39148,1.39150\r\n"


def test_a_lean_zip_is_recognised_under_any_name(tmp_path: Path) -> None:
    """The name outside does not matter: content and the name inside say what it is."""
    feed = ReplayFeed([lean_zip(tmp_path / "fxcm", ROWS, name="download (1).bin")])
    assert feed.recordings[0].form == "lean fxcm EURUSD"
    assert [tick.time_ns - FXCM_MIDNIGHT_NS for tick in all_ticks(feed)] == [17007000000, 17264000000, 17906000000]


def test_a_capture_is_recognised_under_any_name(tmp_path: Path) -> None:
    """A capture called .zip is still a capture."""
    feed = ReplayFeed([capture(tmp_path / "x.zip", book_ticker(1, "1.0", "1.1"))])
    assert feed.recordings[0].form == "binance capture"
    assert len(all_ticks(feed)) == 1


def test_a_file_that_starts_with_a_bad_row_is_still_recognised(tmp_path: Path) -> None:
    """The first rows are looked at, not only the first."""
    feed = ReplayFeed([lean_zip(tmp_path, "time,bid,ask\n" + ROWS)])
    assert len(all_ticks(feed)) == 3
    assert feed.counts.as_dict()["bad"] == {"unparsable": 1}


def test_files_are_replayed_in_the_order_given(tmp_path: Path) -> None:
    """Also when that is not the order of their times: time is judged within each file."""
    later = capture(tmp_path / "later.gz", book_ticker(500, "2.0", "2.1"))
    earlier = capture(tmp_path / "earlier.gz", book_ticker(1, "1.0", "1.1"))
    feed = ReplayFeed([later, earlier])
    assert [tick.bid for tick in all_ticks(feed)] == [2.0, 1.0]
    assert feed.counts.as_dict() == {"rows": 2, "ticks": 2, "bad": {}, "skipped": {}}


def test_symbol_and_venue_can_be_given(tmp_path: Path) -> None:
    """The explicit word overrides names and rows."""
    feed = ReplayFeed([lean_zip(tmp_path / "fxcm", ROWS)], symbol="EUR", venue="oanda")
    assert feed.recordings[0].form == "lean oanda EUR"


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    """A blank line at the end of a file is not a fault."""
    feed = ReplayFeed([lean_zip(tmp_path, "\r\n" + ROWS + "\n\r\n")])
    assert len(all_ticks(feed)) == 3
    assert feed.counts.rows == 3


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    """Nothing is lost at the end of a file."""
    assert len(all_ticks(ReplayFeed([lean_zip(tmp_path, ROWS.rstrip())]))) == 3


def test_a_line_without_end_is_cut_and_counted(tmp_path: Path) -> None:
    """Memory stays bounded by a megabyte whatever the file holds."""
    feed = ReplayFeed([lean_zip(tmp_path, ROWS + "9" * (3 * MAX_LINE) + "\n" + "20000,1.0,1.1\n")])
    assert len(all_ticks(feed)) == 4
    assert feed.counts.as_dict()["bad"] == {"unparsable": 3}


@pytest.mark.parametrize("size", [1, BATCH, BATCH + 1, 10_000])
def test_lines_are_cut_the_same_however_many_there_are(tmp_path: Path, size: int) -> None:
    """Blocks and batches leave no seam."""
    path = lean_zip(tmp_path, "".join(f"{n},1.0,1.1\n" for n in range(size)))
    batches = list(line_batches(path, Packing("20140508_eurusd_tick_quote.csv")))
    assert [line for batch in batches for line in batch] == [b"%d,1.0,1.1" % n for n in range(size)]
    assert max(map(len, batches)) <= BATCH


def test_no_file_is_an_error() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(FeedError, match="no file was given: name at least one"):
        ReplayFeed([])


def _unrecognised(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    text = tmp_path / "plain.csv"
    text.write_text(ROWS)
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.csv", ROWS)
        archive.writestr("b.csv", ROWS)
    empty = tmp_path / "empty.zip"
    empty.touch()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(lean_zip(tmp_path / "whole", ROWS * 100).read_bytes()[:-40])
    return {
        "missing": (tmp_path / "nowhere.zip", "there is no such file: check the path"),
        "folder": (tmp_path, "cannot be read"),
        "text": (text, "neither a zip nor a gzip file"),
        "empty": (empty, "neither a zip nor a gzip file"),
        "two members": (two, "holds 2 files, expected one"),
        "cut zip": (cut, "cannot be read"),
        "other rows": (lean_zip(tmp_path / "other", "a,b,c\nd,e,f\n"), "neither Lean quotes .* nor a Binance capture"),
        "no rows": (lean_zip(tmp_path / "none", ""), "neither Lean quotes .* nor a Binance capture"),
        "other lines": (capture(tmp_path / "other.gz", "hello"), "neither Lean quotes .* nor a Binance capture"),
    }


@pytest.mark.parametrize(
    "case", ["missing", "folder", "text", "empty", "two members", "cut zip", "other rows", "no rows", "other lines"]
)
def test_a_file_that_cannot_be_replayed_is_one_clear_error(tmp_path: Path, case: str) -> None:
    """Before the first tick, with the name, the rule and the remedy."""
    path, message = _unrecognised(tmp_path)[case]
    good = lean_zip(tmp_path / "good", ROWS)
    with pytest.raises(FeedError, match=message) as caught:
        ReplayFeed([good, path])
    assert str(path) in str(caught.value)


def test_damage_further_on_is_an_error_after_the_sound_ticks(tmp_path: Path) -> None:
    """What could be read was handed over and stays counted."""
    whole = gzip.compress("\n".join(book_ticker(n, f"{n % 97 + 1}.0", "200.0") for n in range(20_000)).encode())
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    feed = ReplayFeed([path])
    with pytest.raises(FeedError, match=r"damaged content .*: fetch the file again"):
        all_ticks(feed)
    assert 0 < feed.counts.ticks < 20_000


def _sound() -> list[bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20140508_eurusd_tick_quote.csv", ROWS * 50)
    lines = "\n".join(book_ticker(n, "1.0", "1.1") for n in range(50))
    return [packed.getvalue(), gzip.compress(lines.encode(), mtime=0)]


@given(st.sampled_from(_sound()), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_a_mutated_file_is_replayed_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, changes: list[tuple[int, int]]
) -> None:
    """Whatever bytes are changed, the only error there can be is a FeedError."""
    mutated = bytearray(content)
    for at, value in changes:
        mutated[at % len(mutated)] = value
    path = tmp_path_factory.mktemp("mutated") / "file"
    path.write_bytes(mutated)
    try:
        feed = ReplayFeed([path])
        all_ticks(feed)
    except FeedError:
        return
    assert feed.counts.rows == feed.counts.ticks + feed.counts.bad.total() + feed.counts.skipped.total()


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b", b"\x1f\x8b\x08\x00"]))
def test_a_file_of_any_bytes_is_refused_with_a_feed_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    """No traceback, whatever somebody calls a tick file."""
    path = tmp_path_factory.mktemp("any") / "20140508.zip"
    path.write_bytes(magic + content)
    with pytest.raises(FeedError):
        all_ticks(ReplayFeed([path]))
