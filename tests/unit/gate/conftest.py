"""An open gate without a watcher, and both ends of a connection."""

from __future__ import annotations

import socket
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


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, this one's and the server's."""
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()
