"""RESP3 as a server writes it, so that the shipped wire reads real bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hiredis

from tests.simulation.store import ReplyError

__all__ = ["Encoded", "decode", "encode", "encode_error", "encode_push"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A reply that is ready to be sent."""

    data: bytes


def decode(data: bytes) -> Any:
    """What a client reads in `data`. Raises ReplyError where that is an error."""
    reader = hiredis.Reader(errors="surrogateescape", replyError=ReplyError)
    reader.feed(data)
    found = reader.gets()
    if isinstance(found, ReplyError):
        raise found
    return found


def _bulk(value: Any) -> bytes:
    if type(value) is bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if value is None:
        return b"_\r\n"
    if type(value) is int:
        return b":%d\r\n" % value
    return encode(value)


def encode(value: Any) -> bytes:
    """One reply."""
    kind = type(value)
    if kind is list:
        return b"*%d\r\n%b" % (len(value), b"".join([_bulk(item) for item in value]))
    if isinstance(value, bytes):  # a status as well
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b",%s\r\n" % repr(value).encode()
    if isinstance(value, str):
        return _bulk(value.encode())
    if isinstance(value, list | tuple):
        return encode(list(value))
    if isinstance(value, dict):
        inner = b"".join([_bulk(part) for pair in value.items() for part in pair])
        return b"%%%d\r\n%b" % (len(value), inner)
    raise TypeError(f"no reply of this kind: {value!r:.60}")


def encode_push(value: list[Any]) -> bytes:
    """One out-of-band message."""
    return b">%d\r\n%b" % (len(value), b"".join([_bulk(item) for item in value]))


def encode_error(text: str) -> bytes:
    """One error reply."""
    return b"-" + text.replace("\r", " ").replace("\n", " ").encode() + b"\r\n"
