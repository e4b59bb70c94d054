"""The Lua of the simulated server: it runs the text of a function library as it is shipped.

One interpreter serves every simulated server of the process. A library's text is compiled once and run anew for each
server that loads it, so each has its own locals, as a server process has. Not for use by several threads.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import lupa.lua51 as lupa  # type: ignore[import-untyped]

from tests.simulation.commands_aggregate import Scored, score_text
from tests.simulation.commands_stream import ByKey
from tests.simulation.store import ReplyError, Status

__all__ = ["Function", "library_name", "load_functions", "run_function"]

Words = tuple[bytes, ...]

_SHEBANG = re.compile(r"#!lua([^\n]*)\n")
_ERROR, _STATUS, _FLAT, _NESTED = 0, 1, 2, 3
_BYTES = {bytes}
_PLAIN = {bytes, int, type(None)}


class Host(Protocol):
    """The server in which a function runs."""

    def script_command(self, words: Words) -> Any:
        """Runs one command for a function. Raises ReplyError."""
        ...


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function: its flags, and the Lua function itself."""

    name: str
    flags: frozenset[str]
    callback: Any


class _Interpreter:
    def __init__(self) -> None:
        self.host: Host | None = None
        self._compiled: dict[str, Any] = {}
        runtime = lupa.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        self._table_from = runtime.table_from
        setup = runtime.compile(Path(__file__).with_name("host.lua").read_bytes(), name=b"=host")
        self._compile, self._load, self.run = setup(self._dispatch, self._decode)

    def chunk(self, source: str) -> Any:
        """The compiled text of a library. Raises ReplyError."""
        found = self._compiled.get(source)
        if found is None:
            found = self._compile(source.encode())
            if isinstance(found, bytes):
                raise ReplyError(f"ERR Error compiling function: {found.decode('utf-8', 'replace')}")
            self._compiled[source] = found
        return found

    def functions(self, source: str) -> dict[bytes, Function]:
        found = self._load(self.chunk(source))
        if not isinstance(found, tuple):
            raise ReplyError("ERR No functions registered")
        if found[0] is False:
            text = found[1].decode("utf-8", "replace").removeprefix("ERR ")
            raise ReplyError(f"ERR Error registering functions: {text}")
        made = {}
        for at in range(0, len(found), 3):
            flags = frozenset(found[at + 1].decode().split())
            made[found[at]] = Function(found[at].decode(), flags, found[at + 2])
        return made

    def _dispatch(self, *words: Any) -> Any:
        """One redis.call of the running function, or a digest; an exception must not cross into Lua."""
        if words and words[0] is True:
            return hashlib.sha1(_argument(words[1]), usedforsecurity=False).hexdigest().encode()
        if self.host is None:
            return None, _ERROR, b"ERR redis.call can only be called inside a script invocation"
        try:
            if set(map(type, words)) != _BYTES:
                words = tuple(map(_argument, words))
            reply = self.host.script_command(words)
        except ReplyError as error:
            return None, _ERROR, str(error).encode("utf-8", "replace")
        kind = type(reply)
        if kind is bytes or kind is int:
            return reply
        return False if reply is None else _for_lua(reply)

    def _decode(self, text: Any, null: Any) -> Any:
        """cjson.decode. Raises ValueError, which Lua sees as an error."""
        loaded = json.loads(_argument(text).decode("utf-8", "surrogateescape"), strict=False)
        return self._lua_value(loaded, null)

    def _lua_value(self, value: Any, null: Any) -> Any:
        match value:
            case None:
                return null
            case str():
                return value.encode("utf-8", "surrogateescape")
            case list():
                return self._table_from([self._lua_value(item, null) for item in value])
            case dict():
                return self._table_from(
                    {self._lua_value(key, null): self._lua_value(item, null) for key, item in value.items()}
                )
        return value


def _argument(word: Any) -> bytes:
    """A word of a command as a function gave it."""
    if type(word) is bytes:
        return word
    if type(word) is int:
        return b"%d" % word if abs(word) < 10**17 else b"%.17g" % word
    if type(word) is float:
        return b"%.17g" % word
    raise ReplyError("ERR Lua redis lib command arguments must be strings or integers")


def _in_resp2(item: Any) -> Any:
    """A reply as RESP2 has it, which is what functions see: no maps, no pairs, no floating point."""
    if item is None:
        return False
    if type(item) is float:
        return score_text(item)
    if type(item) is ByKey:
        return [[key, entries] for key, entries in item.items()]
    if type(item) is dict:
        return [part for pair in item.items() for part in pair]
    if type(item) is Scored:
        return [part for member, score in item for part in (member, score_text(score))]
    return item


def _row(items: list[Any], row: list[Any]) -> None:
    row.append(len(items))
    for item in items:
        plain = _in_resp2(item)
        if type(plain) is list:
            row.append(True)
            _row(plain, row)
        else:
            row.append(plain)


def _for_lua(reply: Any) -> Any:
    """A reply in the form that host.lua takes apart."""
    if type(reply) is Status:
        return None, _STATUS, bytes(reply)
    plain = reply if type(reply) is list else _in_resp2(reply)
    if type(plain) is not list:
        return plain
    if _PLAIN.issuperset(map(type, plain)):
        return None, _FLAT, *[False if item is None else item for item in plain]
    row: list[Any] = [None, _NESTED]
    _row(plain, row)
    return tuple(row)


_INTERPRETER = _Interpreter()


def library_name(source: str) -> str:
    """The name in the first line of a library's text. Raises ReplyError."""
    found = _SHEBANG.match(source)
    if found is None:
        raise ReplyError("ERR Missing library metadata")
    name = re.search(r"name=(\w+)(?=\s|$)", found[1])
    if name is None:
        raise ReplyError("ERR Library name was not given")
    return name[1]


def load_functions(source: str) -> dict[bytes, Function]:
    """The functions that a library's text registers, by name, with fresh locals. Raises ReplyError."""
    return _INTERPRETER.functions("\n" + source.partition("\n")[2])


def run_function(host: Host, function: Function, key_count: int, words: Words) -> bytes:
    """The reply of `function`, run in `host`, as it goes to the client. Raises ReplyError for one that was raised."""
    outer, _INTERPRETER.host = _INTERPRETER.host, host
    try:
        reply = _INTERPRETER.run(function.callback, key_count, *words)
    finally:
        _INTERPRETER.host = outer
    if type(reply) is bytes:
        return reply
    _, text, source, line = reply
    shown = text.decode("utf-8", "replace")
    if source is not None:
        shown += f" script: {function.name}, on {source.decode()}:{line}."
    raise ReplyError(shown)
