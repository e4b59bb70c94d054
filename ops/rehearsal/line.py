"""A bare line to the switch's server: what redis-cli sends and nothing more, with the times at which it was sent and
answered."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

import hiredis

from killswitch import Settings
from killswitch.clock import now_ns
from ops.exit_codes import Exit
from ops.rehearsal.plan import RehearsalError
from ops.tls import wrapped

__all__ = ["RawLine"]

_TIMEOUT_S = 5.0


class RawLine:
    """One connection in RESP2, without handshake, library or retry. A context manager.

    Raises:
        RehearsalError: the server cannot be reached, or is to be found by sentinels, which a bare line cannot ask.
    """

    def __init__(self, settings: Settings) -> None:
        where = settings.endpoint
        self._where = str(where)
        self._received_ns = 0
        if where.by_sentinel:
            raise RehearsalError(
                f"{where}: the demonstration sends a bare SET: give the URL of the server itself", Exit.USAGE
            )
        self._reader = hiredis.Reader(encoding="utf-8", errors="backslashreplace")
        try:
            if where.scheme == "unix":
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(_TIMEOUT_S)
                self._socket.connect(where.path)
            else:
                self._socket = socket.create_connection(where.hosts[0], _TIMEOUT_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if where.tls:
                self._socket = wrapped(self._socket, where)
        except OSError as error:
            raise self._lost(error) from None
        try:
            if where.password:
                self.call("AUTH", *([where.username] if where.username else []), where.password)
            if where.db:
                self.call("SELECT", str(where.db))
        except BaseException:
            self._socket.close()
            raise

    def call(self, *words: str) -> Any:
        """Sends one command and returns the answer. Raises RehearsalError when there is none, or a refusal."""
        return self.timed(*words)[0]

    def timed(self, *words: str) -> tuple[Any, int, int]:
        """As `call`, with the time just before it was sent and the time at which the answer was here."""
        packed = _packed(words)
        sent_ns = now_ns()
        try:
            self._socket.sendall(packed)
        except OSError as error:
            raise self._lost(error) from None
        found = self.wait(_TIMEOUT_S)
        if found is None:
            raise self._lost(TimeoutError(f"no answer within {_TIMEOUT_S:g} s"))
        answer, received_ns = found
        if isinstance(answer, Exception):
            raise RehearsalError(f"{self._where} refused {words[0]}: {answer}")
        return answer, sent_ns, received_ns

    def wait(self, timeout_s: float) -> tuple[Any, int] | None:
        """The next message and when it was here; None if there is none within `timeout_s`."""
        found = self._reader.gets()
        deadline_ns = now_ns() + int(timeout_s * 1e9)
        while found is False:
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0:
                return None
            self._socket.settimeout(left_s)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise self._lost(error) from None
            self._received_ns = now_ns()
            if not data:
                raise self._lost(ConnectionResetError("the server closed the line"))
            self._reader.feed(data)
            found = self._reader.gets()
        return found, self._received_ns

    def close(self) -> None:
        """Ends the line."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lost(self, error: OSError) -> RehearsalError:
        return RehearsalError(f"the switch's Redis at {self._where} does not answer: {error}", Exit.UNREACHABLE)


def _packed(words: tuple[str, ...]) -> bytes:
    """One command as an array of strings."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
