"""Child program: many agents' worth of traffic from one process, over raw connections.

    python -m ops.bench.agents <board> <group> <first> <count> <template as JSON>

Each simulated agent does what the library's agent does on the wire: two connections, one armed with BCAST tracking and
one for questions; a renewal (`ks_read`) each renew_ms, a beat (`ks_beat`) with a real agent's fields each beat_ms, one
question under way at a time; on a push, read it, then send a beat that says closed. What it leaves out is the agent's
own Python, which in a fleet is spread over the hosts.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
from pathlib import Path
from typing import Any, cast

import hiredis

from killswitch import Settings
from killswitch.clock import now_ns
from ops.bench.board import Board
from ops.bench.children import live_with_parent
from ops.bench.line import Line

STOP = 0
GROUP, PER_GROUP = 8, 8  # slots GROUP + group * PER_GROUP + one of:
READY, OPEN, PUSHED, PUSHED_NS, QUIET, QUIET_NS, ASKED = range(7)

_CHUNK = 65536


class _Agent:
    """One simulated agent. `closed` as a real one's gate would be."""

    __slots__ = ("ask", "asked_ns", "beat_ns", "closed", "name", "push", "quiet", "reader", "told", "void")

    def __init__(self, name: str, push: socket.socket, ask: socket.socket, beat_ns: int) -> None:
        self.name = name
        self.push = push
        self.ask = ask
        self.reader = hiredis.Reader()
        self.closed = True
        self.told = False  # a beat that says closed was sent since the last push
        self.void = False  # a push came while the question was under way
        self.quiet = True  # counted as quiet since the last push
        self.asked_ns = 0  # when the question under way was sent, 0 for none
        self.beat_ns = beat_ns


class _Group:
    """All simulated agents of this process."""

    def __init__(self, slots: memoryview, settings: Settings, template: dict[str, Any]) -> None:
        self.slots = slots
        self._settings = settings
        self._renew_ns = settings.renew_ms * 1_000_000
        self._every_beat_ns = settings.beat_ms * 1_000_000
        self._keys: list[str] = template["keys"]
        self._pairs = [text for pair in template["fields"].items() for text in pair]
        self._poll = select.epoll()
        self._by_push: dict[int, _Agent] = {}
        self._by_ask: dict[int, _Agent] = {}
        self._due: list[tuple[int, int]] = []
        self._read = self._pack("FCALL", "ks_read", len(self._keys), *self._keys, 7)
        self._chance = random.Random(1)

    def add(self, name: str) -> None:
        """Connects one agent as the library does: the question line, then the armed channel."""
        ask, push = Line(self._settings), Line(self._settings)
        push.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._keys[0])
        for line in (ask, push):
            line.sock.setblocking(False)
            self._poll.register(line.sock, select.EPOLLIN)
        agent = _Agent(name, push.sock, ask.sock, now_ns())
        self._by_push[push.sock.fileno()] = agent
        self._by_ask[ask.sock.fileno()] = agent
        heapq.heappush(self._due, (now_ns() + self._some(self._every_beat_ns), ask.sock.fileno()))

    def turn(self) -> None:
        """One wait for news, then what is due."""
        slots = self.slots
        wait_s = max(0.0, (self._due[0][0] - now_ns()) / 1e9) if self._due else 0.1
        ready = [fd for fd, _ in self._poll.poll(min(wait_s, 0.1))]
        for fd in ready:
            if agent := self._by_push.get(fd):
                self._pushed(agent)
        for fd in ready:
            if agent := self._by_ask.get(fd):
                self._answered(agent)
        now = now_ns()
        while self._due and self._due[0][0] <= now:
            _, fd = heapq.heappop(self._due)
            agent = self._by_ask[fd]
            if not agent.asked_ns:
                self._question(agent, beat=now >= agent.beat_ns)
            heapq.heappush(self._due, (now + self._some(self._renew_ns, 0.9), fd))
        slots[READY] = len(self._by_ask)

    def _some(self, duration_ns: int, least: float = 0.0) -> int:
        return int(duration_ns * self._chance.uniform(least, 1.0))

    def _pushed(self, agent: _Agent) -> None:
        if not agent.closed:
            agent.closed = True
            self.slots[OPEN] -= 1
        agent.told = agent.quiet = False
        agent.push.recv(_CHUNK)
        self.slots[PUSHED] += 1
        self.slots[PUSHED_NS] = now_ns()
        if agent.asked_ns:
            agent.void = True
        else:
            self._question(agent, beat=True)

    def _question(self, agent: _Agent, *, beat: bool) -> None:
        agent.asked_ns = now_ns()
        self.slots[ASKED] += 1
        if not beat:
            agent.ask.send(self._read)
            return
        agent.beat_ns = agent.asked_ns + self._some(self._every_beat_ns, 0.9)
        agent.told = agent.closed
        closed = int(agent.closed)
        retain = self._settings.retain_ms
        # The time rises as an agent's nonces do.
        words = (agent.asked_ns, agent.name, 0, closed, 0, retain, retain, "bench", *self._pairs)
        agent.ask.send(self._pack("FCALL", "ks_beat", len(self._keys), *self._keys, *words))

    def _answered(self, agent: _Agent) -> None:
        agent.reader.feed(agent.ask.recv(_CHUNK))
        answer = agent.reader.gets()
        if answer is False:
            return
        if isinstance(answer, hiredis.ReplyError):
            raise RuntimeError(str(answer))
        agent.asked_ns = 0
        if agent.void:
            agent.void = False
            self._question(agent, beat=True)
            return
        if answer[5][0][1] == b"SAFE":
            if agent.closed:
                agent.closed = False
                self.slots[OPEN] += 1
        elif not agent.told:
            self._question(agent, beat=True)
        elif not agent.quiet:
            agent.quiet = True
            self.slots[QUIET] += 1
            self.slots[QUIET_NS] = now_ns()

    @staticmethod
    def _pack(*words: str | int) -> bytes:
        return cast(bytes, hiredis.pack_command(cast(Any, words)))


def main() -> None:
    """Connects `count` agents, then plays them until the parent says stop."""
    live_with_parent()
    path, group, first, count, template = sys.argv[1:]
    with Board(Path(path)) as board:
        start = GROUP + int(group) * PER_GROUP
        own = _Group(board.slots[start : start + PER_GROUP], Settings(), json.loads(template))
        for number in range(int(first), int(first) + int(count)):
            own.add(f"simulated-host-{number // 8}-{10_000 + number}-{number:06x}")
        while not board.slots[STOP]:
            own.turn()


if __name__ == "__main__":
    main()
