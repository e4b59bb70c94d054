"""Where Redis is: the URL, taken apart.

A password is never part of a repr, an error text or a log line.
A URL that cannot be understood is refused when settings are read, long before a gate depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote, urlsplit

from killswitch.core.modes import InvalidInput

__all__ = ["SCHEMES", "Endpoint", "TlsFiles", "parse_url"]

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_DEFAULT_PORT = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "rediss+sentinel": 26379}


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths: the authorities that are trusted (empty: the system's), this client's certificate and its key (empty: the
    key is in the file of the certificate)."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def given(self) -> bool:
        """Whether any is set."""
        return bool(self.ca_file or self.cert_file or self.key_file)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Redis, or the sentinels that know which one is the master.

    `hosts` holds one pair for redis and rediss, one or more for the sentinels, none for unix. The credentials are the
    server's; a sentinel that demands some is given the same. With `rediss+sentinel` both speak TLS.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    master: str = ""
    tls_files: TlsFiles = TlsFiles()

    @property
    def by_sentinel(self) -> bool:
        """Whether sentinels are to be asked first."""
        return self.scheme.endswith("+sentinel")

    @property
    def tls(self) -> bool:
        """Whether everything goes through TLS."""
        return self.scheme.startswith("rediss")

    @property
    def tls_mistake(self) -> str:
        """What is wrong about the files for this address; empty where nothing is."""
        files = self.tls_files
        if files.given and not self.tls and self.scheme != "unix":
            return (
                "KILLSWITCH_TLS_CA_FILE, _CERT_FILE or _KEY_FILE is set, but the URL speaks no TLS: write rediss:// or "
                "rediss+sentinel://, or leave them out"
            )
        if files.key_file and not files.cert_file:
            return "KILLSWITCH_TLS_KEY_FILE is set without KILLSWITCH_TLS_CERT_FILE: name the certificate as well"
        return ""

    @property
    def server(self) -> tuple[object, ...]:
        """What two addresses of the same server have in common, whoever logs in and whatever the database."""
        return self.hosts, self.path, self.master

    def with_tls(self, files: TlsFiles) -> Endpoint:
        """The same place, with these files for its connections."""
        return replace(self, tls_files=files)

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
        f"the Redis URL {rule}; write redis://[user:password@]host:port/db, rediss://..., unix:///path/to/socket?db=0, "
        "redis+sentinel://host:port,host:port/master-name/db or rediss+sentinel://..."
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
    if not scheme.endswith("+sentinel") and len(found) != 1:
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
    if any(name.startswith("ssl") for name in query):
        raise _refuse("has TLS options behind the ?: name files in KILLSWITCH_TLS_CA_FILE, _CERT_FILE and _KEY_FILE")
    hosts = _hosts(parts.netloc, parts.scheme)
    pieces = [unquote(piece) for piece in parts.path.split("/") if piece]
    master = ""
    if parts.scheme.endswith("+sentinel"):
        if not pieces:
            raise _refuse("names no sentinel master")
        master = pieces.pop(0)
    if len(pieces) > 1:
        raise _refuse(f"has too many path parts ({'/'.join(pieces)!r})")
    db = _db(pieces[0] if pieces else query.get("db", [""])[0])
    return Endpoint(parts.scheme, hosts, "", db, username, password, master)
