"""When those were kept from running who do not tell it themselves: the soak's own process, and its server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from killswitch import clock
from tests.soak.stage import Stage
from tests.support.waiting import InLine, beside

__all__ = ["noting_gaps"]

_NAP_S = 0.01
_LOOK_NS = 50_000_000


@contextmanager
def noting_gaps(stage: Stage) -> Iterator[None]:
    """Notes their gaps in the log while the block runs. A server that the soak froze stands in no line: what the soak
    does itself is no gap."""

    def watch(ended: threading.Event) -> None:
        in_line, looked_ns = InLine(lambda: (stage.server.pid,)), clock.now_ns()
        while not ended.is_set():
            begun = clock.now_ns()
            clock.sleep(_NAP_S)
            now = clock.now_ns()
            stage.log.note_gap(now, now - begun)
            if now - looked_ns > _LOOK_NS:
                stage.log.note_gap(now, in_line.worst_ns)
                in_line, looked_ns = InLine(lambda: (stage.server.pid,)), now

    with beside(watch, "gaps"):
        yield
