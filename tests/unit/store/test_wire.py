"""The wire against a scripted peer: the pieces in which an answer arrives do not matter, and what is none breaks it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from killswitch.clock import now_ns
from killswitch.core.reasons import Code
from killswitch.errors import LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.store.wire import Wire, refusal

LONG_S = 20.0
"""Where an answer comes, however late on a busy machine."""

SHORT_S = 0.3
"""Where none comes."""

PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$16\r\nkillswitch:state\r\n"


class Peer:
    """The other end; `after(n, bytes)` sends once n bytes of commands have arrived (a small thread)."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.threads: list[threading.Thread] = []

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.end.sendall(piece)

    def reply(self, *pieces: bytes) -> None:
        """Answers one command when it comes, piece by piece."""

        def run() -> None:
            self.end.recv(65536)
            self.send(*pieces)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()


@contextmanager
def _joined(limit_s: float) -> Iterator[tuple[Wire, Peer]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(limit_s)
    wire, peer = Wire(ours, "Redis at test", limit_s), Peer(theirs)
    yield wire, peer
    wire.close()
    theirs.close()
    for thread in peer.threads:
        thread.join()


@pytest.fixture
def line() -> Iterator[tuple[Wire, Peer]]:
    """A wire and its peer."""
    with _joined(LONG_S) as joined:
        yield joined


@pytest.fixture
def hasty_line() -> Iterator[tuple[Wire, Peer]]:
    """The same, of somebody who does not wait long."""
    with _joined(SHORT_S) as joined:
        yield joined


def unavailable(action: Callable[[], object]) -> Code:
    """The code under which an action finds the wire broken."""
    with pytest.raises(StoreUnavailable, match="Redis at test") as caught:
        action()
    return caught.value.code


def test_reply_in_single_bytes_is_one_answer(line: tuple[Wire, Peer]) -> None:
    """The pieces in which TCP delivers do not matter."""
    wire, peer = line
    peer.reply(*[bytes([byte]) for byte in b"*2\r\n$4\r\nSAFE\r\n:17\r\n"])
    assert wire.call("GET", "x") == [b"SAFE", 17]


def test_pushes_before_inside_and_behind_an_answer_are_kept_apart(line: tuple[Wire, Peer]) -> None:
    """A push is never taken for the answer."""
    wire, peer = line
    peer.reply(PUSH + b"+O", b"K\r\n" + PUSH)
    assert wire.call("PING") == b"OK"
    assert len(wire.pushes) == 1
    assert wire.receive() == []
    assert len(wire.pushes) == 2
    wire.drain()
    assert wire.pushes == []


def test_several_replies_at_once_are_all_received_in_order(line: tuple[Wire, Peer]) -> None:
    """Error replies stand among them as values."""
    wire, peer = line
    peer.send(b"+a\r\n-OOM command not allowed\r\n" + PUSH + b":3\r\n+half")
    first, second, third = wire.receive()
    assert (first, third) == (b"a", 3)
    assert isinstance(second, StoreRefused)
    assert second.code is Code.REDIS_OOM
    assert wire.receive() == []
    peer.send(b"\r\n")
    assert wire.receive() == [b"half"]


def test_error_reply_raises_and_the_wire_lives_on(line: tuple[Wire, Peer]) -> None:
    """A refusal is an answer."""
    wire, peer = line
    peer.reply(b"-READONLY You can't write against a read only replica.\r\n")
    with pytest.raises(StoreRefused, match="READONLY") as caught:
        wire.call("SET", "x", "y")
    assert caught.value.code is Code.REDIS_READONLY
    peer.reply(b"+OK\r\n")
    assert wire.call("PING") == b"OK"


@pytest.mark.parametrize("action", ["call", "receive", "drain", "wait_push", "next_answer"])
def test_end_of_the_stream_breaks_the_wire_for_good(line: tuple[Wire, Peer], action: str) -> None:
    """A broken wire never works again, and says so each time."""
    wire, peer = line
    peer.end.shutdown(socket.SHUT_WR)
    act = {
        "call": lambda: wire.call("PING"),
        "receive": wire.receive,
        "drain": wire.drain,
        "wait_push": lambda: wire.wait_push(LONG_S),
        "next_answer": wire.next_answer,
    }[action]
    assert unavailable(act) is Code.DISCONNECTED
    assert wire.fileno() == -1
    assert unavailable(act) is Code.DISCONNECTED
    assert unavailable(lambda: wire.send("PING")) is Code.DISCONNECTED


def test_end_in_the_middle_of_a_reply_is_no_answer(line: tuple[Wire, Peer]) -> None:
    """A truncated answer is none."""
    wire, peer = line
    peer.reply(b"$4\r\nSAFE")
    peer.threads[0].join(0)
    wire.send("GET", "x")
    peer.threads[0].join()
    peer.end.close()
    assert unavailable(wire.next_answer) is Code.DISCONNECTED


def test_silence_is_reported_within_the_time_limit_and_a_late_answer_is_lost(hasty_line: tuple[Wire, Peer]) -> None:
    """After a missed answer the wire is closed, so that the late one is never taken for another's."""
    wire, _ = hasty_line
    start = now_ns()
    assert unavailable(lambda: wire.call("PING")) is Code.NO_ANSWER
    assert now_ns() - start >= 290_000_000
    assert wire.fileno() == -1


def test_drip_of_bytes_does_not_extend_the_time_limit(hasty_line: tuple[Wire, Peer]) -> None:
    """The limit is for the whole answer, not for each piece."""
    wire, peer = hasty_line
    stop = threading.Event()
    start = now_ns()
    peer.send(b"$1000000\r\n")

    def drip() -> None:
        while not stop.wait(0.02):
            try:
                peer.end.send(b"x")
            except OSError:
                return

    peer.threads.append(threading.Thread(target=drip))
    peer.threads[0].start()
    try:
        assert unavailable(lambda: wire.call("PING")) is Code.NO_ANSWER
    finally:
        stop.set()
    assert now_ns() - start < 10_000_000_000, "not for as long as it drips"


def test_full_send_buffer_is_reported_within_the_time_limit(hasty_line: tuple[Wire, Peer]) -> None:
    """A peer that reads nothing does not hold the caller for ever."""
    wire, _ = hasty_line

    def flood() -> None:
        for _ in range(20):
            wire.send("SET", "x", b"y" * 1_000_000)

    assert unavailable(flood) is Code.NO_ANSWER


def test_time_limit_of_a_send_is_whole_after_an_answer_that_took_long(line: tuple[Wire, Peer]) -> None:
    """What an answer left of its own limit does not bind the next command."""
    wire, peer = line
    peer.reply(b"+OK\r\n")
    assert wire.call("PING") == b"OK"
    wire._sock.settimeout(0.0001)
    wire.send("PING")
    assert wire._sock.gettimeout() == pytest.approx(LONG_S)


def test_waiting_for_a_push_ends_with_it_or_with_the_time(line: tuple[Wire, Peer]) -> None:
    """None when nothing came; the push when it came; answers on the way are no pushes."""
    wire, peer = line
    assert wire.wait_push(0.01) is None
    assert wire.wait_push(0) is None
    peer.send(b"+OK\r\n" + PUSH + PUSH)
    found = wire.wait_push(LONG_S)
    assert found is not None
    assert list(found) == [b"invalidate", [b"killswitch:state"]]
    assert wire.wait_push(0) is not None
    assert wire.fileno() >= 0


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*-7\r\n", b":abc\r\n", b"%1\r\n*0\r\n+x\r\n"])
def test_bytes_that_are_not_redis_break_the_wire(line: tuple[Wire, Peer], junk: bytes) -> None:
    """Another protocol at this address is named as that, and is not waited for."""
    wire, peer = line
    peer.send(junk)
    assert unavailable(wire.receive) is Code.BAD_ANSWER
    assert wire.fileno() == -1


def test_broken_wire_keeps_its_descriptor_until_it_is_closed(line: tuple[Wire, Peer]) -> None:
    """The owner must be able to take it out of what waits on it first."""
    wire, peer = line
    number = wire.fileno()
    peer.end.shutdown(socket.SHUT_WR)
    assert unavailable(wire.receive) is Code.DISCONNECTED
    os.fstat(number)
    wire.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_late_answer_on_a_broken_wire_is_never_handed_out(hasty_line: tuple[Wire, Peer]) -> None:
    """Broken is broken, though bytes still arrive."""
    wire, peer = hasty_line
    assert unavailable(lambda: wire.call("PING")) is Code.NO_ANSWER
    peer.send(b"+PONG\r\n" + PUSH)
    assert unavailable(wire.next_answer) is Code.DISCONNECTED
    assert unavailable(wire.receive) is Code.DISCONNECTED
    assert unavailable(lambda: wire.wait_push(0.01)) is Code.DISCONNECTED


def test_text_that_utf8_does_not_know_is_sent_with_a_mark_in_its_place(line: tuple[Wire, Peer]) -> None:
    """A lone surrogate stops no sender."""
    wire, peer = line
    wire.send("ECHO", "\udce4ngine \xe9")
    assert peer.end.recv(100) == b"*2\r\n$4\r\nECHO\r\n$9\r\n?ngine \xc3\xa9\r\n"


def test_closing_twice_is_harmless(line: tuple[Wire, Peer]) -> None:
    """close() may be repeated; the peer's name has no credentials."""
    wire, _ = line
    wire.close()
    wire.close()
    assert wire.peer == "Redis at test"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", Code.REDIS_OOM),
        ("-OOM allow-oom flag is not set on the function, can not run it", Code.REDIS_OOM),
        ("MISCONF Redis is configured to save RDB snapshots", Code.REDIS_MISCONF),
        ("NOREPLICAS Not enough good replicas to write.", Code.REDIS_NOREPLICAS),
        ("READONLY You can't write against a read only replica.", Code.REDIS_READONLY),
        ("MASTERDOWN Link with MASTER is down", Code.REDIS_READONLY),
        ("BUSY Redis is busy running a script.", Code.REDIS_BUSY),
        ("LOADING Redis is loading the dataset in memory", Code.REDIS_LOADING),
        ("NOAUTH Authentication required.", Code.REDIS_DENIED),
        ("WRONGPASS invalid username-password pair or user is disabled.", Code.REDIS_DENIED),
        ("NOPERM this user has no permissions to run the 'fcall' command", Code.REDIS_DENIED),
        ("ERR ACL failure in script: User x has no permissions to run the 'set' command", Code.REDIS_DENIED),
        ("ERR The user executing the script can't run this command or subcommand script: NOPERM", Code.REDIS_DENIED),
        ("ERR Function not found", Code.LIBRARY_MISSING),
        ("EPOCH 3 Function not found, wrote somebody", Code.REDIS_REFUSED),
        ("ERR The user executing the script can't run this command or subcommand script: f", Code.REDIS_DENIED),
        ("ERR unknown command 'client tracking'", Code.REDIS_REFUSED),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Code.REDIS_REFUSED),
        ("EPOCH 7 is the epoch now", Code.REDIS_REFUSED),
        ("BUSYGROUP Consumer Group name already exists", Code.REDIS_REFUSED),
        ("", Code.REDIS_REFUSED),
    ],
)
def test_each_refusal_has_its_code(text: str, code: Code) -> None:
    """The first word decides; what is unknown stays refused, with the server's own text."""
    found = refusal(text)
    assert found.code is code
    assert isinstance(found, LibraryMissing) is (code is Code.LIBRARY_MISSING)
    assert found.reason == text or code is Code.LIBRARY_MISSING
