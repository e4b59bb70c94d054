"""A venue of the tests, in this process or in one of its own, and a bare line to ask it with."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

from killswitch import SinkAddress
from tests.history.events import History
from tests.support.processes import Child, Children
from tests.support.waiting import eventually

__all__ = ["VenueLine", "VenueProcess", "connected"]


def connected(url: str, timeout_s: float = 5.0) -> socket.socket:
    """A connection to the venue at `url`."""
    place = SinkAddress.parse(url)
    if place.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
        sock.connect(place.path)
        return sock
    return socket.create_connection((place.host, place.port), timeout_s)


class VenueLine:
    """One connection that sends what it is told, sense or nonsense. Used as a context manager."""

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self.sock = connected(url, timeout_s)
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> VenueLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self) -> dict[str, Any]:
        """The next answer; an AssertionError at the end of the connection."""
        line = self.file.readline()
        assert line, "the venue closed the connection"
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, do: str, session: str | None = "e1", **fields: Any) -> dict[str, Any]:
        """One question and its answer."""
        self.send(json.dumps({"id": 1, "do": do, "session": session, **fields}).encode() + b"\n")
        return self.read()

    def order(
        self, client_id: str, token: int = 1, owner: int = 0, session: str = "e1", **fields: Any
    ) -> dict[str, Any]:
        """An order far below the market."""
        wanted = {"symbol": "EURUSD", "side": "BUY", "quantity": 10, "limit": 0.5, "worker": "test", **fields}
        return self.ask("submit", session, client_id=client_id, token=token, owner=owner, **wanted)


class VenueProcess:
    """`killswitch-worker venue` as a child, with its record."""

    def __init__(
        self, children: Children, folder: Path, *, name: str = "venue", url: str = "tcp://127.0.0.1:0"
    ) -> None:
        self.events_path = folder / f"{name}.events.jsonl"
        self.name = name
        self._children = children
        self._wanted = url
        self.child: Child
        self.url = ""
        self.start()

    def start(self) -> None:
        """Starts it (again); a port that was chosen before stays."""
        words = ("venue", "--listen", self.url or self._wanted, "--events", str(self.events_path))
        self.child = self._children.worker(*words, env={"WORKERS_VENUE_NAME": self.name})
        output = self.child.wait_for('"venue_listening"', timeout_s=30)
        lines = [json.loads(line) for line in output.splitlines() if '"venue_listening"' in line]
        self.url = lines[-1]["url"]

    def kill9(self) -> None:
        """Ends it without a word."""
        self.child.send(signal.SIGKILL)
        self.child.process.wait()

    def sigstop(self) -> None:
        """Freezes it; returns once it is stopped."""
        self.child.send(signal.SIGSTOP)
        stat = Path(f"/proc/{self.child.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", why="the venue is stopped")

    def sigcont(self) -> None:
        """Lets it go on."""
        self.child.send(signal.SIGCONT)

    @property
    def setting(self) -> str:
        """What KILLSWITCH_SINKS says of it."""
        return f"{self.name}={self.url}"

    def line(self) -> VenueLine:
        return VenueLine(self.url)

    def status(self, session: str = "e1") -> dict[str, Any]:
        """What it says of one session."""
        with self.line() as line:
            return line.ask("status", session=session)

    @property
    def history(self) -> History:
        """Its record so far; it may be writing the next line."""
        return History.read(self.events_path, growing=True)

    def arrivals(self, **values: Any) -> list[dict[str, Any]]:
        """The orders that came, as far as they have these values."""
        return [e for e in self.history if e["kind"] == "arrive" and values.items() <= e.items()]
