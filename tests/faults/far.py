"""A line to the server that can also lose announcements alone, and keep an end of a connection from being heard of."""

from __future__ import annotations

from tests.support.proxy import Proxy, _Pipe

__all__ = ["Line"]


class Line(Proxy):
    """As `Proxy`. While `loses_pushes`, announcements are lost, and so is the news that the server hung up: from the
    agent's side the connection stands."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.loses_pushes = False

    def _take(self, pipe: _Pipe) -> None:
        if not self.loses_pushes or pipe.upward or pipe not in self._pipes:
            return super()._take(pipe)
        try:
            data = pipe.source.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(pipe.source)
        elif not data.startswith(b">"):
            pipe.waiting.append((0, data))
        return None
