"""The key space of the simulated server: typed values, expiry by an injected clock, snapshots.

A value's type is its Python type: bytes is a string, dict a hash, list a list, set a set. Bytes inside never change, so
a copy one level deep is a copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = [
    "OK",
    "Database",
    "ReplyError",
    "Snapshot",
    "Status",
    "Store",
    "Stream",
    "Value",
    "ZSet",
    "type_name",
]

DATABASES = 16
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"
SYNTAX = "ERR syntax error"
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")

_ZERO = ord("0")

StreamId = tuple[int, int]


class ReplyError(Exception):
    """An error reply; its text is the server's, the error code first."""


class Status(bytes):
    """A status reply, which Lua sees as a table and a client as bytes."""


OK = Status(b"OK")


class ZSet(dict[bytes, float]):
    """Members and scores."""

    def ordered(self) -> list[tuple[bytes, float]]:
        """By score, then by member, as the server keeps them."""
        return sorted(self.items(), key=lambda item: (item[1], item[0]))


@dataclass(slots=True)
class Stream:
    """Entries in order of their ids, and the highest id ever given."""

    entries: list[tuple[StreamId, tuple[bytes, ...]]] = field(default_factory=list)
    last: StreamId = (0, 0)


Value = bytes | dict[bytes, bytes] | list[bytes] | set[bytes] | ZSet | Stream

_TYPE_NAMES: dict[type, bytes] = {
    bytes: b"string",
    dict: b"hash",
    list: b"list",
    set: b"set",
    ZSet: b"zset",
    Stream: b"stream",
}


def type_name(value: Value | None) -> bytes:
    """What TYPE says."""
    return b"none" if value is None else _TYPE_NAMES[type(value)]


def integer(text: bytes) -> int:
    """A whole number as the server parses it. Raises ReplyError."""
    if len(text) < 19 and text.isdigit() and (text[0] != _ZERO or len(text) == 1):
        return int(text)
    if _INTEGER.fullmatch(text) and -(2**63) <= (number := int(text)) < 2**63:
        return number
    raise ReplyError(NOT_AN_INTEGER)


def _copied(value: Value) -> Value:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Stream):
        return Stream(value.entries.copy(), value.last)
    return type(value)(value)  # type: ignore[arg-type]  # each from one of its own kind


class Database:
    """Keys, their values, and the ends of life of those that have one (ms of the server's clock)."""

    __slots__ = ("ends", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, Value] = {}
        self.ends: dict[bytes, int] = {}

    def copy(self) -> Database:
        made = Database()
        made.values = {key: _copied(value) for key, value in self.values.items()}
        made.ends = dict(self.ends)
        return made


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a dump or a full resynchronisation carries: databases by number, and the function library."""

    databases: dict[int, Database]
    library: str | None


class Store:
    """All databases. One is current, one moment is current; `touched` collects the keys that an execution changed."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._databases: dict[int, Database] = {0: Database()}
        self.touched: dict[bytes, None] = {}
        self.now_ms = 0
        self.begin(0)

    def begin(self, number: int) -> None:
        """Makes database `number` current and holds the clock for one execution."""
        self.now_ms = self._clock_ms()
        database = self._databases.get(number)
        if database is None:
            database = self._databases[number] = Database()
        self.values = database.values
        self.ends = database.ends

    def find(self, key: bytes) -> Value | None:
        """The value under `key`; one whose time is over is removed first."""
        if self.ends and key in self.ends and self.is_over(key):
            self.remove(key)
            return None
        return self.values.get(key)

    def is_over(self, key: bytes) -> bool:
        """Whether the key's time is over: after its last millisecond, not in it."""
        end = self.ends.get(key)
        return end is not None and self.now_ms > end

    def string(self, key: bytes) -> bytes | None:
        """The string under `key`. Raises ReplyError for another type, as the next ones do."""
        value = self.find(key)
        if value is None or type(value) is bytes:
            return value
        raise ReplyError(WRONGTYPE)

    def hash(self, key: bytes) -> dict[bytes, bytes] | None:
        value = self.find(key)
        if value is None or type(value) is dict:
            return value  # type: ignore[return-value]  # a sorted set has a type of its own
        raise ReplyError(WRONGTYPE)

    def list(self, key: bytes) -> list[bytes] | None:
        value = self.find(key)
        if value is None or type(value) is list:
            return value
        raise ReplyError(WRONGTYPE)

    def set(self, key: bytes) -> set[bytes] | None:
        value = self.find(key)
        if value is None or type(value) is set:
            return value
        raise ReplyError(WRONGTYPE)

    def zset(self, key: bytes) -> ZSet | None:
        value = self.find(key)
        if value is None or type(value) is ZSet:
            return value
        raise ReplyError(WRONGTYPE)

    def stream(self, key: bytes) -> Stream | None:
        value = self.find(key)
        if value is None or type(value) is Stream:
            return value
        raise ReplyError(WRONGTYPE)

    def put(self, key: bytes, value: Value, end_ms: int | None = None) -> None:
        """Sets value and end of life, and notes the change."""
        self.values[key] = value
        if end_ms is None:
            self.ends.pop(key, None)
        else:
            self.ends[key] = end_ms
        self.touched[key] = None

    def remove(self, key: bytes) -> bool:
        """Takes a key out, and notes the change; False where there was none."""
        self.ends.pop(key, None)
        if self.values.pop(key, None) is None:
            return False
        self.touched[key] = None
        return True

    def flush(self) -> None:
        """Empties every database."""
        self._databases = {0: Database()}
        self.touched.clear()
        self.begin(0)

    def swap(self, first: int, second: int) -> None:
        """Exchanges two databases; no key counts as changed, as in the real server."""
        one, other = (self._databases.get(number) or Database() for number in (first, second))
        self._databases[first], self._databases[second] = other, one

    def expire_due(self) -> int:
        """Removes everything whose time is over, in every database; how many."""
        removed = 0
        for number in list(self._databases):
            self.begin(number)
            for key in [key for key, end in self.ends.items() if self.now_ms > end]:
                removed += self.remove(key)
        return removed

    def next_end_ms(self) -> int | None:
        """The next end of life, or None."""
        return min((end for database in self._databases.values() for end in database.ends.values()), default=None)

    def copy(self) -> dict[int, Database]:
        """All databases, for a snapshot."""
        return {number: database.copy() for number, database in self._databases.items()}

    def replace(self, databases: dict[int, Database]) -> None:
        """What a snapshot held instead of everything here."""
        self._databases = {number: database.copy() for number, database in databases.items()}
        self.touched.clear()
        self.begin(0)
