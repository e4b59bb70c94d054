"""A TCP proxy between a worker and its server that loses, delays and cuts: a network under a test's control."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import deque
from typing import Self

from killswitch import clock


class _Pipe:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        self.source = source
        self.sink = sink
        self.upward = upward
        self.waiting: deque[tuple[int, bytes]] = deque()


class Proxy:
    """Forwards a loopback port to `target`. Use as a context manager.

    `hold_up` and `hold_down` stop forwarding towards the server or towards the client, with every connection left
    standing: a black hole. `delay_down_ns` delays answers, not pushes. `asked_ns` is when the last question was passed
    on, so no later than which it was sent. `lose_answers` cuts a connection instead of
    delivering that many answers to an operator's command. What was held is lost on `heal`, as its connections are.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.hold_up = False
        self.hold_down = False
        self.delay_down_ns = 0
        self.lose_answers = 0
        self.asked_ns = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._pipes: list[_Pipe] = []
        self._cut = threading.Event()
        self._ended = threading.Event()
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def black_hole(self, *, up: bool = True, down: bool = True) -> int:
        """Stops forwarding; returns a time after which nothing more came through."""
        self.hold_up, self.hold_down = up, down
        self._settle()
        return clock.now_ns()

    def heal(self) -> None:
        """Forwards again, for new connections; those that were held are gone."""
        self._cut.set()
        self._settle()
        self.hold_up = self.hold_down = False

    def cut(self) -> None:
        """Ends every connection."""
        self._cut.set()
        self._settle()

    def _settle(self) -> None:
        """Waits until the thread has seen what was set: a whole turn begun afterwards."""
        seen = self._turns
        deadline_ns = clock.now_ns() + 5_000_000_000
        while self._turns < seen + 2 and clock.now_ns() < deadline_ns:
            clock.sleep(0.001)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._drop(list(self._pipes))
        self._selector.close()
        self._listener.close()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._cut.is_set():
                self._drop(list(self._pipes))
                self._cut.clear()
            for key, _ in self._selector.select(0.002):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._take(key.data)
            for pipe in list(self._pipes):
                self._forward(pipe)
            self._turns += 1

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 1.0)
        except OSError:
            client.close()
            return
        for source, sink, upward in ((client, server, True), (server, client, False)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe = _Pipe(source, sink, upward)
            self._pipes.append(pipe)
            self._selector.register(source, selectors.EVENT_READ, pipe)

    def _take(self, pipe: _Pipe) -> None:
        if pipe not in self._pipes:
            return
        try:
            data = pipe.source.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop([pipe])
        elif not pipe.upward and self.lose_answers and b"repeated" in data:
            self.lose_answers -= 1
            self._drop([pipe])
        else:
            delay = 0 if pipe.upward or data.startswith(b">") else self.delay_down_ns
            pipe.waiting.append((clock.now_ns() + delay, data))

    def _forward(self, pipe: _Pipe) -> None:
        while pipe.waiting and pipe.waiting[0][0] <= clock.now_ns():
            if self.hold_up if pipe.upward else self.hold_down:
                return
            if pipe.upward:
                self.asked_ns = clock.now_ns()
            try:
                pipe.sink.sendall(pipe.waiting.popleft()[1])
            except OSError:
                self._drop([pipe])
                return

    def _drop(self, pipes: list[_Pipe]) -> None:
        """Ends the connections of `pipes`, both directions."""
        ends = {end for pipe in pipes for end in (pipe.source, pipe.sink)}
        for end in ends:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
        self._pipes = [pipe for pipe in self._pipes if pipe.source not in ends]
