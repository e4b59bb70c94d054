"""An open gate without a watcher."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killswitch.clock import now_ns
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import make_readiness


def open_picture(epoch: int = 1) -> Picture:
    """Open for the length of a test."""
    until = now_ns() + 10**12
    return Picture(Mode.SAFE, epoch, Code.OPEN, "", until, until)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """An open gate."""
    readiness = make_readiness()
    made = Gate(readiness)
    made.show(open_picture())
    yield made
    readiness.close()
