"""A bare RESP connection: what an operator's tool has without any library, and the floor every figure stands on."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, cast

import hiredis

from killswitch import Code, InvalidInput, Settings, StoreUnavailable
from killswitch.clock import now_ns
from ops.bench.errors import BenchError
from ops.tls import wrapped

__all__ = ["Line"]

_CHUNK = 65536
_NOTHING = object()
_TIMEOUT_S = 30.0


class Line:
    """One connection by the settings of the switch, greeted in RESP3. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.sock = _connect(settings)
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self.pushes: list[list[bytes]] = []
        endpoint = settings.endpoint
        auth = ("AUTH", endpoint.username or "default", endpoint.password) if endpoint.password else ()
        try:
            self.call("HELLO", 3, *auth)
            if endpoint.db:
                self.call("SELECT", endpoint.db)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, *words: str | bytes | int) -> Any:
        """Sends one command and waits for its answer. Raises BenchError on an error reply or at the end."""
        self.send(*words)
        while True:
            answer = self._next()
            if isinstance(answer, hiredis.PushNotification):
                self.pushes.append(cast("list[bytes]", answer))
            elif isinstance(answer, hiredis.ReplyError):
                raise BenchError(f"{words[0]!r} was refused: {answer}")
            else:
                return answer

    def send(self, *words: str | bytes | int) -> None:
        """Sends one command without waiting."""
        self.sock.sendall(hiredis.pack_command(cast(Any, words)))

    def set(self, key: str, value: str) -> tuple[int, int]:
        """SET, and the times (`clock.now_ns`) just before it was sent and just after its +OK was read."""
        packed = hiredis.pack_command(cast(Any, ("SET", key, value)))
        sent_ns = now_ns()
        self.sock.sendall(packed)
        answer = self.sock.recv(_CHUNK)
        ok_ns = now_ns()
        if answer != b"+OK\r\n":
            raise BenchError(f"SET {key} was answered by {answer[:80]!r}")
        return sent_ns, ok_ns

    def next_push(self, timeout_s: float) -> list[bytes] | None:
        """The next out-of-band message, or None when none came in time."""
        if self.pushes:
            return self.pushes.pop(0)
        self.sock.settimeout(timeout_s)
        try:
            return cast("list[bytes]", self._next())
        except TimeoutError:
            return None
        finally:
            self.sock.settimeout(_TIMEOUT_S)

    def close(self) -> None:
        """Closes it."""
        self.sock.close()

    def _next(self) -> Any:
        while (item := self._reader.gets()) is _NOTHING:
            data = self.sock.recv(_CHUNK)
            if not data:
                raise BenchError("the server closed the connection")
            self._reader.feed(data)
        return item


def _connect(settings: Settings) -> socket.socket:
    endpoint = settings.endpoint
    if endpoint.by_sentinel:
        raise InvalidInput("benchmarks need the URL of one server: give redis://, rediss:// or unix://")
    try:
        if endpoint.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(_TIMEOUT_S)
            sock.connect(endpoint.path)
            return sock
        host, port = endpoint.hosts[0]
        sock = socket.create_connection((host, port), settings.timeout_ms / 1000)
        sock.settimeout(_TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wrapped(sock, endpoint) if endpoint.tls else sock
    except OSError as error:
        raise StoreUnavailable(Code.UNREACHABLE, f"Redis at {endpoint} cannot be reached: {error}") from None
