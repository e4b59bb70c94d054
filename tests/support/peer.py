"""A TCP server that says what a test tells it to: one answer for each command, in the pieces given."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Self

from hiredis import Reader

HELLO = b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"


class ScriptedServer:
    """Answers the first connection from the first script, the second from the second, and so on; a script that is used
    up ends its connection. An answer None leaves the command unanswered."""

    def __init__(self, *scripts: Sequence[bytes | None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._scripts = scripts
        self._ends: list[socket.socket] = []
        self.commands: list[list[bytes]] = []
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="scripted-server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(end)
            with end:
                self._talk(end, list(script))

    def _talk(self, end: socket.socket, script: list[bytes | None]) -> None:
        reader = Reader(notEnoughData=...)
        while script:
            try:
                data = end.recv(65536)
            except OSError:
                return
            if not data:
                return
            reader.feed(data)
            while script and (command := reader.gets()) is not ...:
                self.commands.append(command)
                answer = script.pop(0)
                if answer is not None:
                    try:
                        end.sendall(answer)
                    except OSError:  # nobody waits for it any more
                        return
