"""A venue as a process: from its first log line, when it listens, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from killswitch import SinkAddress
from workers import logs
from workers.venue.server import VenueServer, open_book

__all__ = ["serve"]


def serve(address: SinkAddress, name: str, events: Path | None) -> None:
    """Serves until it is told to end; what has been asked by then is answered. One log line says where it listens.

    Raises:
        VenueError: it cannot listen there, or its record is unusable.
    """
    asyncio.run(_serve(address, name, events))


async def _serve(address: SinkAddress, name: str, events: Path | None) -> None:
    log = logs.get()
    book, close_record = open_book(name, events)
    try:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        server = VenueServer(book)
        found = await server.start(address)
        remembered = len(book.sessions)
        log.info("venue_listening", venue=name, url=str(found), pid=os.getpid(), sessions=remembered)
        await end.wait()
        await server.close()
        counts = book.handle({"do": "status"})["sessions"]
        log.info("venue_ended", venue=name, working=sum(found["open"] for found in counts.values()))
    finally:
        close_record()
