"""Commands on functions, and questions about the server. Handlers take the server and the words after the name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.commands import Words, wrong_number
from tests.simulation.commands_server import VERSION, command, unknown_subcommand
from tests.simulation.store import OK, ReplyError, integer

if TYPE_CHECKING:
    from tests.simulation.server import SimRedis

__all__: list[str] = []


@command("FCALL", -3, "no_script")
def fcall(server: SimRedis, words: Words) -> Any:
    return _fcall(server, words, read_only=False)


@command("FCALL_RO", -3, "no_script")
def fcall_ro(server: SimRedis, words: Words) -> Any:
    return _fcall(server, words, read_only=True)


def _fcall(server: SimRedis, words: Words, *, read_only: bool) -> Any:
    if words[0] not in server.functions:
        raise ReplyError("ERR Function not found")
    try:
        count = integer(words[1])
    except ReplyError:
        raise ReplyError("ERR Bad number of keys provided") from None
    if count > len(words) - 2:
        raise ReplyError("ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise ReplyError("ERR Number of keys can't be negative")
    return server.call_function(words[0], count, tuple(words[2:]), read_only=read_only)


@command("FUNCTION", -2, "no_script")
def function(server: SimRedis, words: Words) -> Any:
    """LOAD [REPLACE], LIST, FLUSH, DELETE; one library at a time."""
    word = words[0].upper()
    if word == b"LOAD":
        server.refuse("function", write=True, deny_oom=True)
        rest = list(words[1:])
        replace = bool(rest) and rest[0].upper() == b"REPLACE"
        if len(rest) != 1 + replace:
            raise wrong_number("function|load")
        return server.load(rest[-1].decode("utf-8", "surrogateescape"), replace=replace).encode()
    if word == b"LIST":
        return _listed(server, [part.upper() for part in words[1:]], words)
    if word in (b"FLUSH", b"DELETE"):
        server.refuse("function", write=True, deny_oom=False)
        if word == b"DELETE" and words[1:] != (server.library_name.encode(),):
            raise ReplyError("ERR Library not found")
        server.unload()
        return OK
    raise unknown_subcommand("FUNCTION", words[0])


def _listed(server: SimRedis, options: list[bytes], words: Words) -> Any:
    wanted = words[options.index(b"LIBRARYNAME") + 2].decode() if b"LIBRARYNAME" in options else "*"
    if server.library is None or not fnmatch.fnmatchcase(server.library_name, wanted):
        return []
    functions = [
        {b"name": found.name.encode(), b"description": None, b"flags": sorted(flag.encode() for flag in found.flags)}
        for found in server.functions.values()
    ]
    return [{b"library_name": server.library_name.encode(), b"engine": b"LUA", b"functions": functions}]


# -- facts about the server ------------------------------------------------------------------------------------------


@command("INFO", -1)
def info(server: SimRedis, words: Words) -> Any:
    wanted = [word.lower() for word in words] or list(_SECTIONS)
    return "\r\n".join(_SECTIONS[name](server) for name in wanted if name in _SECTIONS).encode()


def _replication(server: SimRedis) -> str:
    role = "slave" if server.refusing == "READONLY" else "master"
    return (
        f"# Replication\r\nrole:{role}\r\nconnected_slaves:{server.connected_slaves}\r\n"
        f"master_replid:{server.replid}\r\nmaster_replid2:{server.replid2}\r\n"
    )


def _server(server: SimRedis) -> str:
    return f"# Server\r\nredis_version:{VERSION}\r\nrun_id:{server.run_id}\r\n"


def _persistence(server: SimRedis) -> str:
    return f"# Persistence\r\naof_enabled:{int(bool(server.aof))}\r\n"


_SECTIONS: dict[bytes, Callable[[SimRedis], str]] = {
    b"server": _server,
    b"persistence": _persistence,
    b"replication": _replication,
}


@command("TIME", 1)
def time(server: SimRedis, words: Words) -> Any:
    now_ms = server.store.now_ms
    return [b"%d" % (now_ms // 1000), b"%d" % (now_ms % 1000 * 1000)]


@command("WAIT", 3, "no_script")
def wait(server: SimRedis, words: Words) -> Any:
    """How many replicas have confirmed: `acknowledging`, at once."""
    integer(words[0]), integer(words[1])
    return server.acknowledging


@command("CONFIG", -2, "no_script")
def config(server: SimRedis, words: Words) -> Any:
    if words[0].upper() != b"GET" or len(words) < 2:
        raise unknown_subcommand("CONFIG", words[0])
    known = {
        "appendfsync": server.aof or "everysec",
        "appendonly": "yes" if server.aof else "no",
        "notify-keyspace-events": "",
        "maxmemory-policy": "noeviction",
    }
    patterns = [word.decode("utf-8", "replace").lower() for word in words[1:]]
    return {
        name.encode(): value.encode()
        for name, value in known.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
