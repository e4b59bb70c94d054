"""What comes off the queue, over the venue's line, in tick files and from the shell: read, or refused as documented."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import lzma
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import InvalidInput, Scope
from killswitch.clock import now_ns
from killswitch.core.words import check_reason
from ops.options import ScopeType, SecondsType, SpanType, parse_span
from tests.random.hostile import NUMBERS
from workers.feed import FeedError, ReplayFeed
from workers.spec import CancelSpec, EngineSpec, IntentSpec, parse
from workers.venue.book import Book
from workers.venue.protocol import BadRequest, Fields, decode

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | NUMBERS | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {
    "name": "e1", "symbol": "EURUSD", "feed": {"kind": "synthetic", "seed": 7, "count": 10, "speed": "max", "lead": 0},
    "scopes": ["strategy:x"], "quantity": 5, "max_position": 50, "events": None,
}  # fmt: skip
INTENT: dict[str, Any] = {
    "account": "a", "epoch": 3, "client_id": "c", "symbol": "EURUSD", "side": "BUY", "quantity": 5, "limit": 1.5,
    "reduces": False,
}  # fmt: skip


@settings(max_examples=250)
@given(
    model=st.sampled_from([EngineSpec, IntentSpec, CancelSpec]),
    field=st.sampled_from([*GOOD, *INTENT, "engine", "kind", "files", "stranger"]),
    value=JSON_VALUES,
    inside=st.booleans(),
    whole=st.booleans(),
)
def test_any_job_document_is_a_specification_or_invalid_input(
    model: type[EngineSpec | IntentSpec | CancelSpec], field: str, value: Any, inside: bool, whole: bool
) -> None:
    """One field spoilt, or no document at all: nothing but InvalidInput, and what is accepted keeps the rules."""
    document: Any = {EngineSpec: GOOD, IntentSpec: INTENT, CancelSpec: {"engine": "e1"}}[model]
    if whole:
        document = value
    elif inside and "feed" in document:
        document = {**document, "feed": {**document["feed"], field: value}}
    else:
        document = {**document, field: value}
    try:
        found = parse(model, document)
    except InvalidInput:
        return
    if isinstance(found, IntentSpec):
        assert found.epoch >= 1
        assert found.quantity >= 1
        assert found.limit is None or found.limit > 0
    if isinstance(found, EngineSpec):
        assert all(str(Scope.parse(scope)) == scope for scope in found.scopes)


# -- the venue's line -------------------------------------------------------------------------------------------------

REQUEST = {
    "id": 1, "do": "submit", "session": "e1", "client_id": "c", "symbol": "EURUSD", "side": "BUY", "quantity": 10,
    "limit": 1.1, "reduces": False, "token": 7, "owner": 3, "worker": "w", "epoch": 9, "refuse": True, "since": 0,
    "time_ns": 5, "bid": 1.0, "ask": 1.1,
}  # fmt: skip
VERBS = ["submit", "cancel", "void", "cancel_all", "open_orders", "positions", "on_tick", "raise_fence", "status", "x"]


@settings(max_examples=250)
@given(line=st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 60_000))
def test_any_line_is_an_object_or_a_bad_request(line: bytes) -> None:
    """Noise, other JSON, and nesting that would exhaust the stack."""
    try:
        assert isinstance(decode(line), dict)
    except BadRequest:
        pass


@settings(max_examples=300)
@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from([*VERBS, "raise_fence", "raise_fence", "submit", "submit"]),
            st.dictionaries(st.sampled_from(list(REQUEST)), JSON_VALUES, max_size=2),
            st.integers(0, 12),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_requests_are_answered_or_refused_and_a_fence_never_falls(
    requests: list[tuple[str, dict[str, Any], int]],
) -> None:
    """S16: spoilt fields change nothing by mistake: no order below the fence works, and the fence only rises."""
    events: list[dict[str, Any]] = []
    book = Book(record=events.append)
    fences: dict[str, int] = {}
    for number, (verb, spoilt, epoch) in enumerate(requests):
        request = {**REQUEST, "do": verb, "client_id": f"c{number}", "epoch": epoch, "token": epoch, **spoilt}
        json.dumps(book.handle(json.loads(json.dumps(request))))
    for event in events:
        if event["kind"] == "fence":
            assert event["fence"] >= fences.get(event["session"], 0)
            fences[event["session"]] = event["fence"]
        elif event["kind"] == "arrive" and event["accepted"]:
            assert event["token"] >= fences.get(event["session"], 0)


@given(value=JSON_VALUES)
def test_a_field_of_another_form_is_a_bad_request(value: Any) -> None:
    """Never a guess: each accessor gives its own type within its range, or refuses."""
    fields = Fields({"f": value})
    for read, fits in (
        (lambda: fields.text("f"), lambda v: isinstance(v, str) and 0 < len(v) <= 128),
        (lambda: fields.whole("f"), lambda v: type(v) is int and 0 <= v <= 2**53),
        (lambda: fields.number("f"), lambda v: isinstance(v, float) and abs(v) <= 1e15),
        (lambda: fields.flag("f", False), lambda v: isinstance(v, bool)),
    ):
        try:
            assert fits(read())
        except BadRequest:
            pass


# -- tick files -------------------------------------------------------------------------------------------------------

_NAME = "20140508_eurusd_tick_quote.csv"
_MOST_BYTES = 20 << 20


def _bomb(packing: str, megabytes: int) -> bytes:
    """A file of a few kilobytes that unpacks to many megabytes of one endless line."""
    content = b"1,1.0,1.1\n" + b"9" * (megabytes << 20)
    if packing == "gzip":
        return gzip.compress(content, 9)
    methods = {"deflate": zipfile.ZIP_DEFLATED, "lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", methods[packing]) as archive:
        archive.writestr(_NAME, content)
    return packed.getvalue()


@pytest.mark.parametrize(("packing", "refused"), [("deflate", 0), ("gzip", 0), ("lzma", 1), ("bzip2", 1)])
def test_a_bomb_costs_bounded_memory(tmp_path: Path, packing: str, refused: bool) -> None:
    """A tick file that unpacks to 64 MB is read in blocks, or refused: its size never stands in memory."""
    path = tmp_path / "20140508_quote.zip"
    path.write_bytes(_bomb(packing, 64))
    assert path.stat().st_size < 1 << 20
    expected = pytest.raises(FeedError, match="without bound") if refused else contextlib.nullcontext()
    tracemalloc.start()
    try:
        with expected:
            feed = ReplayFeed([path], symbol="EURUSD")
            asyncio.run(_drain(feed))
            assert feed.counts.ticks <= 1
            assert feed.counts.rows == feed.counts.ticks + feed.counts.bad.total()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < _MOST_BYTES, most


async def _drain(feed: ReplayFeed) -> None:
    async for _ in feed.batches(asyncio.Event()):
        pass


@settings(max_examples=60)
@given(data=st.data())
def test_a_cut_or_flipped_tick_file_is_replayed_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Sound files in every packing, cut anywhere and with bits flipped anywhere: FeedError or ticks, at once."""
    rows = b"".join(b"%d,1.%d,1.%d\n" % (n * 10, 1000 + n, 1001 + n) for n in range(400))
    packing = data.draw(st.sampled_from(["deflate", "stored", "lzma", "bzip2", "gzip", "xz"]))
    if packing in ("gzip", "xz"):
        content = gzip.compress(rows) if packing == "gzip" else lzma.compress(rows)
    else:
        methods = {"deflate": 8, "stored": 0, "lzma": 14, "bzip2": 12}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", methods[packing]) as archive:
            archive.writestr(_NAME, rows)
        content = packed.getvalue()
    mutated = bytearray(content[: data.draw(st.integers(4, len(content)))])
    for _ in range(data.draw(st.integers(0, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("ticks") / "20140508_quote.zip"
    path.write_bytes(mutated)
    began = now_ns()
    try:
        asyncio.run(_drain(ReplayFeed([path])))
    except FeedError:
        pass
    assert now_ns() - began < 5_000_000_000


# -- the shell --------------------------------------------------------------------------------------------------------


@given(text=st.text(max_size=20) | st.text("0123456789dhms", max_size=30))
def test_any_length_of_time_is_seconds_or_none(text: str) -> None:
    """`8h` and its like; whatever else is typed is none, and a number of seconds is bounded."""
    found = parse_span(text)
    assert found is None or 0 <= found < 10**11


@given(value=NUMBERS, kind=st.sampled_from([SpanType(), SecondsType(0, 86_400), ScopeType()]))
def test_any_option_is_converted_or_a_usage_error(value: str, kind: click.ParamType[Any]) -> None:
    """Nothing but click's own error for a value of a command line, and no number that is none."""
    try:
        found = kind.convert(value, None, None)
    except click.UsageError:
        return
    if isinstance(found, float):
        assert 0 <= found <= 86_400


@given(text=st.text(max_size=250))
def test_any_reason_is_one_plain_line_or_refused(text: str) -> None:
    """What goes on record cannot forge lines in logs and terminals."""
    try:
        found = check_reason(text, "the reason")
    except InvalidInput:
        return
    assert found.isprintable()
    assert 0 < len(found) <= 200
