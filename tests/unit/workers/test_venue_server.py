"""The venue on its socket: one bad client never holds up another, and nothing that is sent to it ends it."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from killswitch import InvalidInput, SinkAddress
from tests.support.venue import VenueLine, connected
from tests.support.waiting import eventually
from workers.venue.book import Book
from workers.venue.server import EventFile, RunningVenue, VenueError, VenueServer, open_book, running


@pytest.fixture(params=["tcp", "unix"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningVenue]:
    """A venue on each kind of socket."""
    url = "tcp://127.0.0.1:0" if request.param == "tcp" else f"unix://{tmp_path}/v.sock"
    with running(url, events=tmp_path / "events.jsonl") as found:
        yield found


def test_several_clients_share_one_book(venue: RunningVenue) -> None:
    """What one sends, another sees and cancels."""
    with VenueLine(venue.url) as one, VenueLine(venue.url) as other:
        assert one.order("a")["ok"]
        assert [order["client_id"] for order in other.ask("open_orders")["orders"]] == ["a"]
        assert other.ask("cancel", client_id="a")["cancelled"]
        assert one.ask("status")["open"] == 0


@pytest.mark.parametrize("garbage", [b"\n", b"GET / HTTP/1.1\r\n", b"\x00\xff\xfe\n", b'{"id": 1}\n', b"[1, 2]\n"])
def test_garbage_is_told_so_and_the_connection_goes_on(venue: RunningVenue, garbage: bytes) -> None:
    """A line that is no request has no effect, on this client either."""
    with VenueLine(venue.url) as line:
        line.send(garbage)
        assert line.read()["error"] == "BadRequest"
        assert line.order("a")["ok"]


def test_endless_line_is_cut_off_and_nobody_else_notices(venue: RunningVenue) -> None:
    """Memory is bounded; the sender is told if it still listens, and loses its connection."""
    with VenueLine(venue.url) as good, VenueLine(venue.url) as bad:
        assert not takes(bad, b"x" * 65_536, 200)
        assert good.order("a")["ok"]


def test_answers_nobody_reads_cost_one_client_its_connection(tmp_path: Path) -> None:
    """Somebody who asks and asks and never reads is cut off; the others are answered all the while."""
    url = f"unix://{tmp_path}/v.sock"
    with running(url) as venue, VenueLine(url) as good, VenueLine(url) as bad:
        for n in range(50):
            good.order(f"o{n}")
        venue_server_patience(venue)
        question = json.dumps({"id": 1, "do": "open_orders", "session": "e1"}).encode() + b"\n"
        bad.sock.settimeout(0.2)
        assert not takes(bad, question, 100_000)
        assert good.ask("status")["open"] == 50
        eventually(lambda: is_cut_off(bad.sock), why="who does not read is cut off", timeout_s=20)
        assert good.ask("status")["open"] == 50


def takes(line: VenueLine, data: bytes, times: int) -> bool:
    """Whether the venue takes all of this: not when it resets the connection, and not when it stops reading."""
    try:
        for _ in range(times):
            line.send(data)
    except OSError:
        return False
    return True


def venue_server_patience(venue: RunningVenue) -> None:
    """Makes the venue less patient than it is, so that the test is quick."""
    venue.server._unread_s = 0.1


def is_cut_off(sock: socket.socket) -> bool:
    """Whether the other end is gone. Reads nothing: a client that began to read would not be cut off any more."""
    ends = select.POLLRDHUP | select.POLLHUP | select.POLLERR
    watching = select.poll()
    watching.register(sock, ends)
    return any(found & ends for _, found in watching.poll(0))


def test_flood_of_one_client_does_not_hold_up_another(tmp_path: Path) -> None:
    """Each question takes its turn, however many of one client have arrived together before another's."""
    asked: list[str] = []

    class Noting(Book):
        def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
            asked.append(str(request["session"]))
            return super().handle(request)

    async def scene() -> None:
        server = VenueServer(Noting())
        path = f"{tmp_path}/v.sock"
        await server.start(SinkAddress("unix", path=path))
        (many, flood), (one, good) = [await asyncio.open_unix_connection(path) for _ in range(2)]
        flood.write(b'{"id":1,"do":"status","session":"flood"}\n' * 500)
        good.write(b'{"id":1,"do":"status","session":"good"}\n')
        await one.readline()
        for _ in range(500):
            await many.readline()
        await server.close()
        flood.close()
        good.close()

    asyncio.run(scene())
    assert asked.count("flood") == 500
    assert asked.index("good") < 100


