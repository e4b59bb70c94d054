"""A venue that hears everything and answers what the test says, and how a venue answers in which nothing happens."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Mute", "fine"]


class Mute:
    """A venue that takes questions and answers only what `answers` says, then nothing."""

    def __init__(self, path: str, answers: Callable[[dict[str, Any]], bytes | None]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(path)
        self._sock.listen()
        self._answers = answers
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            with sock, sock.makefile("rb") as file:
                for line in file:
                    self.heard.append(json.loads(line))
                    answer = self._answers(self.heard[-1])
                    if answer is None:
                        break
                    sock.sendall(answer)

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def fine(question: dict[str, Any], **values: Any) -> bytes:
    """The answer of a session in which nothing has happened."""
    empty = {"fills": [], "seq": 0, "working": [], "orders": [], "positions": {}, "fence": 0, "cancelled": 0}
    return json.dumps({"id": question["id"], "ok": True, **empty, **values}).encode() + b"\n"
