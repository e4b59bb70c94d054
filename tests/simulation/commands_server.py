"""Commands on the server and the connection: greeting, tracking, subscriptions, flushes.

Every handler takes the server and the words after the command's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.commands import Handler, Words
from tests.simulation.commands import command as enter
from tests.simulation.store import DATABASES, OK, SYNTAX, ReplyError, Status, integer

if TYPE_CHECKING:
    from tests.simulation.server import SimRedis

__all__ = ["NO_REPLY", "VERSION", "command", "unknown", "unknown_subcommand"]

VERSION = "7.0.15"
NO_REPLY = object()
"""What `execute` returns for a subscription: its confirmation is a push on the same connection, see take_pushes."""


def command(name: str, arity: int, flags: str = "") -> Callable[[Handler], Handler]:
    """An entry in the table of commands, for a handler that takes the server."""
    return enter(name, arity, f"of_server {flags}")


def unknown(words: Words) -> str:
    """The error for a command that does not exist."""
    shown = ""
    for word in words[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{word.decode('utf-8', 'replace')[: 128 - len(shown)]}' "
    return f"ERR unknown command '{words[0].decode('utf-8', 'replace')[:128]}', with args beginning with: {shown}"


def unknown_subcommand(name: str, word: bytes) -> ReplyError:
    """The error for a subcommand that does not exist."""
    return ReplyError(f"ERR unknown subcommand '{word.decode('utf-8', 'replace')[:128]}'. Try {name} HELP.")


_GREETING = {
    b"server": b"redis",
    b"version": VERSION.encode(),
    b"proto": 3,
    b"id": 0,
    b"mode": b"standalone",
    b"role": b"",
    b"modules": [],
}


# -- connection -----------------------------------------------------------------------------------------------------


@command("PING", -1)
def ping(server: SimRedis, words: Words) -> Any:
    return words[0] if words else Status(b"PONG")


@command("ECHO", 2)
def echo(server: SimRedis, words: Words) -> Any:
    return words[0]


@command("HELLO", -1, "no_script")
def hello(server: SimRedis, words: Words) -> Any:
    """RESP3 only; any password is right, as it is where the default user has none."""
    if words and words[0] != b"3":
        raise ReplyError("NOPROTO unsupported protocol version")
    at = 1
    while at < len(words):
        option = words[at].upper()
        if option == b"AUTH" and at + 2 < len(words):
            at += 3
        elif option == b"SETNAME" and at + 1 < len(words):
            server.current.name = words[at + 1].decode("utf-8", "replace")
            at += 2
        else:
            raise ReplyError(f"ERR Syntax error in HELLO option '{words[at].decode('utf-8', 'replace')}'")
    role = b"replica" if server.refusing == "READONLY" else b"master"
    return {**_GREETING, b"id": server.current.id, b"role": role}


@command("AUTH", -2, "no_script")
def auth(server: SimRedis, words: Words) -> Any:
    return OK


@command("SELECT", 2, "no_script")
def select(server: SimRedis, words: Words) -> Any:
    number = integer(words[0])
    if not 0 <= number < DATABASES:
        raise ReplyError("ERR DB index is out of range")
    server.current.database = number
    return OK


@command("CLIENT", -2, "no_script")
def client(server: SimRedis, words: Words) -> Any:
    """SETNAME, GETNAME, ID, NO-EVICT, TRACKING ON BCAST PREFIX, TRACKING OFF."""
    word, session = words[0].upper(), server.current
    if word == b"SETNAME" and len(words) == 2:
        session.name = words[1].decode("utf-8", "replace")
        return OK
    if word == b"GETNAME":
        return session.name.encode() or None
    if word == b"ID":
        return session.id
    if word in (b"NO-EVICT", b"SETINFO", b"NO-TOUCH"):
        return OK
    if word == b"TRACKING" and len(words) > 1:
        return _tracking(server, words[1:])
    raise unknown_subcommand("CLIENT", words[0])


def _tracking(server: SimRedis, words: Words) -> Any:
    session = server.current
    if words[0].upper() == b"OFF":
        session.prefixes = []
        return OK
    if words[0].upper() != b"ON":
        raise ReplyError(SYNTAX)
    prefixes, rest, is_broadcast = [], list(words[1:]), False
    while rest:
        option = rest.pop(0).upper()
        if option == b"BCAST":
            is_broadcast = True
        elif option == b"PREFIX" and rest:
            prefixes.append(rest.pop(0))
        else:
            raise ReplyError(SYNTAX)
    if not is_broadcast:
        raise ReplyError("ERR this simulated server tracks in broadcasting mode only")
    prefixes = prefixes or [b""]
    for at, prefix in enumerate(prefixes):
        _check_overlap(prefix, session.prefixes, "an existing")
        _check_overlap(prefix, prefixes[at + 1 :], "another provided")
    session.prefixes = [*session.prefixes, *prefixes]
    return OK


def _check_overlap(prefix: bytes, others: list[bytes], which: str) -> None:
    for other in others:
        if prefix.startswith(other) or other.startswith(prefix):
            raise ReplyError(
                f"ERR Prefix '{prefix.decode()}' overlaps with {which} prefix '{other.decode()}'. "
                "Prefixes for a single client must not overlap."
            )


@command("SUBSCRIBE", -2, "no_script")
def subscribe(server: SimRedis, words: Words) -> Any:
    session = server.current
    for channel in words:
        session.channels[channel] = None
        server.push(session, [b"subscribe", channel, len(session.channels)], before=False)
    return NO_REPLY


@command("UNSUBSCRIBE", -1, "no_script")
def unsubscribe(server: SimRedis, words: Words) -> Any:
    session = server.current
    for channel in words or list(session.channels):
        session.channels.pop(channel, None)
        server.push(session, [b"unsubscribe", channel, len(session.channels)], before=False)
    return NO_REPLY


@command("PUBLISH", 3)
def publish(server: SimRedis, words: Words) -> Any:
    hearers = [session for session in server.sessions if words[0] in session.channels]
    for session in hearers:
        server.push(session, [b"message", words[0], words[1]], before=False)
    return len(hearers)


# -- data -----------------------------------------------------------------------------------------------------------


@command("FLUSHALL", -1, "write")
def flushall(server: SimRedis, words: Words) -> Any:
    server.store.flush()
    server.announce_flush()
    return OK


@command("FLUSHDB", -1, "write")
def flushdb(server: SimRedis, words: Words) -> Any:
    server.store.values.clear()
    server.store.ends.clear()
    server.announce_flush()
    return OK


@command("SWAPDB", 3, "write")
def swapdb(server: SimRedis, words: Words) -> Any:
    first, second = integer(words[0]), integer(words[1])
    if not (0 <= first < DATABASES and 0 <= second < DATABASES):
        raise ReplyError("ERR DB index is out of range")
    server.store.swap(first, second)
    return OK
