"""A network of TCP connections: in order inside one, any delay between two, nothing lost unless a connection is cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.simulation.kernel import SECOND, US, Kernel, Process
from tests.simulation.sockets import Link, Peer, Pipe, SimSocket

__all__ = ["Listener", "Network"]


class Listener(Protocol):
    """A server, as its host's kernel sees it."""

    host: str

    def state(self) -> str:
        """ "listening" (also while frozen: the kernel accepts), "closed" (nobody listens), "dark" (no host)."""
        ...

    def accept(self, peer: Peer) -> None:
        """A connection was made."""
        ...


class Network:
    """Hosts, the links between them, and what each host finds under a name."""

    def __init__(self, kernel: Kernel, make_link: Callable[[str, str], Link]) -> None:
        self.kernel = kernel
        self.resolve: Callable[[str, str], Listener | None] = lambda _client, _name: None
        self.sockets: dict[str, dict[int, SimSocket]] = {}
        self._make_link = make_link
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, source: str, target: str) -> Link:
        """The direction from one host to another."""
        found = self._links.get((source, target))
        if found is None:
            found = self._links[source, target] = self._make_link(source, target)
        return found

    def calm(self) -> None:
        """Nothing is lost or held back any more."""
        for link in self._links.values():
            link.loss = 0.0
            if link.is_blocked:
                link.heal()

    def forget(self, socket: SimSocket) -> None:
        """A descriptor was given back."""
        self.sockets[socket.process.name].pop(socket.fd, None)
        socket.readers.clear()

    def connect(self, process: Process, name: str, timeout_s: float | None) -> SimSocket:
        """What `socket.create_connection` does on a task of `process`: may take up to `timeout_s`."""
        kernel = self.kernel
        limit = 20 * SECOND if timeout_s is None else process.true_duration(int(timeout_s * 1e9))
        end, again = kernel.now + limit, SECOND
        while True:
            kernel.point("connect")
            listener = self.resolve(process.name, name)
            if listener is None:
                raise OSError(-2, "Name or service not known")
            there, back = self.link(process.name, listener.host), self.link(listener.host, process.name)
            trip = there.delay() + back.delay()
            state = listener.state()
            if state != "dark" and not there.is_blocked and not back.is_blocked and kernel.now + trip < end:
                kernel.sleep(trip + US)
                if state == "closed" or listener.state() == "closed":
                    raise ConnectionRefusedError(111, "Connection refused")
                return self._established(process, listener, there, back)
            if kernel.now + again >= end:
                kernel.sleep(max(end - kernel.now, 0))
                raise TimeoutError("timed out")
            kernel.sleep(again)
            again *= 2

    def _established(self, process: Process, listener: Listener, there: Link, back: Link) -> SimSocket:
        held = self.sockets.setdefault(process.name, {})
        fd = next(number for number in range(3, 1000) if number not in held)  # the lowest that is free, as in a kernel
        made = held[fd] = SimSocket(process, listener.host, fd, self.forget)
        peer = made.peer = Peer(process.name)
        made.up = Pipe(there, peer.arrive)
        peer.down = Pipe(back, made.arrive)
        peer.on_stray = lambda: self._reset(made, listener, back)
        listener.accept(peer)
        return made

    def _reset(self, socket: SimSocket, listener: Listener, back: Link) -> None:
        """Bytes for a connection that the server's host does not know: it says so, unless it is not there."""
        if listener.state() != "dark" and not back.is_blocked:
            error = ConnectionResetError(104, "Connection reset by peer")
            self.kernel.at(self.kernel.now + back.delay(), socket.fail, error)

    def cut(self, socket: SimSocket) -> None:
        """A reset from in between: both ends learn of it."""
        socket.fail(ConnectionResetError(104, "Connection reset by peer"))
        peer = socket.peer
        if peer is not None and not peer.is_closed:
            peer.on_end()

    def died(self, process: Process) -> None:
        """The kernel closes everything that a dead process held."""
        for socket in list(self.sockets.get(process.name, {}).values()):
            socket.close()
