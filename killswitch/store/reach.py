"""Reaching an address in bounded time: its name, its socket.

Invariant: nothing here waits longer than it was told to. The system's resolver cannot be told to hurry, so it is asked
in a thread of its own and left behind when it is late; per name at most one such thread waits. It fails closed: what
was not reached in time was not reached.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from typing import Any

from killswitch.clock import now_ns
from killswitch.core.endpoint import TlsFiles
from killswitch.store.tls import client_context

__all__ = ["Address", "left_s", "open_tcp", "open_unix", "resolve"]

Address = tuple[socket.AddressFamily, Any]
"""Family and socket address, as `socket.connect` takes it."""

_LEAST_S = 0.001  # zero would mean "do not wait at all", which is another error

_VIGILANCE = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5000}
"""Seconds, seconds, probes, milliseconds; where the platform has them. A push connection only listens: when the other
side vanishes without a word, its silence looks like "nothing changed", by default for two hours; so for about 5 s."""


def left_s(deadline_ns: int) -> float:
    """Seconds until `deadline_ns` (`clock.now_ns`), never quite zero."""
    return max((deadline_ns - now_ns()) / 1e9, _LEAST_S)


class _Lookup(threading.Thread):
    """One question to the resolver, which is under way until there is an outcome."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="killswitch-resolve", daemon=True)
        self.place = (host, port)
        self.outcome: list[Address] | Exception | None = None

    def run(self) -> None:
        try:
            self.outcome = _ask(*self.place)
        except Exception as error:
            self.outcome = error


_lookups: dict[tuple[str, int], _Lookup] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lookups.clear)  # those threads are the parent's


def _ask(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def resolve(places: Sequence[tuple[str, int]], limit_s: float) -> list[list[Address] | Exception]:
    """The addresses of each (host, port), all asked for at once; or why there are none, for a resolver that did not
    answer within `limit_s` seconds TimeoutError, for a text that can be no name ValueError."""
    deadline_ns = now_ns() + int(limit_s * 1e9)
    waiting: list[list[Address] | Exception | _Lookup] = [_begin(*place) for place in places]
    return [_outcome(item, deadline_ns) if isinstance(item, _Lookup) else item for item in waiting]


def _begin(host: str, port: int) -> list[Address] | Exception | _Lookup:
    try:
        return _ask(host, port, socket.AI_NUMERICHOST)  # asks nobody
    except socket.gaierror:
        pass  # a name
    except (OSError, ValueError) as error:
        return error
    lookup = _lookups.get((host, port))
    if lookup is None or lookup.outcome is not None:  # an old outcome is never used again
        lookup = _Lookup(host, port)
        try:
            lookup.start()
        except RuntimeError as error:  # no thread to be had
            return OSError(str(error))
        _lookups[host, port] = lookup
    return lookup


def _outcome(lookup: _Lookup, deadline_ns: int) -> list[Address] | Exception:
    lookup.join(left_s(deadline_ns))
    if lookup.outcome is None:
        return TimeoutError(f"the name {lookup.place[0]!r} was not resolved in time")
    return lookup.outcome


def open_tcp(host: str, port: int, limit_s: float, tls: TlsFiles | None = None) -> socket.socket:
    """A connected socket, within `limit_s` seconds for the name and the connection together (and, with `tls`, once
    more for its greeting). Several addresses of a name share the time.

    Raises:
        OSError, ValueError: not reached, TimeoutError when that took too long; or a name that can be none.
    """
    deadline_ns = now_ns() + int(limit_s * 1e9)
    context = None if tls is None else client_context(tls)
    (found,) = resolve([(host, port)], limit_s)
    if isinstance(found, Exception):
        raise found
    failure: OSError = OSError(f"{host} has no address")
    for number, (family, address) in enumerate(found):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left_s(deadline_ns) / (len(found) - number))
            sock.connect(address)
            _prepare(sock)
            sock.settimeout(limit_s)
            return sock if context is None else context.wrap_socket(sock, server_hostname=host)
        except OSError as error:
            sock.close()
            failure = error
    raise failure


def open_unix(path: str, limit_s: float) -> socket.socket:
    """A connected socket. Raises OSError, or ValueError for a path that can be none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(limit_s)
        sock.connect(path)
    except (OSError, ValueError):
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _VIGILANCE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
