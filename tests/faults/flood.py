"""Neighbours that write without pause: commands made beforehand, so that the flood costs its maker nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.resp import encode
from tests.support.server import RealServer

__all__ = ["flood"]

_BLOCK = 1000
_OK = b"+OK\r\n"


def _write(server: RealServer, block: bytes, ended: threading.Event) -> None:
    with server.line() as line:
        while not ended.is_set():
            line.socket.sendall(block)
            due = _BLOCK * len(_OK)
            while due > 0:
                due -= len(line.socket.recv(65536))


@contextmanager
def flood(server: RealServer, key: Callable[[int], str], *, lines: int = 2) -> Iterator[None]:
    """SETs without pause while the block runs, over `lines` connections; `key(number)` names the keys."""
    ended = threading.Event()
    blocks = [b"".join(encode("SET", key(_BLOCK * n + i), "x") for i in range(_BLOCK)) for n in range(lines)]
    threads = [threading.Thread(target=_write, args=(server, block, ended)) for block in blocks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
