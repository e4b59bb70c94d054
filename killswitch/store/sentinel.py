"""Asking the sentinels which server is the master.

Invariant: all of them are asked at once and at least a majority is heard where a majority answers, and of different
answers the one of the newest fail-over holds: a sentinel that is cut off with an old master goes on naming it, and
must not be believed for being first in the list. A dead sentinel costs no time while the others answer. It fails
closed: no answer is no master.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.store.reach import Address, left_s, resolve
from killswitch.store.tls import client_context, trouble

__all__ = ["master_address"]

_CHUNK = 65536
_NOTHING = object()
_TELLING = (Code.UNREACHABLE, Code.TLS_REFUSED, Code.TLS_EXPIRED)  # the most telling last
_GRACE = 4  # the fraction of the time limit for which the others are waited for once one has answered


@dataclass(frozen=True, slots=True)
class _Named:
    """What one sentinel says. `generation` rises with every fail-over; 0 where the sentinel does not tell it."""

    generation: int
    host: str
    port: int


class _Inquiry:
    """One sentinel: connected to, asked, and asked again with a password if it wants one."""

    def __init__(
        self,
        endpoint: Endpoint,
        place: tuple[str, int],
        selector: selectors.BaseSelector,
        context: ssl.SSLContext | None,
    ) -> None:
        self.found: _Named | None = None
        self.failure = ""
        self.code = Code.UNREACHABLE
        self._endpoint = endpoint
        self._name = place[0]
        self._context = context
        self._who = f"the sentinel at {place[0]}:{place[1]}"
        self._selector = selector
        self._addresses: list[Address] = []
        self._sock: socket.socket | None = None
        self._is_connected = False
        self._is_greeting = False
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._replies: list[object] = []
        self._greeted = False
        self._asked = False

    @property
    def is_over(self) -> bool:
        return self.found is not None or bool(self.failure)

    def begin(self, addresses: list[Address] | Exception) -> None:
        """Connects to the first of its addresses that takes it."""
        if isinstance(addresses, Exception):
            self._fail(f"cannot be reached: {addresses}")
            return
        self._addresses = addresses
        self._connect("it has no address")

    def advance(self) -> None:
        """Its socket is ready for the next step."""
        if self._sock is None:
            return
        try:
            if not self._is_connected:
                if error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(error, os.strerror(error))
                self._is_connected = True
                self._begin_tls()
            if self._is_greeting:
                self._greet()
            elif self._asked:
                self._take(self._sock.recv(_CHUNK))
            else:
                self._selector.modify(self._sock, selectors.EVENT_READ, self)
                self._ask()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except (OSError, hiredis.HiredisError, ValueError) as error:
            told = trouble(error) if isinstance(error, OSError) else None
            if told:
                self.code = told[0]
                self._fail(told[1])
            elif self._is_connected:
                self._fail(f"broke off: {error}")
            else:
                self._connect(str(error))

    def close(self) -> None:
        """Gives its socket back."""
        if self._sock is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._sock)
            self._sock.close()
            self._sock = None

    def give_up(self) -> None:
        """Its time is over."""
        if not self.is_over:
            self._fail("did not answer in time")

    def _connect(self, why: str) -> None:
        self.close()
        if not self._addresses:
            self._fail(f"cannot be reached: {why}")
            return
        family, address = self._addresses.pop(0)
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        with contextlib.suppress(OSError):  # what is wrong is told by the socket itself
            self._sock.connect_ex(address)
        self._selector.register(self._sock, selectors.EVENT_WRITE, self)

    def _begin_tls(self) -> None:
        """From here on the socket speaks TLS, where that is wanted; nothing is asked before the name is proved."""
        if self._context is not None and self._sock is not None:
            self._selector.unregister(self._sock)
            self._sock = self._context.wrap_socket(
                self._sock, server_hostname=self._name, do_handshake_on_connect=False
            )
            self._selector.register(self._sock, selectors.EVENT_WRITE, self)
            self._is_greeting = True

    def _greet(self) -> None:
        """One more step of the greeting, as far as it goes without waiting."""
        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(self._sock, selectors.EVENT_READ, self)
            return
        except ssl.SSLWantWriteError:
            self._selector.modify(self._sock, selectors.EVENT_WRITE, self)
            return
        self._is_greeting = False
        self._selector.modify(self._sock, selectors.EVENT_READ, self)
        self._ask()

    def _ask(self) -> None:
        assert self._sock is not None
        self._asked = True
        master, password = self._endpoint.master, self._endpoint.password
        words: list[tuple[str, ...]] = [
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master),
            ("SENTINEL", "MASTER", master),
        ]
        if self._greeted:
            words.insert(0, ("AUTH", *filter(None, (self._endpoint.username, password))))
        self._replies.clear()
        packed = [hiredis.pack_command(cast(Any, tuple(map(str.encode, line)))) for line in words]  # as in the wire
        self._sock.sendall(b"".join(packed))

    def _take(self, data: bytes) -> None:
        self._reader.feed(data)
        while (item := self._reader.gets()) is not _NOTHING:
            self._replies.append(item)
        wanted = 3 if self._greeted else 2
        if len(self._replies) < wanted and data:
            return
        if self._wants_password():
            self._greeted = True
            self._ask()
        elif self._replies:
            self._read(self._replies[self._greeted :])
        else:
            self._fail("closed the connection")

    def _wants_password(self) -> bool:
        first = self._replies[0] if self._replies else None
        refused = isinstance(first, hiredis.ReplyError) and str(first).startswith("NOAUTH")
        return refused and bool(self._endpoint.password) and not self._greeted

    def _read(self, replies: list[object]) -> None:
        match replies:
            case [[bytes(host), bytes(port)], *rest] if port.isdigit() and 0 < int(port) < 65536:
                generation = _generation(rest[0]) if rest else 0
                self.found = _Named(generation, host.decode(errors="replace"), int(port))
                self.close()
            case [hiredis.ReplyError() as error, *_]:
                self._fail(f"refused: {error}")
            case _:
                self._fail(f"knows no master {self._endpoint.master!r}")

    def _fail(self, why: str) -> None:
        self.failure = f"{self._who} {why}"
        self.close()


def _generation(details: object) -> int:
    """`config-epoch` of a reply to SENTINEL MASTER: the number of the fail-over that made this one the master."""
    pairs = zip(details[::2], details[1::2], strict=False) if isinstance(details, list) else ()
    return next((int(v) for k, v in pairs if k == b"config-epoch" and isinstance(v, bytes) and v.isdigit()), 0)


def master_address(endpoint: Endpoint, limit_s: float) -> tuple[str, int]:
    """Host and port of the master, within `limit_s` seconds.

    Raises:
        StoreUnavailable: no sentinel named one; the text says what each of them did.
    """
    begun = now_ns()
    deadline_ns = begun + int(limit_s * 1e9)
    addresses = resolve(endpoint.hosts, limit_s / 2)  # a name that is late must not use up the time of the others
    try:
        context = client_context(endpoint.tls_files) if endpoint.tls else None
    except OSError as error:
        raise StoreUnavailable(Code.TLS_REFUSED, str(error)) from None
    with selectors.DefaultSelector() as selector:
        asked = [_Inquiry(endpoint, place, selector, context) for place in endpoint.hosts]
        try:
            for inquiry, found in zip(asked, addresses, strict=True):
                inquiry.begin(found)
            _hear(asked, selector, deadline_ns, int(limit_s * 1e9) // _GRACE)
        finally:
            for inquiry in asked:
                inquiry.give_up()
                inquiry.close()
    named = [inquiry.found for inquiry in asked if inquiry.found is not None]
    if not named:
        code = max(
            (inquiry.code for inquiry in asked), key=(Code.UNREACHABLE, Code.TLS_REFUSED, Code.TLS_EXPIRED).index
        )
        raise StoreUnavailable(code, "; ".join(inquiry.failure for inquiry in asked))
    best = max(named, key=lambda one: (one.generation, named.count(one)))
    return best.host, best.port


def _hear(asked: list[_Inquiry], selector: selectors.BaseSelector, deadline_ns: int, grace_ns: int) -> None:
    """Until a majority has answered, or nobody is left to answer; in less time once somebody has."""
    answered = 0
    while not all(inquiry.is_over for inquiry in asked) and answered <= len(asked) // 2 and now_ns() < deadline_ns:
        for key, _ in selector.select(left_s(deadline_ns)):
            key.data.advance()
        before, answered = answered, sum(inquiry.found is not None for inquiry in asked)
        if answered and not before:
            deadline_ns = min(deadline_ns, now_ns() + grace_ns)
