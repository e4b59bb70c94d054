"""One connection to Redis that does exactly what it is told: no retry, no pool, no silent reconnect, no health check.

Invariant: one thread uses a wire. What is sent is sent once; when the outcome is unknown the wire breaks and says so
(StoreUnavailable), because a repeated command would be a second command. It fails closed: a broken wire never works
again. Its descriptor stays open until the owner closes it, who first takes it out of what waits on it. General clients
reconnect and repeat behind the caller's back, which would hide a lost tracking registration.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

import hiredis

from killswitch.clock import now_ns, wall_ms, wall_text
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.reach import left_s, open_tcp, open_unix
from killswitch.store.refusals import refusal
from killswitch.store.sentinel import master_address
from killswitch.store.tls import last_ms, trouble

__all__ = ["Push", "Wire", "connect", "refusal"]

_CHUNK = 65536
_NOTHING = object()

Push = hiredis.PushNotification
"""An out-of-band message (RESP3): an invalidation, or a message of a channel."""


def _packed(words: tuple[str | bytes | int, ...]) -> bytes:
    # A lone surrogate (from a file name, say) is sent as "?": it must not stop the sender.
    encoded = tuple(word.encode(errors="replace") if isinstance(word, str) else word for word in words)
    return cast(bytes, hiredis.pack_command(cast(Any, encoded)))  # its stub allows one word only


class Wire:
    """A connected, authenticated RESP3 connection. `timeout_s` bounds each wait for an answer. `expires_ms`: when the
    first of its certificates ends (0: none does), in milliseconds since the Unix epoch; a connection outlives it."""

    def __init__(self, sock: socket.socket, peer: str, timeout_s: float, expires_ms: int = 0) -> None:
        self._sock = sock
        self._peer = peer
        self.timeout_s = timeout_s
        self.expires_ms = expires_ms
        self._is_broken = False
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self.pushes: list[Push] = []

    def fileno(self) -> int:
        """Descriptor to wait on; -1 once broken or closed."""
        return -1 if self._is_broken else self._sock.fileno()

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS."""
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def peer(self) -> str:
        """The address without credentials."""
        return self._peer

    def send(self, *args: str | bytes | int) -> None:
        """Sends one command and does not wait for its answer.

        Raises:
            StoreUnavailable: the connection is broken, or the send buffer stayed full for the time limit.
        """
        self._transmit(_packed(args))

    def _transmit(self, data: bytes) -> None:
        self._check_whole()
        try:
            self._sock.settimeout(self.timeout_s)  # waiting for the last answer may have left less
            self._sock.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def receive(self) -> list[object]:
        """All answers that have arrived, without waiting; error replies come as StoreRefused values.

        Raises:
            StoreUnavailable: end of stream, a broken connection, or bytes that are not RESP.
        """
        self._check_whole()
        try:
            self._sock.setblocking(False)
            while True:
                self._feed(self._sock.recv(_CHUNK))
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise self._broken(error) from None
        finally:
            with contextlib.suppress(OSError):
                self._sock.settimeout(self.timeout_s)
        return self._answers()

    def drain(self) -> None:
        """Throws away what has arrived, unread: for a connection on which arrival itself is the message."""
        self.receive()
        self.pushes.clear()

    def call(self, *args: str | bytes | int) -> object:
        """Sends one command and waits for its answer.

        Raises:
            StoreRefused: an error reply.
            StoreUnavailable: no answer within the time limit; whether the command took effect is unknown, and the
                wire is broken so that a late answer can not be taken for another one's.
        """
        self.send(*args)
        answer = self.next_answer()
        if isinstance(answer, StoreRefused):
            raise answer
        return answer

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """Sends several commands, then waits for their answers, all together within the time for one. A refusal is
        among the answers as a StoreRefused value. Raises StoreUnavailable as `call` does."""
        deadline_ns = now_ns() + int(self.timeout_s * 1e9)
        self._transmit(b"".join(map(_packed, commands)))
        return [self.next_answer(deadline_ns) for _ in commands]

    def next_answer(self, deadline_ns: int | None = None) -> object:
        """Waits for the next answer; pushes met on the way are kept in `pushes`. Raises as `call` does."""
        self._check_whole()
        deadline = deadline_ns or now_ns() + int(self.timeout_s * 1e9)
        while True:
            answers = self._answers(limit=1)
            if answers:
                return answers[0]
            left_s = (deadline - now_ns()) / 1e9
            if left_s <= 0:
                raise self._broken(TimeoutError())
            try:
                data = self._receive_within(left_s)
            except OSError as error:
                raise self._broken(error) from None
            except BaseException:  # an interrupt: what comes late is nobody's answer
                self._is_broken = True
                raise
            self._feed(data)

    def last_words(self) -> StoreRefused | None:
        """What a server said that hung up before it was asked anything, as one at maxclients does; None: nothing."""
        with contextlib.suppress(OSError):
            self._sock.setblocking(False)
            self._reader.feed(self._sock.recv(_CHUNK))
        return next((answer for answer in self._answers() if isinstance(answer, StoreRefused)), None)

    def wait_push(self, timeout_s: float) -> Push | None:
        """The next push, or None when none came within `timeout_s`. Raises StoreUnavailable when the wire breaks."""
        self._check_whole()
        deadline = now_ns() + int(timeout_s * 1e9)
        while not self.pushes:
            self._answers()
            left_s = (deadline - now_ns()) / 1e9
            if self.pushes or left_s <= 0:
                break
            try:
                data = self._receive_within(left_s)
            except (TimeoutError, ssl.SSLWantReadError):
                break
            except OSError as error:
                raise self._broken(error) from None
            self._feed(data)
        return self.pushes.pop(0) if self.pushes else None

    def close(self) -> None:
        """Closes this process's end. No shutdown: after a fork the parent's connection must live on."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _receive_within(self, limit_s: float) -> bytes:
        self._sock.settimeout(limit_s)
        return self._sock.recv(_CHUNK)

    def _feed(self, data: bytes) -> None:
        if not data:
            raise self._broken(None)
        self._reader.feed(data)

    def _answers(self, limit: int = 0) -> list[object]:
        found: list[object] = []
        while not limit or len(found) < limit:
            try:
                item = self._reader.gets()
            except (hiredis.HiredisError, ArithmeticError, MemoryError, TypeError, ValueError) as error:
                # A map with a list for a key, a list of a thousand million: lawful RESP perhaps, but not from Redis.
                self._is_broken = True
                raise StoreUnavailable(Code.BAD_ANSWER, f"{self._peer} does not speak RESP: {error}") from None
            if item is _NOTHING:
                break
            if isinstance(item, Push):
                self.pushes.append(item)
            elif isinstance(item, hiredis.ReplyError):
                found.append(refusal(str(item)))
            else:
                found.append(item)
        return found

    def _check_whole(self) -> None:
        if self._is_broken:
            raise StoreUnavailable(Code.DISCONNECTED, f"the connection to {self._peer} is broken")

    def _broken(self, error: OSError | None) -> StoreUnavailable:
        self._is_broken = True  # closing is the owner's
        if error is None:
            return StoreUnavailable(Code.DISCONNECTED, f"{self._peer} closed the connection")
        if told := trouble(error):
            return StoreUnavailable(told[0], f"{self._peer}: {told[1]}")
        if isinstance(error, TimeoutError):
            return StoreUnavailable(Code.NO_ANSWER, f"{self._peer} did not answer within {self.timeout_s:.3g} s")
        return StoreUnavailable(Code.DISCONNECTED, f"the connection to {self._peer} broke: {error}")


def _open(endpoint: Endpoint, host: str, port: int, limit_s: float) -> Wire:
    peer = f"Redis at {endpoint.path}" if endpoint.scheme == "unix" else f"Redis at {host}:{port}"
    try:
        if endpoint.scheme == "unix":
            sock = open_unix(endpoint.path, limit_s)
        else:
            sock = open_tcp(host, port, limit_s, endpoint.tls_files if endpoint.tls else None)
    except TimeoutError as error:
        why = f": {error}" if "name" in str(error) else ""
        raise StoreUnavailable(
            Code.UNREACHABLE, f"{peer} did not accept a connection in {limit_s:.3g} s{why}"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name or path that can not be one (UnicodeError, null byte)
        code, why = (isinstance(error, OSError) and trouble(error)) or (Code.UNREACHABLE, f"cannot be reached: {error}")
        raise StoreUnavailable(code, f"{peer}: {why}" if code is not Code.UNREACHABLE else f"{peer} {why}") from None
    return Wire(sock, peer, limit_s, last_ms(sock, endpoint.tls_files))


def _greet(wire: Wire, *hello: str | bytes | int) -> object:
    """The answer to the greeting. A server that does not accept this client's certificate says so by ending the
    connection, and its words on that do not always arrive before the end does."""
    try:
        return wire.call(*hello)
    except StoreUnavailable as error:
        if error.code is Code.DISCONNECTED and (said := wire.last_words()) is not None:
            raise said from None
        if error.code is not Code.DISCONNECTED or not wire.tls:
            raise
        if wire.expires_ms and wall_ms() >= wire.expires_ms:
            ended = f"this client's certificate ended at {wall_text(wire.expires_ms)}"
            raise StoreUnavailable(Code.TLS_EXPIRED, f"{wire.peer} ended the connection: {ended}") from None
        raise StoreUnavailable(error.code, f"{error.reason}; does it accept this client's certificate?") from None


def connect(endpoint: Endpoint, timeout_s: float, name: str = "killswitch", deadline_ns: int | None = None) -> Wire:
    """Connects, greets in RESP3, authenticates and selects the database.

    `timeout_s` bounds each step (asking the sentinels, connecting, each answer) and afterwards each answer;
    `deadline_ns` (`clock.now_ns`) bounds all steps together. `name` shows in CLIENT LIST.

    Raises:
        StoreUnavailable: no connection.
        StoreRefused: the server refused the credentials or the database, does not know RESP3, or is not the master
            that the sentinels took it for.
    """

    def limit_s() -> float:
        return timeout_s if deadline_ns is None else min(timeout_s, left_s(deadline_ns))

    host, port = endpoint.hosts[0] if endpoint.hosts else ("", 0)
    if endpoint.by_sentinel:
        host, port = master_address(endpoint, limit_s())
    wire = _open(endpoint, host, port, limit_s())
    hello: list[str | bytes | int] = ["HELLO", 3]
    if endpoint.password:
        hello += ["AUTH", endpoint.username or "default", endpoint.password]
    try:
        wire.timeout_s = limit_s()
        greeting = _greet(wire, *hello, "SETNAME", name)
        role = greeting.get(b"role") if isinstance(greeting, dict) else None
        if endpoint.by_sentinel and role == b"replica":
            # A sentinel cut off from the others, or a fail-over under way: what is said here may be old.
            raise StoreRefused(
                Code.REDIS_READONLY, f"{wire.peer} is a replica, though the sentinels call it the master"
            )
        if endpoint.db:
            wire.timeout_s = limit_s()
            wire.call("SELECT", endpoint.db)
    except BaseException:
        wire.close()
        raise
    wire.timeout_s = timeout_s
    return wire
