"""One command on the simulated server and on a real one, at the same moment of the server's clock.

The moment: the real server is asked for its time before and after the command, in one batch. Where both say the same
millisecond, the simulated one runs the command at that millisecond and everything must be equal, to the letter. Where
another began in between, a function may have met both, and nothing can be compared; but what never asks for the time
can: a library takes some servers a whole millisecond to load or to forget.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hiredis

from killswitch import clock
from tests.simulation.server import ReplyError, SimRedis
from tests.support.resp import encode

__all__ = ["Inconclusive", "Line", "Moment", "Pair", "attempts", "compare", "identity", "outcome", "twin"]

Words = Sequence[str | bytes | int]
_NOTHING = object()
ATTEMPTS = 10
_LATEST_US = 200
_TIMELESS = {
    *("PING", "PUBLISH", "KEYS", "EXISTS", "TYPE", "GET", "HGETALL", "HMGET", "LRANGE", "SMEMBERS", "ZRANGE", "XRANGE"),
    *("XREVRANGE", "PEXPIRETIME", "DEL", "UNLINK", "RENAME", "PERSIST", "APPEND", "INCR", "HSET", "HDEL", "LPUSH"),
    *("RPUSH", "SADD", "ZADD", "ZREM", "FUNCTION"),
}
_PLACE = re.compile(r" script: .*$", re.DOTALL)

_WORDINGS = (
    ("Valkey", "Redis"),
    ("Unknown command called", "Unknown Redis command called"),
    ("number of args calling command", "number of args calling Redis command"),
    ("ERR Command arguments must be", "ERR Lua redis lib command arguments must be"),
    ("argument for this call", "argument for this redis lib call"),
)

READERS: dict[bytes, tuple[str, ...]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


class Inconclusive(Exception):
    """A millisecond began while the command ran, so nobody knows at which time its parts ran."""


def _error(text: str) -> tuple[str, str]:
    """An error reply for comparison, without the place in the Lua text, which each server shows in its own way."""
    text = _PLACE.sub("", text)
    for valkeys, redis in _WORDINGS:
        text = text.replace(valkeys, redis)
    return "error", text


class Line:
    """A RESP3 connection to a real server; pushes are kept apart."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(5.0)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self.pushes: list[list[Any]] = []
        self.call("HELLO", 3)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, *words: str | bytes | int) -> None:
        """Sends one command."""
        self._socket.sendall(encode(*words))

    def batch(self, *commands: Words) -> list[Any]:
        """Sends several commands at once; their replies, errors as `outcome` gives them."""
        self._socket.sendall(b"".join(encode(*words) for words in commands))
        return [self.reply() for _ in commands]

    def call(self, *words: str | bytes | int) -> Any:
        """One command, its reply."""
        return self.batch(words)[0]

    def reply(self) -> Any:
        """The next reply; pushes on the way go to `pushes`."""
        while True:
            item = self._reader.gets()
            if item is _NOTHING:
                data = self._socket.recv(65536)
                assert data, "the server closed the line"
                self._reader.feed(data)
            elif isinstance(item, hiredis.PushNotification):
                self.pushes.append(list(item))
            else:
                return _error(str(item)) if isinstance(item, hiredis.ReplyError) else item

    def take_pushes(self) -> list[list[Any]]:
        """Every push that was written to this connection until now."""
        self.call("PING")
        found, self.pushes = self.pushes, []
        return found

    def close(self) -> None:
        self._socket.close()


def outcome(server: SimRedis, session: Any, words: Words) -> Any:
    """A command's reply from the simulated server, or its error, in the form of Line's."""
    try:
        return server.execute(session, words)
    except ReplyError as error:
        return _error(str(error))


class Moment:
    """The clock of a simulated server: the millisecond that the real one named."""

    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


def identity(line: Line) -> dict[str, str]:
    """Who a real server is, in the words of SimRedis."""
    info = (line.call("INFO", "server") + line.call("INFO", "replication")).decode()
    found = dict(re.findall(r"(run_id|master_replid|master_replid2):(\w+)", info))
    return {"run_id": found["run_id"], "replid": found["master_replid"], "replid2": found["master_replid2"]}


