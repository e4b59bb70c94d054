"""Order sinks: places that take orders and refuse those of an older epoch once their fence was raised.

A sink is known by a name that the fleet agrees on, and holds one session for each engine or account. A worker says
where its orders go as `name/session`; the operator's settings say where `name` is to be found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from killswitch.core.modes import InvalidInput

__all__ = ["SINKS_MAX", "SinkAddress", "SinkSession", "parse_sessions", "parse_sinks"]

SINKS_MAX = 32
"""Most sinks that one worker may name, and most that settings may list."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHAPE = "write unix:///path/to/socket or tcp://host:port"


class SinkSession(NamedTuple):
    """One session of one sink, as a worker names it."""

    sink: str
    session: str

    def __str__(self) -> str:
        return f"{self.sink}/{self.session}"


@dataclass(frozen=True, slots=True)
class SinkAddress:
    """Where a sink listens: `unix:///path` or `tcp://host:port`. There are no credentials in it."""

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, url: str) -> SinkAddress:
        """Takes an address apart; port 0 (listen on any free one) is allowed here.

        Raises:
            InvalidInput: another scheme, no path, no host or port, or anything besides (a password, a query).
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise InvalidInput(f"the address cannot be read: {_SHAPE}") from None
        if "@" in url or parts.query or parts.fragment:
            raise InvalidInput(f"the address holds more than a place (no password is sent to a sink): {_SHAPE}")
        if parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1:
            return cls("unix", path=unquote(parts.path))
        if parts.scheme == "tcp" and parts.hostname and port is not None and parts.path in ("", "/"):
            return cls("tcp", host=parts.hostname, port=port)
        raise InvalidInput(f"the address {url[:80]!r} is of another form: {_SHAPE}")

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


def parse_sinks(text: str) -> dict[str, SinkAddress]:
    """`name=address,name=address` as a table; empty for an empty text.

    Raises:
        InvalidInput: a part without a name or an address, a name twice, too many of them.
    """
    found: dict[str, SinkAddress] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, url = part.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise InvalidInput(
                f"{part[:80]!r} does not begin with name=: write venue=unix:///path,other=tcp://host:port"
            )
        if name in found:
            raise InvalidInput(f"the sink {name!r} is there twice: keep one")
        found[name] = SinkAddress.parse(url)
        if found[name].scheme == "tcp" and not found[name].port:
            raise InvalidInput(f"the sink {name!r} has the port 0: name the one it listens on")
    if len(found) > SINKS_MAX:
        raise InvalidInput(f"{len(found)} sinks are more than {SINKS_MAX}: list those that the fleet uses")
    return found


def parse_sessions(text: object) -> tuple[SinkSession, ...]:
    """The `name/session,...` of a worker, all or nothing: a list that cannot be read whole names none, because a
    fence at a part of the places that its orders go to proves nothing."""
    if not isinstance(text, str) or len(text) > SINKS_MAX * 130:
        return ()
    found = []
    for part in text.split(","):
        sink, _, session = part.strip().partition("/")
        if not _NAME.fullmatch(sink) or not _NAME.fullmatch(session):
            return ()
        found.append(SinkSession(sink, session))
    return tuple(dict.fromkeys(found)) if len(found) <= SINKS_MAX else ()
