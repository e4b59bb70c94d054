"""Commands on streams."""

from __future__ import annotations

import re
from typing import Any

from tests.simulation.commands import Words, command, wrong_number
from tests.simulation.store import SYNTAX, ReplyError, Store, Stream, StreamId, integer

__all__ = ["ByKey"]

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
SMALLER = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
EXHAUSTED = "ERR The stream has exhausted the last possible ID, unable to add more items"
TOP = 2**64 - 1


class ByKey(dict[bytes, list[Any]]):
    """Entries by stream: a map in RESP3, pairs in RESP2 and in Lua."""


_LAST: StreamId = (TOP, TOP)
_PART = re.compile(rb"[0-9]{1,20}")


def _part(text: bytes) -> int:
    if not _PART.fullmatch(text) or (number := int(text)) > TOP:
        raise ReplyError(INVALID_ID)
    return number


def _parse(text: bytes, missing: int) -> StreamId:
    """An id as ms-seq or ms alone, which gets the sequence number `missing`."""
    first, dash, second = text.partition(b"-")
    return _part(first), _part(second) if dash else missing


def _show(found: StreamId) -> bytes:
    return b"%d-%d" % found


def _next(after: StreamId, now_ms: int) -> StreamId:
    if now_ms > after[0]:
        return now_ms, 0
    return (after[0], after[1] + 1) if after[1] < TOP else (after[0] + 1, 0)


def _chosen(text: bytes, last: StreamId, now_ms: int) -> StreamId:
    """The id of a new entry."""
    if text == b"*":
        return _next(last, now_ms)
    if text.endswith(b"-*"):
        ms = _part(text[:-2])
        if ms < last[0] or (ms == last[0] and last[1] == TOP):
            raise ReplyError(SMALLER)
        return ms, last[1] + 1 if ms == last[0] else 0
    found = _parse(text, 0)
    if found <= last:
        raise ReplyError(SMALLER)
    return found


def _trim_option(words: list[bytes]) -> tuple[bytes, bytes] | None:
    """Takes MAXLEN or MINID with its threshold off the front. Approximate trimming (`~`) is done exactly."""
    if not words or words[0].upper() not in (b"MAXLEN", b"MINID"):
        return None
    kind = words.pop(0).upper()
    if words and words[0] in (b"=", b"~"):
        words.pop(0)
    if not words:
        raise ReplyError(SYNTAX)
    threshold = words.pop(0)
    if words and words[0].upper() == b"LIMIT":
        del words[:2]
    return kind, threshold


def _trim(stream: Stream, kind: bytes, threshold: bytes) -> int:
    before = len(stream.entries)
    if kind == b"MAXLEN":
        keep = integer(threshold)
        if keep < 0:
            raise ReplyError("ERR The MAXLEN argument must be >= 0.")
        del stream.entries[: max(before - keep, 0)]
    else:
        lowest = _parse(threshold, 0)
        stream.entries = [entry for entry in stream.entries if entry[0] >= lowest]
    return before - len(stream.entries)


@command("XADD", -5, "write deny_oom")
def xadd(store: Store, words: Words) -> Any:
    key, rest = words[0], list(words[1:])
    create = True
    trimming = None
    while rest and rest[0].upper() in (b"NOMKSTREAM", b"MAXLEN", b"MINID"):
        if rest[0].upper() == b"NOMKSTREAM":
            create = False
            rest.pop(0)
        else:
            trimming = _trim_option(rest)
    if len(rest) < 3 or len(rest) % 2 == 0:
        raise wrong_number("xadd")
    text = rest[0]
    if text != b"*" and not text.endswith(b"-*") and _parse(text, 0) == (0, 0):
        raise ReplyError("ERR The ID specified in XADD must be greater than 0-0")
    stream = store.stream(key)
    if stream is None:
        if not create:
            return None
        stream = Stream()
    if stream.last == _LAST:
        raise ReplyError(EXHAUSTED)
    chosen = _chosen(text, stream.last, store.now_ms)
    stream.entries.append((chosen, tuple(rest[1:])))
    stream.last = chosen
    store.put(key, stream, store.ends.get(key))
    if trimming:
        _trim(stream, *trimming)
    return _show(chosen)