def twin(path: Path, library: str, prefix: str) -> Pair:
    """A real server, emptied and with this library, and a simulated one that is like it."""
    with contextlib.closing(Line(path)) as line:
        line.call("FLUSHALL")
        line.call("FUNCTION", "LOAD", "REPLACE", library)
        moment = Moment()
        server = SimRedis(**identity(line), now_ms=moment.now_ms, library=library)
    return Pair(path, server, moment, prefix)


def attempts(patience_s: float = 60.0) -> Iterator[int]:
    """Numbers of tries, at least ATTEMPTS and until `patience_s` is over: on a busy machine a server is held up in the
    middle of a millisecond again and again."""
    end_ns = clock.now_ns() + int(patience_s * 1e9)
    return itertools.takewhile(lambda number: number < ATTEMPTS or clock.now_ns() < end_ns, itertools.count())


def compare(path: Path, library: str, prefix: str, action: Callable[[Pair], None], patience_s: float = 60.0) -> bool:
    """Runs `action` on a fresh pair, anew while it is inconclusive; False where it never was conclusive."""
    for _ in attempts(patience_s):
        with contextlib.suppress(Inconclusive), contextlib.closing(twin(path, library, prefix)) as pair:
            action(pair)
            return True
    return False


class Pair:
    """A real server and a simulated one, which must hold the same; `prefix` is tracked on both."""

    def __init__(self, path: Path, server: SimRedis, moment: Moment, prefix: str) -> None:
        self.line, self.ears = Line(path), Line(path)
        self.server, self.moment = server, moment
        self.session, self.hearer = server.session(), server.session()
        self._prefix = prefix.encode()
        self.server.take_pushes()
        tracking = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix)
        assert self.ears.call(*tracking) == self.server.execute(self.hearer, tracking)

    def close(self) -> None:
        self.line.close()
        self.ears.close()

    def run(self, words: Words, *, ordered: bool = True) -> Any:
        """Runs the command on both and asserts that reply and announcements are equal; returns the reply.

        `ordered` false: the reply is a list whose order means nothing.

        Raises:
            Inconclusive: no comparison is possible from here on.
        """
        ending = self._ending()
        self._wait_for_a_fresh_millisecond()
        before, real, after = self.line.batch(("TIME",), words, ("TIME",))
        self.moment.ms = _milliseconds(before)
        if self._matters(words, _milliseconds(after)):
            raise Inconclusive
        found = outcome(self.server, self.session, words)
        same = found == real or (not ordered and sorted(found) == sorted(real))
        assert same, f"{words}: simulated {found!r}, real {real!r}"
        announced = self.ears.take_pushes()
        expected = [push for session, push, _ in self.server.take_pushes() if session is self.hearer]
        if not ending and not self._ending():
            assert announced == expected, f"{words}: simulated {expected!r}, real {announced!r}"
        return found

    def _matters(self, words: Words, after_ms: int) -> bool:
        """Whether it makes a difference in which millisecond until this one the command ran."""
        if after_ms == self.moment.ms:
            return False
        ends = self.server.store.ends.values()
        return words[0] not in _TIMELESS or any(self.moment.ms <= end <= after_ms for end in ends)

    def _wait_for_a_fresh_millisecond(self) -> None:
        while int(self.line.call("TIME")[1]) % 1000 > _LATEST_US:
            pass

    def _ending(self) -> bool:
        """Whether a tracked key may end by itself: nobody knows in which moment a real server announces that."""
        return any(key.startswith(self._prefix) for key in self.server.store.ends)

    def compare_contents(self) -> None:
        """Asserts that both hold the same keys with the same values and the same ends. Raises Inconclusive."""
        for key in sorted(self.run(("KEYS", "*"), ordered=False)):
            kind = self.run(("TYPE", key))
            if kind != b"none":  # it may have come to its end just now
                name, *rest = READERS[kind]
                self.run((name, key, *rest), ordered=kind != b"set")
                self.run(("PEXPIRETIME", key))


def _milliseconds(reply: Any) -> int:
    return int(reply[0]) * 1000 + int(reply[1]) // 1000
