"""Child program: the least that could notice a change, a blocking read of a tracking connection.

python -m ops.bench.bare <board>
"""

from __future__ import annotations

import sys
from pathlib import Path

from killswitch import Settings
from killswitch.clock import now_ns
from ops.bench.board import Board
from ops.bench.children import live_with_parent
from ops.bench.line import Line
from ops.bench.probe import BARE_NS

READY = -1


def main() -> None:
    """Writes the time of every arrival until the server or the parent is gone."""
    live_with_parent()
    settings = Settings()
    with Board(Path(sys.argv[1])) as board, Line(settings) as line:
        line.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", f"{settings.prefix}:state")
        slots, receive = board.slots, line.sock.recv
        line.sock.settimeout(None)
        slots[BARE_NS] = READY
        while receive(65536):
            slots[BARE_NS] = now_ns()


if __name__ == "__main__":
    main()
