"""The venue process: takes lines on a unix or TCP socket and answers them from its book.

Each connection is served by itself: one that sends nonsense is told so, one that sends an endless line or does not
read its answers is cut off, one that says nothing costs nothing, and none of them holds up another. When there are too
many, the one that has been silent longest goes; whoever meant to come back connects again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from killswitch import KillSwitchError, SinkAddress, clock
from workers.broker import BrokerError
from workers.venue.book import Book
from workers.venue.protocol import LINE_MAX, decode, encode

__all__ = ["EventFile", "RunningVenue", "VenueError", "VenueServer", "open_book", "running"]

_CLIENTS_MAX = 1024
_UNREAD_MAX = 1 << 20
_UNREAD_S = 5.0
_PROBE_S = 0.5
_START_S = 10.0


class VenueError(KillSwitchError):
    """The venue cannot be opened there; the text says why."""


class EventFile:
    """The record of a venue: one event of the common history a line, with the system before `add` returns, and on the
    disk where it is a fence: what was confirmed to somebody must survive this process and its machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("a+b", buffering=0)
        self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - 1))
        self._torn = self._file.read(1) not in (b"", b"\n")
        self._synced: dict[str, tuple[int, int]] = {}  # what of each session is on the disk

    def add(self, event: dict[str, Any]) -> None:
        """Keeps one event. Raises OSError when it cannot be kept."""
        line = b"\n" * self._torn + json.dumps(event).encode() + b"\n"
        self._torn = True
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False
        if event["kind"] == "fence" and self._synced.get(event["session"]) != (event["fence"], event["owner"]):
            os.fsync(self._file.fileno())
            self._synced[event["session"]] = (event["fence"], event["owner"])

    def earlier(self) -> Iterator[dict[str, Any]]:
        """The events that were there before. A line that was cut off, by a full disk or by the end of the process, is
        left out: what it was to say was never confirmed to anybody."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(ValueError):
                    yield json.loads(line)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def open_book(name: str, events: Path | None) -> tuple[Book, Callable[[], None]]:
    """The book of the venue `name`, as far as the record `events` remembers it, and what closes the record.

    Raises:
        VenueError: the record cannot be opened, or holds something else.
    """
    if events is None:
        return Book(name), lambda: None
    try:
        file = EventFile(events)
    except OSError as error:
        raise VenueError(f"the record {events} cannot be opened: {error.strerror}") from None
    book = Book(name, record=file.add)
    try:
        book.restore(file.earlier())
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        file.close()
        raise VenueError(f"the record {events} holds something else than events of a venue ({error!r})") from None
    return book, file.close


class VenueServer:
    """Serves `book` on one address. Used on the loop's thread."""

    def __init__(self, book: Book, *, clients_max: int = _CLIENTS_MAX, unread_s: float = _UNREAD_S) -> None:
        self.book = book
        self._clients_max = clients_max
        self._unread_s = unread_s
        self._clients: dict[asyncio.StreamWriter, int] = {}  # when each spoke last
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._path = ""

    async def start(self, address: SinkAddress) -> SinkAddress:
        """Begins to listen; the address with the port that was chosen.

        Raises:
            VenueError: it cannot listen there, or another venue does.
        """
        try:
            if address.scheme == "unix":
                self._vacate(address.path)
                self._server = await asyncio.start_unix_server(self._accept, address.path, limit=LINE_MAX)
                self._path = address.path
                return address
            self._server = await asyncio.start_server(self._accept, address.host, address.port, limit=LINE_MAX)
        except (OSError, ValueError) as error:
            raise VenueError(f"cannot listen at {address}: {error}") from None
        return SinkAddress("tcp", host=address.host, port=self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Ends: no new connections, the questions that have arrived are answered, then all are closed."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # what is in a reader already is answered in this turn
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._path:
            with suppress(OSError):
                os.unlink(self._path)

    @staticmethod
    def _vacate(path: str) -> None:
        """A path that a dead venue left is taken over (asyncio removes the socket), that of a living one is not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_S)
            try:
                probe.connect(path)
            except BlockingIOError:  # its queue is full: somebody is there
                pass
            except OSError:
                return
        raise VenueError(f"cannot listen at unix://{path}: another process does")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= self._clients_max:
            silent = min(self._clients, key=self._clients.__getitem__)
            self._clients.pop(silent)
            silent.transport.abort()
        if (sock := writer.get_extra_info("socket")) is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._clients[writer] = clock.now_ns()
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line = await reader.readuntil(b"\n")
                self._clients[writer] = clock.now_ns()
                writer.write(self._answer(line))
                if writer.transport.get_write_buffer_size() > _UNREAD_MAX:
                    await asyncio.wait_for(writer.drain(), self._unread_s)
                await asyncio.sleep(0)  # a reader that has more does not yield by itself: the others' turn
        except asyncio.LimitOverrunError:
            writer.write(encode({"id": None, "ok": False, "error": "BadRequest", "reason": "the line is too long"}))
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass  # it left, or does not read what it asked for
        finally:
            self._clients.pop(writer, None)
            if writer.transport.get_write_buffer_size() > _UNREAD_MAX:
                writer.transport.abort()
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        try:
            return encode(self.book.handle(decode(line)))
        except BrokerError as error:
            return encode({"id": None, "ok": False, "error": type(error).__name__, "reason": error.reason})


class RunningVenue:
    """A venue on a thread of this process. `url` is where it listens; `server` belongs to that thread."""

    def __init__(self, url: str, server: VenueServer, stop: Callable[[], None]) -> None:
        self.url = url
        self.server = server
        self.stop = stop


@contextmanager
def running(url: str, *, name: str = "venue", events: Path | None = None) -> Iterator[RunningVenue]:
    """A venue in this process while the block runs, for tests and demonstrations. `stop()` ends it earlier.

    Raises:
        VenueError: it cannot listen there, or its record is unusable.
    """
    book, close_record = open_book(name, events)
    loop = asyncio.new_event_loop()
    server = VenueServer(book)
    thread = threading.Thread(target=loop.run_forever, name="venue", daemon=True)
    thread.start()

    def stop() -> None:
        if thread.is_alive():
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(_START_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            close_record()

    try:
        found = asyncio.run_coroutine_threadsafe(server.start(SinkAddress.parse(url)), loop).result(_START_S)
        yield RunningVenue(str(found), server, stop)
    finally:
        stop()
