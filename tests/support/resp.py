"""A bare line to a server: RESP over a socket, nothing else. Tests use it where a client library would add something.

`raw_set` does what `redis-cli SET` does and notes when `+OK` came back, on the clock that gates use.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from killswitch import clock

Reply = str | int | list["Reply"] | None


class ReplyError(Exception):
    """The server answered with an error; the text is the server's own."""


def encode(*words: str | bytes | int) -> bytes:
    """One command in wire form."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class RawLine:
    """One blocking RESP2 connection, over the unix socket of a server or over loopback."""

    def __init__(self, where: Path | int, timeout_s: float = 5.0) -> None:
        family = socket.AF_INET if isinstance(where, int) else socket.AF_UNIX
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))
        except OSError:
            self.socket.close()
            raise
        self._reader = self.socket.makefile("rb")

    def call(self, *words: str | bytes | int) -> Reply:
        """Send one command and return its reply. Raises ReplyError for an error reply, OSError for a lost line."""
        self.socket.sendall(encode(*words))
        return self.read()

    def read(self) -> Reply:
        """The next reply."""
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server closed the line")
        kind, rest = line[:1], line[1:-2]
        match kind:
            case b"+":
                return rest.decode()
            case b"-":
                raise ReplyError(rest.decode())
            case b":":
                return int(rest)
            case b"$":
                size = int(rest)
                return None if size < 0 else self._reader.read(size + 2)[:-2].decode("utf-8", "backslashreplace")
            case b"*":
                return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
            case _:
                raise ValueError(f"a reply cannot begin with {line!r}")

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def render(reply: Reply) -> str:
    """A reply as redis-cli prints it into a pipe: one element a line, nothing for nil."""
    if isinstance(reply, list):
        return "\n".join(render(element) for element in reply)
    return "" if reply is None else str(reply)


def raw_set(where: Path | int, key: str, value: str) -> int:
    """SET on a fresh line, as an operator's redis-cli; returns the time (`clock.now_ns`) at which +OK was read.

    `where` is a unix socket or a loopback port. Raises ReplyError if the server refuses.
    """
    with RawLine(where) as line:
        reply = line.call("SET", key, value)
        received_ns = clock.now_ns()
    assert reply == "OK", reply
    return received_ns