def test_clients_that_say_nothing_or_vanish_are_no_burden(venue: RunningVenue) -> None:
    """Half a line, silence, a reset in the middle: the next client is answered."""
    socks = [connected(venue.url) for _ in range(50)]
    for number, sock in enumerate(socks):
        sock.sendall(b'{"id": 1, "do": "sta')
        if number % 2 and venue.url.startswith("tcp"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
    with VenueLine(venue.url) as line:
        assert line.order("a")["ok"]
    for sock in socks:
        sock.close()


def test_too_many_connections_cost_the_most_silent_one(tmp_path: Path) -> None:
    """An army of idle connections cannot lock the fleet out: those who speak stay, the newest is served."""

    async def scene() -> list[bool]:
        server = VenueServer(Book(), clients_max=4)
        path = f"{tmp_path}/v.sock"
        await server.start(SinkAddress("unix", path=path))
        speaker = await asyncio.open_unix_connection(path)
        idle = []
        for _ in range(8):
            idle.append(await asyncio.open_unix_connection(path))
            speaker[1].write(b'{"id":1,"do":"status","session":"e1"}\n')
            assert b'"ok":true' in await speaker[0].readline()
        ended = [
            (await asyncio.wait_for(reader.read(1), 0.2) == b"") if n < 5 else False
            for n, (reader, _) in enumerate(idle)
        ]
        await server.close()
        for _, writer in [speaker, *idle]:
            writer.close()
        return ended

    assert asyncio.run(scene()) == [True] * 5 + [False] * 3


def test_path_of_a_dead_venue_is_taken_over_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    """A kill -9 leaves the path behind; two venues on one path would split the book."""
    path = tmp_path / "v.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with running(f"unix://{path}") as venue:
        with pytest.raises(VenueError, match="another process"), running(f"unix://{path}"):
            pass
        with VenueLine(venue.url) as line:
            assert line.order("a")["ok"]
    assert not path.exists()


def test_place_that_cannot_be_listened_at_is_told(tmp_path: Path) -> None:
    """A folder that is not there, a file that is no socket, a taken port."""
    (tmp_path / "file").write_text("x")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for url in (
            f"unix://{tmp_path}/no/v.sock",
            f"unix://{tmp_path}/file",
            f"unix:///{'x' * 200}",
            f"tcp://127.0.0.1:{taken.getsockname()[1]}",
        ):
            with pytest.raises(VenueError, match="cannot listen"), running(url):
                pass


@pytest.mark.parametrize(
    "url",
    ["", "unix://", "unix:///", "unix://host/path", "tcp://", "tcp://h", "tcp://:1", "tcp://h:x", "tcp://h:99999",
     "tcp://h:1/x", "redis://h:1", "tcp://u:p@h:1", "tcp://h:1?a=b", "http://h:1", "/run/venue.sock", "tcp://[::1:1"],
)  # fmt: skip
def test_address_of_another_form_is_refused(url: str) -> None:
    """Said when settings are read, long before an order depends on it; a password is not echoed."""
    with pytest.raises(InvalidInput) as caught:
        SinkAddress.parse(url)
    assert "p@h" not in str(caught.value)


@pytest.mark.parametrize("url", ["unix:///run/v.sock", "tcp://h:1", "tcp://127.0.0.1:0", "tcp://[::1]:7"])
def test_address_is_read_and_written_alike(url: str) -> None:
    """What a log line shows can be pasted into a setting."""
    assert str(SinkAddress.parse(url)) == url


def test_record_survives_a_torn_line_and_refuses_a_foreign_file(tmp_path: Path) -> None:
    """The line that was being written when the process died is left out; a file of something else is not taken for a
    record, because a fence might be missing from it."""
    path = tmp_path / "events.jsonl"
    with running("tcp://127.0.0.1:0", events=path) as venue, VenueLine(venue.url) as line:
        line.ask("raise_fence", epoch=5)
        line.order("a", token=7)
    with path.open("ab") as file:
        file.write(b'{"kind": "fence", "sink": "ven')
    with running("tcp://127.0.0.1:0", events=path) as venue, VenueLine(venue.url) as line:
        assert line.order("b", token=4)["error"] == "StaleToken"
        assert line.order("a", token=7)["error"] == "DuplicateOrder"
    book, close = open_book("venue", path)
    close()
    assert book.sessions["e1"].paper.fence == 5
    for foreign in (
        '{"kind": "fence", "sink": "venue"}',
        '{"kind": "fence", "sink": "venue", "session": 1, "fence": "x"}',
        "[]",
    ):
        other = tmp_path / "other"
        other.write_text(foreign + "\n")
        with pytest.raises(VenueError, match="something else"):
            open_book("venue", other)
    with pytest.raises(VenueError, match="cannot be opened"):
        open_book("venue", tmp_path)


def test_full_disk_is_an_error_and_no_half_event_swallows_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written in part is closed off, so that the next event stands on a line of its own."""
    file = EventFile(tmp_path / "e")
    written = file._file

    class Full:
        def write(self, data: bytes) -> int:
            return written.write(data[:10])

    monkeypatch.setattr(file, "_file", Full())
    with pytest.raises(OSError, match="No space"):
        file.add({"kind": "arrive", "sink": "venue"})
    monkeypatch.setattr(file, "_file", written)
    file.add({"kind": "arrive", "sink": "venue", "n": 2})
    assert [event["n"] for event in file.earlier()] == [2]
    file.close()
