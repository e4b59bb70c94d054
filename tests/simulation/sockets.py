"""The two ends of a simulated TCP connection, and the way between them.

A `Wire` of the product sits on a `SimSocket`; the other end is a `Peer`, which a simulated server reads by callbacks.
Bytes that have arrived lie in the receiver's kernel, whether or not a thread there runs. What a link loses comes later,
as TCP sends it again; what a black hole holds back comes after it was lifted, or never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tests.simulation.kernel import MS, SECOND, Kernel, Process, Task

__all__ = ["Link", "Note", "Peer", "Pipe", "SimSocket"]

_RETRANSMIT_NS = 200 * MS

Note = Callable[[], None]
_Packet = tuple[int, bytes | None, Note | None]


class Link:
    """One direction between two hosts. `loss`: the chance of a packet to be lost and sent again."""

    def __init__(self, kernel: Kernel, base_ns: int, jitter_ns: int, loss: float) -> None:
        self.kernel = kernel
        self.base_ns = base_ns
        self.jitter_ns = jitter_ns
        self.loss = loss
        self.is_blocked = False
        self.stuck: list[Pipe] = []

    def delay(self) -> int:
        """How long the next packet takes."""
        rng = self.kernel.rng
        delay = self.base_ns + int(rng.random() ** 3 * self.jitter_ns)
        if not self.loss:
            return delay
        again = _RETRANSMIT_NS
        while rng.random() < self.loss and again < 4 * SECOND:
            delay += again
            again *= 2
        return delay

    def block(self) -> None:
        """A black hole: nothing comes through, and nobody is told."""
        self.is_blocked = True

    def heal(self) -> None:
        """Comes through again: each connection at its next retransmission."""
        self.is_blocked = False
        stuck, self.stuck = self.stuck, []
        for pipe in stuck:
            back_off = min(self.kernel.now - pipe.stuck_since, 6 * SECOND)
            pipe.unstick(self.kernel.now + int(self.kernel.rng.random() * back_off) + self.base_ns)


class Pipe:
    """One direction of one connection."""

    def __init__(self, link: Link, deliver: Callable[[bytes | None, Note | None], None]) -> None:
        self.link = link
        self.stuck_since = 0
        self.is_cut = False
        self._is_held = False
        self._deliver = deliver
        self._packets: deque[_Packet] = deque()
        self._last = 0

    def send(self, data: bytes | None, note: Note | None = None) -> None:
        """Sends bytes, or None for the end. `note` is called when they have arrived."""
        kernel = self.link.kernel
        due = kernel.now + self.link.delay()
        if due > self._last:
            self._last = due
        self._packets.append((self._last, data, note))
        kernel.at(self._last, self._arrive)

    def _arrive(self) -> None:
        kernel = self.link.kernel
        if self._is_held:
            return
        if self.link.is_blocked:
            if self not in self.link.stuck:
                self.stuck_since = kernel.now
                self.link.stuck.append(self)
            return
        while self._packets and self._packets[0][0] <= kernel.now:
            _, data, note = self._packets.popleft()
            if not self.is_cut:
                self._deliver(data, note)

    def hold(self) -> None:
        """Nothing comes through any more."""
        self._is_held, self.stuck_since = True, self.link.kernel.now

    def let_go(self) -> None:
        """It does again."""
        self._is_held = False
        self.unstick(self.link.kernel.now + self.link.base_ns)

    def let_through(self) -> None:
        """What was held back comes through, and nothing after it."""
        kernel = self.link.kernel
        self.let_go()
        kernel.at(kernel.now + self.link.base_ns + 1, self.hold)

    def unstick(self, at: int) -> None:
        """What was held back arrives at `at` (true ns)."""
        self._packets = deque((max(t, at), data, note) for t, data, note in self._packets)
        self._last = max(self._last, at)
        self.link.kernel.at(at, self._arrive)


class Readers(Protocol):
    """Who wants to hear that a socket became readable."""

    def readable(self) -> None:
        """It did."""
        ...


class SimSocket:
    """The client's end, with the methods of a socket that the product uses."""

    def __init__(self, process: Process, host: str, fd: int, given_back: Callable[[SimSocket], None]) -> None:
        self.process = process
        self.host = host  # at the other end
        self.readers: list[Readers] = []
        self.is_closed = False
        self.fd = fd
        self._given_back = given_back
        self._kernel = process.kernel
        self._timeout_s: float | None = None
        self.is_readable = False  # whether there are bytes, an end or an error to be had without waiting
        self._buffer = bytearray()
        self._ended = False
        self._error: OSError | None = None
        self._parked: Task | None = None
        self.up: Pipe | None = None
        self.peer: Peer | None = None

    # -- what the product calls -----------------------------------------------------------------------------------

    def fileno(self) -> int:
        return -1 if self.is_closed else self.fd

    def settimeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s

    def setblocking(self, flag: bool) -> None:
        self._timeout_s = None if flag else 0.0

    def sendall(self, data: bytes) -> None:
        self._kernel.point("send")
        self._check()
        if self._ended and self._kernel.rng.random() < 0.5:
            raise BrokenPipeError("the other side is gone")
        if self.up is not None:
            self.up.send(bytes(data))
            self._kernel.point("sent")

    def recv(self, limit: int) -> bytes:
        if self._timeout_s == 0.0:
            self._kernel.point("receive")
            if not self.is_readable:
                self._check()
                raise BlockingIOError("nothing there")
        end = None
        if self._timeout_s:
            end = self._kernel.now + self.process.true_duration(int(self._timeout_s * 1e9))
        while not self.is_readable:
            self._check()
            if end is not None and self._kernel.now >= end:
                raise TimeoutError("timed out")
            self._parked = self._kernel.running()
            self._kernel.park(end)
            self._parked = None
        self._check()
        if self._buffer:
            data = bytes(self._buffer[:limit])
            del self._buffer[:limit]
            self.is_readable = bool(self._buffer) or self._ended or self._error is not None
            return data
        if self._error is not None:
            raise self._error
        return b""

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._given_back(self)
        if self.up is not None:
            self.up.send(None)

    # -- what the kernel of its host does -------------------------------------------------------------------------

    def _check(self) -> None:
        if self.is_closed:
            raise OSError(9, "Bad file descriptor")

    def arrive(self, data: bytes | None, note: Note | None) -> None:
        """Bytes, or the end, reached this host."""
        if self.is_closed or self._error is not None:
            return
        self.is_readable = True
        if data is None:
            self._ended = True
        else:
            self._buffer += data
        if note is not None:
            note()
        self._tell()

    def fail(self, error: OSError) -> None:
        """The connection is no more, and this side knows."""
        if self.is_closed or self._error is not None:
            return
        self._error = error
        self.is_readable = True
        if self.up is not None:
            self.up.is_cut = True
        self._tell()

    def _tell(self) -> None:
        if self._parked is not None:
            self._parked.wake()
        for reader in self.readers:
            reader.readable()


class Peer:
    """The server's end of a connection. The server sets `on_data` and `on_end`."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.on_data: Callable[[bytes], None] = lambda _: None
        self.on_end: Callable[[], None] = lambda: None
        self.on_stray: Callable[[], None] = lambda: None
        self.down: Pipe | None = None
        self.is_closed = False

    def arrive(self, data: bytes | None, _: Note | None) -> None:
        """Bytes, or the end, reached the server's host."""
        if self.is_closed:
            self.on_stray()
        elif data is None:
            self.on_end()
        else:
            self.on_data(data)

    def send(self, data: bytes, note: Note | None = None) -> None:
        """Hands bytes to the server's kernel."""
        if self.down is not None and not self.is_closed:
            self.down.send(data, note)

    def close(self) -> None:
        """The server, or its kernel, closes."""
        if not self.is_closed:
            self.is_closed = True
            if self.down is not None:
                self.down.send(None)

    def vanish(self) -> None:
        """Closes without a word to the other side."""
        self.is_closed = True
