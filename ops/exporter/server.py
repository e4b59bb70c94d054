"""The HTTP side: `/metrics`, `/healthz` and a page that names both.

It keeps nothing for a reader who does not come back: a connection lives for a bounded time, and there are a bounded
number of them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import Metric as Family

from killswitch.clock import now_ns
from ops.console import console
from ops.render import clean

__all__ = ["MetricsServer", "application"]

_CONNECTIONS = 16
_SILENCE_S = 5.0
_LIFE_S = 20.0
_SHARE = 0.8
_LOOK_UP_S = 0.2
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_PAGE = b"killswitch exporter\n/metrics  for Prometheus\n/healthz  whether this process lives\n"

Start = Callable[[str, list[tuple[str, str]]], Any]
Scrape = Callable[[float | None], Sequence[Family]]


class _Made:
    """Samples that are there already, as prometheus_client wants to collect them."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        """What was made."""
        return self._families


def application(scrape: Scrape) -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """The WSGI application; `scrape(limit_s)` makes the samples."""

    def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics" and environ["REQUEST_METHOD"] == "GET":
            registry = CollectorRegistry(auto_describe=False)
            try:
                registry.register(_Made(scrape(_asked_limit_s(environ))))
            except Exception as error:  # a fault of this program: Prometheus sees `up` 0, and the next scrape is tried
                console.trouble("error", clean(f"a scrape failed with an unexpected {type(error).__name__}: {error}"))
                start("500 Internal Server Error", list(_TEXT))
                return [b"an unexpected error; the exporter's own output says which\n"]
            ProcessCollector(registry=registry)
            found: Iterable[bytes] = make_wsgi_app(registry)(environ, start)
            return found
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start("405 Method Not Allowed", [*_TEXT, ("Allow", "GET, HEAD")])
            return [b"only GET\n"]
        known = {"/": _PAGE, "/healthz": b"ok\n", "/metrics": b""}
        start("200 OK" if path in known else "404 Not Found", list(_TEXT))
        return [known.get(path, b"not here: /metrics\n")]

    return answer


def _asked_limit_s(environ: dict[str, Any]) -> float | None:
    """The larger part of the time that Prometheus says it will wait."""
    try:
        asked_s = float(environ.get("HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS", ""))
    except ValueError:
        return None
    return asked_s * _SHARE if 0.01 <= asked_s <= 3600 else None


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        """Limits each read and write."""
        self.request.settimeout(_SILENCE_S)
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape is no event."""


class _Ended(Exception):
    """Out of the loop of the base class, which otherwise ends only for another thread that waits."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Serves `scrape` at `host` and `port` (0: any). Raises OSError where that address is not to be had."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, scrape: Scrape) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._began_ns: dict[socket.socket, int] = {}
        self._is_ending = False
        super().__init__((host, port), _Handler)
        self.set_app(application(scrape))

    def server_bind(self) -> None:
        """Binds, and asks no name server for its own name as the parent class would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection."""
        if not self._free.acquire(blocking=False):
            return False
        self._began_ns[request] = now_ns()
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, on a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._began_ns.pop(request, None)
            self._free.release()

    def serve_until_ended(self) -> None:
        """Answers until `end` is called, and returns within a fifth of a second then."""
        try:
            self.serve_forever(_LOOK_UP_S)
        except _Ended:
            pass

    def end(self) -> None:
        """Makes `serve_until_ended` return between two connections. For a handler of signals: nothing here waits."""
        self._is_ending = True

    def service_actions(self) -> None:
        """Between two connections: ends those that have lasted too long, and the serving where that was asked for."""
        if self._is_ending:
            raise _Ended
        limit_ns = now_ns() - int(_LIFE_S * 1e9)
        for request, began_ns in list(self._began_ns.items()):
            if began_ns < limit_ns:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it ended in between

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who went away is no event."""

    def finish(self, limit_s: float) -> None:
        """Takes no more connections and waits, at most so long, for those that are being answered."""
        self.server_close()
        until_ns = now_ns() + int(limit_s * 1e9)
        for _ in range(_CONNECTIONS):
            if not self._free.acquire(timeout=max(0.0, (until_ns - now_ns()) / 1e9)):
                return
