"""A place that takes orders: it notes every arrival and refuses what is older than its fence.

Orders come as calls with a delay. Fences are raised as at a real sink: one JSON object a line over a connection. It is
never paused, as FENCED assumes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.history.events import History
from tests.simulation.kernel import US, Kernel
from tests.simulation.sockets import Link, Peer

__all__ = ["VENUE", "Venue"]

VENUE = "venue"


class Venue:
    """Listens on the host `venue`. One session for each worker, under the worker's name."""

    host = VENUE

    def __init__(self, kernel: Kernel, history: History) -> None:
        self.fences: dict[str, int] = {}
        self._kernel = kernel
        self._history = history

    def state(self) -> str:
        return "listening"

    def accept(self, peer: Peer) -> None:
        """A connection."""
        pending = bytearray()

        def on_data(data: bytes) -> None:
            pending.extend(data)
            while (end := pending.find(b"\n")) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                wait = int((20 + 80 * self._kernel.rng.random()) * US)
                self._kernel.at(self._kernel.now + wait, self._serve, peer, line)

        peer.on_data = on_data
        peer.on_end = peer.close

    def submit(
        self, there: Link, back: Link, session: str, order: str, token: int, answered: Callable[[], None]
    ) -> None:
        """An order goes out over `there`; the answer comes `back`, and then `answered` is called."""
        kernel = self._kernel
        arrives = kernel.now + there.delay()
        kernel.at(arrives, self._take, session, order, token)
        kernel.at(arrives + back.delay(), answered)

    def _take(self, session: str, order: str, token: int) -> None:
        fence = self.fences.get(session, 0)
        self._history.add(
            "arrive",
            self._kernel.now,
            sink=VENUE,
            session=session,
            worker=session,
            order=order,
            token=token,
            accepted=token >= fence,
            fence=fence,
        )

    def _serve(self, peer: Peer, line: bytes) -> None:
        request = json.loads(line)
        answer = {"id": request.get("id"), "ok": True, **self._do(request)}
        peer.send(json.dumps(answer).encode() + b"\n")

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        session, now = str(request["session"]), self._kernel.now
        fence = self.fences.get(session, 0)
        if request["do"] == "raise_fence":
            raised = self.fences[session] = self._raised(fence, int(request["epoch"]))
            self._history.add("fence", now, sink=VENUE, session=session, epoch=request["epoch"], fence=raised)
            return {"fence": raised}
        return {"ok": False, "error": "Unknown", "reason": "no such request"}

    def _raised(self, fence: int, epoch: int) -> int:
        return max(fence, epoch)
