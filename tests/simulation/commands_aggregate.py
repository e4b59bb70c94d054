"""Commands on hashes, lists, sets and sorted sets."""

from __future__ import annotations

import math
from typing import Any

from tests.simulation.commands import Words, bounds, command, wrong_number
from tests.simulation.store import NOT_A_FLOAT, SYNTAX, ReplyError, Store, ZSet, integer

__all__ = ["Scored", "score_text"]


class Scored(list[list[Any]]):
    """Members with scores: pairs in RESP3, one flat row in RESP2 and in Lua."""


def score_text(score: float) -> bytes:
    """A score as RESP2 gives it."""
    if math.isinf(score):
        return b"inf" if score > 0 else b"-inf"
    return b"%d" % score if score == int(score) and abs(score) < 1e17 else b"%.17g" % score


def _score(text: bytes) -> float:
    try:
        score = float(text)
    except ValueError:
        raise ReplyError(NOT_A_FLOAT) from None
    overflow = math.isinf(score) and b"inf" not in text.lower()
    if math.isnan(score) or overflow or text != text.strip() or b"_" in text:
        raise ReplyError(NOT_A_FLOAT)
    return score


# -- hashes ---------------------------------------------------------------------------------------------------------


@command("HSET", -4, "write deny_oom")
def hset(store: Store, words: Words) -> Any:
    if len(words) % 2 == 0:
        raise wrong_number("hset")
    key = words[0]
    found = store.hash(key)
    if found is None:
        found = {}
    before = len(found)
    for at in range(1, len(words), 2):
        found[words[at]] = words[at + 1]
    store.put(key, found, store.ends.get(key))
    return len(found) - before


@command("HGET", 3)
def hget(store: Store, words: Words) -> Any:
    return (store.hash(words[0]) or {}).get(words[1])


@command("HMGET", -3)
def hmget(store: Store, words: Words) -> Any:
    found = store.hash(words[0])
    if found is None:
        return [None] * (len(words) - 1)
    return list(map(found.get, words[1:]))


@command("HGETALL", 2)
def hgetall(store: Store, words: Words) -> Any:
    return dict(store.hash(words[0]) or {})


@command("HLEN", 2)
def hlen(store: Store, words: Words) -> Any:
    return len(store.hash(words[0]) or {})


@command("HEXISTS", 3)
def hexists(store: Store, words: Words) -> Any:
    return int(words[1] in (store.hash(words[0]) or {}))


def _changed(store: Store, key: bytes, value: Any, count: int) -> int:
    """After something was taken out: an empty collection is no key at all."""
    if count and not value:
        store.remove(key)
    elif count:
        store.put(key, value, store.ends.get(key))
    return count


@command("HDEL", -3, "write")
def hdel(store: Store, words: Words) -> Any:
    found = store.hash(words[0]) or {}
    return _changed(store, words[0], found, sum(found.pop(name, None) is not None for name in words[1:]))


@command("HINCRBY", 4, "write deny_oom")
def hincrby(store: Store, words: Words) -> Any:
    step = integer(words[2])
    found = store.hash(words[0])
    if found is None:
        found = {}
    try:
        number = integer(found.get(words[1], b"0")) + step
    except ReplyError:
        raise ReplyError("ERR hash value is not an integer") from None
    if not -(2**63) <= number < 2**63:
        raise ReplyError("ERR increment or decrement would overflow")
    found[words[1]] = b"%d" % number
    store.put(words[0], found, store.ends.get(words[0]))
    return number


# -- lists and sets -------------------------------------------------------------------------------------------------


@command("RPUSH", -3, "write deny_oom")
def rpush(store: Store, words: Words) -> Any:
    found = store.list(words[0]) or []
    found.extend(words[1:])
    store.put(words[0], found, store.ends.get(words[0]))
    return len(found)


@command("LPUSH", -3, "write deny_oom")
def lpush(store: Store, words: Words) -> Any:
    found = store.list(words[0]) or []
    found[:0] = reversed(words[1:])
    store.put(words[0], found, store.ends.get(words[0]))
    return len(found)


@command("LRANGE", 4)
def lrange(store: Store, words: Words) -> Any:
    start, end = integer(words[1]), integer(words[2])
    found = store.list(words[0]) or []
    first, after = bounds(start, end, len(found))
    return found[first:after]


@command("LLEN", 2)
def llen(store: Store, words: Words) -> Any:
    return len(store.list(words[0]) or [])


