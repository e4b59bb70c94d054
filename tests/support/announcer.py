"""A server that knows just enough to announce changes, in the order and with the delay that a test chooses."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Self

from hiredis import Reader

from killswitch import clock

_NOTHING = object()
HELLO = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"


class Announcer:
    """Answers each SET and announces it to every connection that tracks.

    `order` is "push first", "answer first" (then `delay_s` until the announcement), or "answer only".
    """

    def __init__(self, order: str, delay_s: float = 0.0) -> None:
        self._order = order
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._wake, self._woken = socket.socketpair()
        self._tracking: list[socket.socket] = []
        self.keys: set[bytes] = set()
        self._thread = threading.Thread(target=self._serve, name="announcer")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        self._wake.close()

    def _serve(self) -> None:
        readers: dict[socket.socket, Reader] = {}
        with selectors.DefaultSelector() as selector, self._listener, self._woken:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    if end is self._woken:
                        for one in readers:
                            one.close()
                        return
                    if end is self._listener:
                        made, _ = self._listener.accept()
                        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as servers do
                        selector.register(made, selectors.EVENT_READ)
                        readers[made] = Reader(notEnoughData=_NOTHING)
                    elif not self._hear(end, readers[end]):
                        selector.unregister(end)
                        del readers[end]
                        self._tracking = [one for one in self._tracking if one is not end]
                        end.close()

    def _hear(self, end: socket.socket, reader: Reader) -> bool:
        data = end.recv(65536)
        reader.feed(data)
        while data and (words := reader.gets()) is not _NOTHING:
            self._answer(end, words)
        return bool(data)

    def _answer(self, end: socket.socket, words: list[bytes]) -> None:
        if words[0] == b"HELLO":
            end.sendall(HELLO)
        elif words[0] == b"CLIENT":
            self._tracking.append(end)
            end.sendall(b"+OK\r\n")
        elif words[0] == b"SET" and self._order == "push first":
            self._announce(words[1])
            end.sendall(b"+OK\r\n")
        elif words[0] == b"SET":
            end.sendall(b"+OK\r\n")
            if self._order == "answer first":
                clock.sleep(self._delay_s)
                self._announce(words[1])
        else:
            end.sendall(b":0\r\n")

    def _announce(self, key: bytes) -> None:
        self.keys.add(key)
        for end in self._tracking:
            end.sendall(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n" % (len(key), key))
