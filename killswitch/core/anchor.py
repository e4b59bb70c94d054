"""Anchors: the head of the chain, copied to where whoever can write to Redis can not.

A chain shows what was altered inside it. That it was cut at its end, or built anew from its beginning, only shows
beside a head that was copied elsewhere before: today's chain must hold that link at that position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from killswitch.core.endpoint import SCHEMES, Endpoint, parse_url
from killswitch.core.modes import InvalidInput

__all__ = ["MARK", "Anchor", "AnchorPlace", "anchor_line", "by_position", "parse_anchor"]

MARK = '{"killswitch_anchor":'
"""How the JSON object of an anchor begins, in whatever line it stands."""

_FORMAT = 1
_LOCAL_LOG = "/dev/log"
_SYSLOG_PORT = 514
_LINK = re.compile(r"[0-9a-f]{64}")
_MOST = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the record under `prefix` as it was at `at_ms` (server clock): `count` sealed entries, the last of
    them `entry_id`, with the link `link`. `actor` copied it."""

    prefix: str
    count: int
    link: str
    entry_id: str
    algorithm: str
    at_ms: int
    actor: str


def anchor_line(anchor: Anchor) -> str:
    """An anchor as one line of printable ASCII, without its end."""
    found = {
        "killswitch_anchor": _FORMAT,
        "prefix": anchor.prefix,
        "count": anchor.count,
        "link": anchor.link,
        "entry": anchor.entry_id,
        "by": anchor.algorithm,
        "at_ms": anchor.at_ms,
        "actor": anchor.actor,
    }
    return json.dumps(found, separators=(",", ":"))


def parse_anchor(line: str) -> Anchor | None:
    """The anchor in a line, which may have more before it, as the lines of a log do; None where there is none.

    Raises:
        ValueError: there is the beginning of one, and what follows cannot be read (cut off, or altered).
    """
    start = line.find(MARK)
    if start < 0:
        return None
    try:
        found = json.JSONDecoder().raw_decode(line[start:])[0]
        made = Anchor(
            prefix=found["prefix"],
            count=found["count"],
            link=found["link"],
            entry_id=found["entry"],
            algorithm=found["by"],
            at_ms=found["at_ms"],
            actor=found["actor"],
        )
        texts = (made.prefix, made.link, made.entry_id, made.algorithm, made.actor)
        numbers = (made.count, made.at_ms)
        well = all(type(text) is str for text in texts) and all(type(n) is int and 0 <= n <= _MOST for n in numbers)
        if not well or found["killswitch_anchor"] != _FORMAT or made.count < 1 or not _LINK.fullmatch(made.link):
            raise ValueError("a field has another form")
    except (KeyError, RecursionError, ValueError) as error:
        raise ValueError(f"an anchor that cannot be read: {error}") from None
    return made


def by_position(anchors: Iterable[Anchor], prefix: str) -> tuple[dict[int, Anchor], list[Anchor]]:
    """The anchors of the record under `prefix` by their position, the oldest of each; and those that contradict an
    older one: whatever the chain is today, it is not as anchored."""
    found: dict[int, Anchor] = {}
    contrary = []
    for anchor in anchors:
        if anchor.prefix == prefix and found.setdefault(anchor.count, anchor).link != anchor.link:
            contrary.append(anchor)
    return found, contrary


def _syslog_host(url: str) -> tuple[str, int]:
    """Host and port of `syslog://host:port`."""
    try:
        found = urlsplit(url)
        host, port = found.hostname, found.port or _SYSLOG_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise InvalidInput(
            "a place for anchors names no host and port of syslog: write for example syslog://loghost:514"
        )
    if "@" in url or found.path.strip("/") or found.query or found.fragment:
        raise InvalidInput("syslog takes a host and a port and nothing else: write for example syslog://loghost:514")
    return host, port


@dataclass(frozen=True, slots=True)
class AnchorPlace:
    """Where heads are copied to: one of a file `path`, another Redis at `endpoint`, or syslog (`syslog` is a socket's
    path, or host and UDP port). `can_be_read` is False for syslog: what it wrote is read as a file."""

    path: str = ""
    endpoint: Endpoint | None = None
    syslog: str | tuple[str, int] | None = None

    @classmethod
    def parse(cls, text: str) -> AnchorPlace:
        """A place as people write it: a path, a URL of Redis, `syslog:`, `syslog:/path/of/socket` or
        `syslog://host:port`.

        Raises:
            InvalidInput: none of these. The text never quotes what was given: a password or a token may be in it.
        """
        scheme, colon, rest = text.partition(":")
        if scheme.lower() in SCHEMES and colon:
            return cls(endpoint=parse_url(text))
        if scheme.lower() == "syslog" and colon:
            return cls(syslog=_syslog_host(text) if rest.startswith("//") else rest or _LOCAL_LOG)
        return cls.file(text)

    @classmethod
    def file(cls, path: str) -> AnchorPlace:
        """A file, whatever its name looks like, except like a URL. Raises InvalidInput."""
        if not path.strip() or "\0" in path or "://" in path:
            rule = "has an unknown scheme" if "://" in path else "is no path"
            raise InvalidInput(
                f"a place for anchors {rule}: write the path of a file, redis://host:port/db of another Redis, or "
                "syslog://host:port"
            )
        return cls(path=path)

    @property
    def can_be_read(self) -> bool:
        """Whether anchors can be had back from here."""
        return self.syslog is None

    def __str__(self) -> str:
        """For people; never with a password."""
        if self.endpoint is not None:
            return str(self.endpoint)
        if isinstance(self.syslog, tuple):
            return f"syslog://{self.syslog[0]}:{self.syslog[1]}"
        return self.path or f"syslog:{self.syslog}"
