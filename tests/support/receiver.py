"""Somebody who takes webhooks, on loopback: answers as told and keeps what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.waiting import eventually

__all__ = ["Post", "Receiver"]


@dataclass(frozen=True, slots=True)
class Post:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def id(self) -> str:
        return self.headers["Idempotency-Key"]


class Receiver:
    """Use as a context manager. `answers` are statuses, the last one for ever; `before` runs before each answer, and
    answers True where it has answered itself."""

    def __init__(self, *answers: int, before: Callable[[BaseHTTPRequestHandler], bool | None] | None = None) -> None:
        self.answers = list(answers or (200,))
        self.headers: dict[str, str] = {}
        self.posts: list[Post] = []
        self.before = before
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                outer.posts.append(Post(self.path, dict(self.headers), self.rfile.read(size)))
                if outer.before is not None and outer.before(self):
                    return
                status = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                outer.posts.append(Post(f"GET {self.path}", dict(self.headers), b""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook/T0KEN"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)

    def got(self, count: int, timeout_s: float = 20.0) -> list[Post]:
        """What came, once there are so many."""
        eventually(lambda: len(self.posts) >= count, timeout_s=timeout_s, why=f"{count} posts, not {len(self.posts)}")
        return list(self.posts)
