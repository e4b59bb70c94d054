"""Commands on strings, hashes, lists, sets and keys of any type; the table of all data commands.

Every handler takes the store and the words after the command's name. Replies are those of RESP3, see `Reply`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.store import (
    OK,
    SYNTAX,
    ReplyError,
    Status,
    Store,
    integer,
    type_name,
)

__all__ = ["TABLE", "Command", "Handler", "Words", "check_arity", "command"]

Words = Sequence[bytes]
Handler = Callable[[Any, Words], Any]


@dataclass(frozen=True, slots=True)
class Command:
    """`arity` counts the name too; negative: at least so many words. `deny_oom`: refused when memory is full.

    `of_server`: the handler takes the server instead of its store. `no_script`: not for functions.
    """

    name: str
    run: Handler
    arity: int
    write: bool = False
    deny_oom: bool = False
    of_server: bool = False
    no_script: bool = False


TABLE: dict[bytes, Command] = {}


def command(name: str, arity: int, flags: str = "") -> Callable[[Handler], Handler]:
    """Enters a handler in the table. `flags`: those of Command that are true."""

    def enter(handler: Handler) -> Handler:
        TABLE[name.encode()] = Command(name.lower(), handler, arity, **dict.fromkeys(flags.split(), True))
        return handler

    return enter


def check_arity(found: Command, count: int) -> bool:
    """Whether `count` words, the name among them, are as many as the command takes."""
    return count == found.arity if found.arity >= 0 else count >= -found.arity


def wrong_number(name: str) -> ReplyError:
    return ReplyError(f"ERR wrong number of arguments for '{name}' command")


# -- strings --------------------------------------------------------------------------------------------------------


@command("GET", 2)
def get(store: Store, words: Words) -> Any:
    return store.string(words[0])


def _end_ms(store: Store, option: bytes, text: bytes) -> int:
    number = integer(text)
    end = number * (1 if option in (b"PX", b"PXAT") else 1000)
    if option in (b"EX", b"PX"):
        end += store.now_ms
    if number <= 0 or end >= 2**63:
        raise ReplyError("ERR invalid expire time in 'set' command")
    return end


@command("SET", -3, "write deny_oom")
def set_(store: Store, words: Words) -> Any:
    key, value = words[0], words[1]
    if len(words) == 2:
        store.find(key)
        store.put(key, value)
        return OK
    options = [word.upper() for word in words[2:]]
    limits = {b"EX", b"PX", b"EXAT", b"PXAT"}
    end: tuple[bytes, bytes] | None = None
    seen: set[bytes] = set()
    at = 0
    while at < len(options):
        option = options[at]
        seen.add(option)
        if option in limits and end is None and at + 1 < len(options):
            end = (option, words[3 + at])
            at += 1
        elif option not in (b"NX", b"XX", b"GET", b"KEEPTTL"):
            raise ReplyError(SYNTAX)
        at += 1
    if {b"NX", b"XX"} <= seen or (end and b"KEEPTTL" in seen):
        raise ReplyError(SYNTAX)
    end_ms = _end_ms(store, *end) if end else None
    before = store.string(key) if b"GET" in seen else store.find(key)
    if (b"NX" in seen and before is not None) or (b"XX" in seen and before is None):
        return before if b"GET" in seen else None
    store.put(key, value, store.ends.get(key) if b"KEEPTTL" in seen else end_ms)
    return before if b"GET" in seen else OK


@command("STRLEN", 2)
def strlen(store: Store, words: Words) -> Any:
    return len(store.string(words[0]) or b"")


@command("GETRANGE", 4)
def getrange(store: Store, words: Words) -> Any:
    start, end = integer(words[1]), integer(words[2])
    value = store.string(words[0]) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    first, after = bounds(start, max(end, -len(value)) if end < 0 else end, len(value))
    return value[first:after]


def bounds(start: int, end: int, length: int) -> tuple[int, int]:
    """Two indexes, of which negative ones count from the end, as a slice."""
    start = max(start + length, 0) if start < 0 else start
    end = end + length if end < 0 else end
    return start, max(end + 1, 0)


@command("APPEND", 3, "write deny_oom")
def append(store: Store, words: Words) -> Any:
    value = (store.string(words[0]) or b"") + words[1]
    store.put(words[0], value, store.ends.get(words[0]))
    return len(value)


@command("INCR", 2, "write deny_oom")
def incr(store: Store, words: Words) -> Any:
    value = store.string(words[0])
    number = integer(b"0" if value is None else value) + 1
    store.put(words[0], b"%d" % number, store.ends.get(words[0]))
    return number


# -- keys of any type -----------------------------------------------------------------------------------------------


@command("DEL", -2, "write")
def del_(store: Store, words: Words) -> Any:
    return sum(store.find(key) is not None and store.remove(key) for key in words)


command("UNLINK", -2, "write")(del_)


@command("EXISTS", -2)
def exists(store: Store, words: Words) -> Any:
    return sum(store.find(key) is not None for key in words)


@command("TYPE", 2)
def type_(store: Store, words: Words) -> Any:
    return Status(type_name(store.find(words[0])))


@command("KEYS", 2)
def keys(store: Store, words: Words) -> Any:
    """Patterns of `*` and `?` only. A key that is over is passed by and not removed, as in the real server."""
    pattern = words[0].decode("latin-1").replace("[", "[[]")
    return [
        key for key in store.values if fnmatch.fnmatchcase(key.decode("latin-1"), pattern) and not store.is_over(key)
    ]


@command("RENAME", 3, "write")
def rename(store: Store, words: Words) -> Any:
    source, target = words
    value = store.find(source)
    if value is None:
        raise ReplyError("ERR no such key")
    store.find(target)
    if source != target:
        end = store.ends.get(source)
        store.remove(source)
        store.put(target, value, end)
    return OK


@command("RENAMENX", 3, "write")
def renamenx(store: Store, words: Words) -> Any:
    if store.find(words[0]) is None:
        raise ReplyError("ERR no such key")
    if store.find(words[1]) is not None:
        return 0
    rename(store, words)
    return 1


@command("PTTL", 2)
def pttl(store: Store, words: Words) -> Any:
    if store.find(words[0]) is None:
        return -2
    end = store.ends.get(words[0])
    return -1 if end is None else end - store.now_ms


@command("TTL", 2)
def ttl(store: Store, words: Words) -> Any:
    left = pttl(store, words)
    return left if left < 0 else (left + 500) // 1000


@command("PEXPIRETIME", 2)
def pexpiretime(store: Store, words: Words) -> Any:
    return -2 if store.find(words[0]) is None else store.ends.get(words[0], -1)


def _expire(store: Store, words: Words, unit: int, base: int, name: str) -> int:
    number = integer(words[1])
    options = {word.upper() for word in words[2:]}
    for option in words[2:]:
        if option.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise ReplyError(f"ERR Unsupported option {option.decode('latin-1')}")
    if b"NX" in options and len(options) > 1:
        raise ReplyError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= options:
        raise ReplyError("ERR GT and LT options at the same time are not compatible")
    end = number * unit + base
    if not -(2**63) <= end < 2**63 or not -(2**63) <= number * unit < 2**63:
        raise ReplyError(f"ERR invalid expire time in '{name}' command")
    value = store.find(words[0])
    now = store.ends.get(words[0])
    if value is None or (b"NX" in options and now is not None) or (b"XX" in options and now is None):
        return 0
    if (b"GT" in options and (now is None or end <= now)) or (b"LT" in options and now is not None and end >= now):
        return 0
    if end <= store.now_ms:
        store.remove(words[0])
    else:
        store.put(words[0], value, end)
    return 1


@command("PEXPIRE", -3, "write")
def pexpire(store: Store, words: Words) -> Any:
    return _expire(store, words, 1, store.now_ms, "pexpire")


@command("EXPIRE", -3, "write")
def expire(store: Store, words: Words) -> Any:
    return _expire(store, words, 1000, store.now_ms, "expire")


@command("PEXPIREAT", -3, "write")
def pexpireat(store: Store, words: Words) -> Any:
    return _expire(store, words, 1, 0, "pexpireat")


@command("PERSIST", 2, "write")
def persist(store: Store, words: Words) -> Any:
    value = store.find(words[0])
    if value is None or words[0] not in store.ends:
        return 0
    store.put(words[0], value)
    return 1