@command("SADD", -3, "write deny_oom")
def sadd(store: Store, words: Words) -> Any:
    found = store.set(words[0])
    if found is None:
        found = set()
    before = len(found)
    found.update(words[1:])
    if len(found) > before:
        store.put(words[0], found, store.ends.get(words[0]))
    return len(found) - before


@command("SMEMBERS", 2)
def smembers(store: Store, words: Words) -> Any:
    """As a sorted list: a set has no order, and two runs must not differ."""
    return sorted(store.set(words[0]) or set())


# -- sorted sets ----------------------------------------------------------------------------------------------------


@command("ZADD", -4, "write deny_oom")
def zadd(store: Store, words: Words) -> Any:
    at, options = 1, set()
    while at < len(words) and words[at].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH"):
        options.add(words[at].upper())
        at += 1
    pairs = words[at:]
    if len(pairs) % 2 or not pairs:
        raise ReplyError(SYNTAX)
    if b"NX" in options and b"XX" in options:
        raise ReplyError("ERR XX and NX options at the same time are not compatible")
    if {b"GT", b"LT"} <= options or (b"NX" in options and options & {b"GT", b"LT"}):
        raise ReplyError("ERR GT, LT, and/or NX options at the same time are not compatible")
    scores = [_score(text) for text in pairs[::2]]
    found = store.zset(words[0])
    if found is None:
        found = ZSet()
    added = updated = 0
    for score, member in zip(scores, pairs[1::2], strict=True):
        old = found.get(member)
        if (old is None and b"XX" in options) or (old is not None and b"NX" in options) or old == score:
            continue
        if old is not None and ((b"GT" in options and score < old) or (b"LT" in options and score > old)):
            continue
        found[member] = score
        added += old is None
        updated += old is not None
    if added or updated:
        store.put(words[0], found, store.ends.get(words[0]))
    return added + updated if b"CH" in options else added


@command("ZREM", -3, "write")
def zrem(store: Store, words: Words) -> Any:
    found = store.zset(words[0])
    if found is None:
        return 0
    return _changed(store, words[0], found, sum(found.pop(member, None) is not None for member in words[1:]))


@command("ZSCORE", 3)
def zscore(store: Store, words: Words) -> Any:
    return (store.zset(words[0]) or ZSet()).get(words[1])


@command("ZCARD", 2)
def zcard(store: Store, words: Words) -> Any:
    return len(store.zset(words[0]) or {})


def _shown(items: list[tuple[bytes, float]], scores: bool) -> Any:
    return Scored([member, score] for member, score in items) if scores else [member for member, _ in items]


def _range(store: Store, words: Words, *, falling: bool) -> Any:
    options = [word.upper() for word in words[3:]]
    if any(option != b"WITHSCORES" for option in options):
        raise ReplyError(SYNTAX)
    start, end = integer(words[1]), integer(words[2])
    items = (store.zset(words[0]) or ZSet()).ordered()
    if falling:
        items.reverse()
    first, after = bounds(start, end, len(items))
    return _shown(items[first:after], bool(options))


@command("ZRANGE", -4)
def zrange(store: Store, words: Words) -> Any:
    return _range(store, words, falling=False)


@command("ZREVRANGE", -4)
def zrevrange(store: Store, words: Words) -> Any:
    return _range(store, words, falling=True)


def _limit(text: bytes) -> tuple[float, bool]:
    excluded = text.startswith(b"(")
    try:
        return _score(text[1:] if excluded else text), excluded
    except ReplyError:
        raise ReplyError("ERR min or max is not a float") from None


@command("ZRANGEBYSCORE", -4)
def zrangebyscore(store: Store, words: Words) -> Any:
    (low, above), (high, below) = _limit(words[1]), _limit(words[2])
    rest, scores, offset, count = list(words[3:]), False, 0, -1
    while rest:
        option = rest.pop(0).upper()
        if option == b"WITHSCORES":
            scores = True
        elif option == b"LIMIT" and len(rest) >= 2:
            offset, count = integer(rest.pop(0)), integer(rest.pop(0))
        else:
            raise ReplyError(SYNTAX)
    items = [
        (member, score)
        for member, score in (store.zset(words[0]) or ZSet()).ordered()
        if (low < score if above else low <= score) and (score < high if below else score <= high)
    ]
    if offset < 0:
        return _shown([], scores)
    return _shown(items[offset:] if count < 0 else items[offset : offset + count], scores)
