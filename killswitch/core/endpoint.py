"""Where Redis is: the URL, taken apart.

A password is never part of a repr, an error text or a log line.
A URL that cannot be understood is refused when settings are read, long before a gate depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote, urlsplit

from killswitch.core.modes import InvalidInput

__all__ = ["Endpoint", "parse_url"]

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_DEFAULT_PORT = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Redis, or the sentinels that know which one is the master.

    `hosts` holds one pair for redis and rediss, one or more for redis+sentinel, none for unix. The credentials are the
    server's; a sentinel that demands some is given the same.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    master: str = ""

    def with_password(self, password: str) -> Endpoint:
        """The same place with `password`, unless the URL has one of its own or `password` is empty."""
        return replace(self, password=password) if password and not self.password else self

    def __str__(self) -> str:
        """The address without credentials, for people."""
        if self.scheme == "unix":
            return f"unix://{self.path}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.scheme}://{hosts}/{self.master or self.db}"


def _refuse(rule: str) -> InvalidInput:
    return InvalidInput(
        f"the Redis URL {rule}; write redis://[user:password@]host:port/db, rediss://..., unix:///path/to/socket?db=0 "
        "or redis+sentinel://host:port,host:port/master-name/db"
    )


def _hosts(netloc: str, scheme: str) -> tuple[tuple[str, int], ...]:
    found = []
    for part in netloc.rpartition("@")[2].split(","):
        try:
            piece = urlsplit(f"//{part}")
            host, port = piece.hostname, piece.port
        except ValueError:
            # Not quoted: where the @host was forgotten this is the password.
            raise _refuse("has a bad host or port") from None
        if not host:
            raise _refuse("names no host")
        if port == 0:
            raise _refuse("has the port 0")
        found.append((host, port or _DEFAULT_PORT[scheme]))
    if scheme != "redis+sentinel" and len(found) != 1:
        raise _refuse("names several hosts, which only redis+sentinel may")
    return tuple(found)


def _db(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _refuse(f"has the database {text[:40]!r}, which is not a number")
    return int(text)


def parse_url(url: str) -> Endpoint:
    """Takes a Redis URL apart.

    Raises:
        InvalidInput: unknown scheme, no host, a port or database that is no number. The text never holds a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refuse("cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise _refuse(f"has the scheme {parts.scheme or '(none)'!r}" if "@" not in url else "has an unknown scheme")
    user, _, secret = parts.netloc.rpartition("@")[0].partition(":")
    username, password = unquote(user), unquote(secret)
    query = parse_qs(parts.query)
    if parts.scheme == "unix":
        if not parts.path or parts.netloc.rpartition("@")[2]:
            raise _refuse("names no socket path (three slashes begin it)")
        db = _db(query.get("db", [""])[0])
        return Endpoint("unix", path=unquote(parts.path), db=db, username=username, password=password)
    if "@" in parts.path + parts.query + parts.fragment:
        raise _refuse("has an @ behind its host: in a password write %2F for /, %3F for ? and %23 for #")
    hosts = _hosts(parts.netloc, parts.scheme)
    pieces = [unquote(piece) for piece in parts.path.split("/") if piece]
    master = ""
    if parts.scheme == "redis+sentinel":
        if not pieces:
            raise _refuse("names no sentinel master")
        master = pieces.pop(0)
    if len(pieces) > 1:
        raise _refuse(f"has too many path parts ({'/'.join(pieces)!r})")
    db = _db(pieces[0] if pieces else query.get("db", [""])[0])
    return Endpoint(parts.scheme, hosts, "", db, username, password, master)
