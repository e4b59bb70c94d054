"""A host with a Redis on it: reads commands off its connections, one at a time, and writes pushes before replies.

It can be frozen (its kernel goes on accepting and buffering), killed with or without a word to its clients, started
again, and replaced. After each command it holds the state keys against what it last saw, and puts the truth on record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

from tests.history.events import History
from tests.simulation.kernel import MS, Kernel
from tests.simulation.observer import Observer
from tests.simulation.resp import encode_push
from tests.simulation.server import SimRedis, SimSession
from tests.simulation.sockets import Note, Peer

__all__ = ["RedisHost"]

_SWEEPS = frozenset((b"FLUSHALL", b"FLUSHDB", b"SWAPDB"))
"""Commands that change keys without naming them."""

Announced = Callable[[str, int], Note]


class _Line:
    """One connection as the server holds it."""

    def __init__(self, peer: Peer, session: SimSession) -> None:
        self.peer = peer
        self.session = session
        self.reader = hiredis.Reader()


class RedisHost:
    """`announced(client, changed)` makes the note that is called when an announcement has reached a client's host."""

    def __init__(
        self,
        kernel: Kernel,
        history: History,
        host: str,
        redis: SimRedis,
        scopes: tuple[str, ...],
        announced: Announced,
        now_ms: Callable[[], int],
        is_promoted: bool = False,
    ) -> None:
        self.host = host
        self.redis = redis
        self.is_frozen = False
        self.observer = Observer(kernel, history, host, scopes, now_ms)
        self._kernel = kernel
        self._history = history
        self._announced = announced
        self._state = "listening"
        self.overhear: Callable[[str, list[bytes], Peer], None] | None = None  # an answer is about to be written
        self._lines: dict[SimSession, _Line] = {}
        self._queue: deque[tuple[_Line, list[bytes] | None]] = deque()
        if is_promoted:
            self.observer.begin(redis)
        else:
            self.observer.look(redis, None)

    # -- as its kernel sees it ------------------------------------------------------------------------------------

    def state(self) -> str:
        """See `Listener`."""
        return self._state

    def accept(self, peer: Peer) -> None:
        """A connection: the session begins."""
        line = _Line(peer, self.redis.session())
        self._lines[line.session] = line

        def on_data(data: bytes) -> None:
            line.reader.feed(data)
            while (words := line.reader.gets()) is not False:
                self._queue.append((line, words))
            self._work()

        def on_end() -> None:
            self._queue.append((line, None))
            self._work()

        peer.on_data, peer.on_end = on_data, on_end

    # -- as its process does --------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Does what has arrived, in that order. It takes no time: what a command costs is part of its way's delay."""
        queue = self._queue
        while queue and not self.is_frozen and self._state == "listening":
            line, words = queue.popleft()
            if words is None:
                self._end(line)
            elif line.session.is_open:
                self._execute(line, words)

    def _end(self, line: _Line) -> None:
        self.redis.drop(line.session)
        self._lines.pop(line.session, None)
        line.peer.close()

    def _execute(self, line: _Line, words: list[bytes]) -> None:
        redis = self.redis
        data = redis.serve(line.session, tuple(words))
        if words[0] in _SWEEPS or not self.observer.keys.isdisjoint(redis.changed):
            self.observer.look(redis, None if data.startswith(b"-") else words)
        if self.overhear is not None:
            self.overhear(line.peer.client, words, line.peer)
        if not redis.has_pushes:
            line.peer.send(data)
            return
        pushes = redis.take_pushes()
        self._write([push for push in pushes if push[2]])
        if data:
            line.peer.send(data)
        self._write([push for push in pushes if not push[2]])

    def _write(self, pushes: list[tuple[SimSession, list[Any], bool]]) -> None:
        for session, push, _ in pushes:
            line = self._lines.get(session)
            if line is not None:
                note = self._announced(line.peer.client, self._kernel.now) if push[0] == b"invalidate" else None
                line.peer.send(encode_push(push), note)

    def by_hand(self, *words: str | bytes | int) -> object:
        """A command from the host itself, at once. Raises ReplyError."""
        session = self.redis.session()
        try:
            reply = self.redis.execute(session, words)
        finally:
            self.redis.drop(session)
            self.noticed([str(word).encode() if not isinstance(word, bytes) else word for word in words])
        return reply

    def noticed(self, words: list[bytes] | None = None) -> None:
        """Looks at the keys and writes what is to be announced: after a change that came by no connection."""
        self.observer.look(self.redis, words)
        if not self.is_frozen:
            self._write(self.redis.take_pushes())

    # -- what happens to it ---------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """SIGSTOP."""
        self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self.is_frozen = False
        self._work()

    def kill(self, *, silently: bool = False) -> None:
        """The process ends; `silently`: the host with it, so nobody is told."""
        self.is_frozen = False
        self._state = "dark" if silently else "closed"
        self._queue.clear()
        for line in list(self._lines.values()):
            self.redis.drop(line.session)
            if silently:
                line.peer.vanish()
            else:
                line.peer.close()
        self._lines.clear()

    def start(self, redis: SimRedis) -> None:
        """A process begins on this host. What it holds is no permission, see `Observer.lose`."""
        self.redis = redis
        self._state = "listening"
        self.observer.begin(redis)

    def expire(self) -> None:
        """What the server does ten times a second."""
        if self._state == "listening" and not self.is_frozen:
            removed = self.redis.expire_due()
            if removed or self.redis.store.ends:
                self.noticed()
        self._kernel.at(self._kernel.now + 100 * MS, self.expire)