@command("XLEN", 2)
def xlen(store: Store, words: Words) -> Any:
    stream = store.stream(words[0])
    return len(stream.entries) if stream else 0


@command("XDEL", -3, "write")
def xdel(store: Store, words: Words) -> Any:
    doomed = {_parse(text, 0) for text in words[1:]}
    stream = store.stream(words[0])
    if stream is None:
        return 0
    before = len(stream.entries)
    stream.entries = [entry for entry in stream.entries if entry[0] not in doomed]
    if len(stream.entries) < before:
        store.put(words[0], stream, store.ends.get(words[0]))
    return before - len(stream.entries)


@command("XTRIM", -4, "write")
def xtrim(store: Store, words: Words) -> Any:
    rest = list(words[1:])
    option = _trim_option(rest)
    if option is None or rest:
        raise ReplyError(SYNTAX)
    stream = store.stream(words[0])
    if stream is None:
        return 0
    removed = _trim(stream, *option)
    if removed:
        store.put(words[0], stream, store.ends.get(words[0]))
    return removed


def _bound(text: bytes, lower: bool) -> StreamId:
    """One end of a range, as the lowest or highest id that belongs to it."""
    if text == b"-":
        return 0, 0
    if text == b"+":
        return _LAST
    if not text.startswith(b"("):
        return _parse(text, 0 if lower else TOP)
    ms, seq = _parse(text[1:], 0 if lower else TOP)
    if (ms, seq) == (_LAST if lower else (0, 0)):
        raise ReplyError(f"ERR invalid {'start' if lower else 'end'} ID for the interval")
    if lower:
        return (ms, seq + 1) if seq < TOP else (ms + 1, 0)
    return (ms, seq - 1) if seq else (ms - 1, TOP)


def _count(words: Words) -> int | None:
    if not words:
        return None
    if len(words) != 2 or words[0].upper() != b"COUNT":
        raise ReplyError(SYNTAX)
    return max(integer(words[1]), 0)


def _shown(entry: tuple[StreamId, tuple[bytes, ...]]) -> list[Any]:
    return [_show(entry[0]), list(entry[1])]


@command("XRANGE", -4)
def xrange_(store: Store, words: Words) -> Any:
    low, high, count = _bound(words[1], True), _bound(words[2], False), _count(words[3:])
    stream = store.stream(words[0])
    if stream is None:
        return []
    if count == 0:
        return None
    return [_shown(entry) for entry in stream.entries if low <= entry[0] <= high][:count]


@command("XREVRANGE", -4)
def xrevrange(store: Store, words: Words) -> Any:
    high, low, count = _bound(words[1], False), _bound(words[2], True), _count(words[3:])
    stream = store.stream(words[0])
    if stream is None:
        return []
    if count == 0:
        return None
    found: list[list[Any]] = []
    for entry in reversed(stream.entries):
        if entry[0] < low or len(found) == count:
            break
        if entry[0] <= high:
            found.append(_shown(entry))
    return found


@command("XREAD", -4)
def xread(store: Store, words: Words) -> Any:
    """COUNT and STREAMS; BLOCK is taken and does not block: the reply is then nil at once."""
    rest, count = list(words), None
    while rest and rest[0].upper() != b"STREAMS":
        option = rest.pop(0).upper()
        if option not in (b"COUNT", b"BLOCK") or not rest:
            raise ReplyError(SYNTAX)
        number = integer(rest.pop(0))
        count = number if option == b"COUNT" and number > 0 else count
    half = len(rest) // 2
    if not rest or len(rest) % 2 == 0:
        raise ReplyError(
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
            if rest
            else SYNTAX
        )
    asked: list[tuple[bytes, Stream, StreamId]] = []
    for key, text in zip(rest[1 : half + 1], rest[half + 1 :], strict=True):
        stream = store.stream(key)
        after = _LAST if text == b"$" else _parse(text, 0)
        if stream is not None:
            asked.append((key, stream, after))
    found = ByKey()
    for key, stream, after in asked:
        entries = [_shown(entry) for entry in stream.entries if entry[0] > after][:count]
        if entries:
            found[key] = entries
    return found or None
