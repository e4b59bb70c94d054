"""The store's contract holds on fakeredis and on both real servers; each test starts on an empty one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from killswitch.core.endpoint import parse_url
from killswitch.store.wire import connect
from tests.support.library import FakeCaller, Library
from tests.support.server import KINDS, RealServer, binary


@pytest.fixture(scope="module", params=["fake", *KINDS])
def backend(request: pytest.FixtureRequest) -> Iterator[RealServer | None]:
    """A server of its own for each module and kind; None stands for fakeredis."""
    if request.param == "fake":
        yield None
        return
    program = binary(request.param)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no {request.param} server")
    server = RealServer(program)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def library(backend: RealServer | None) -> Iterator[Library]:
    """The function library, loaded, over an empty database."""
    if backend is None:
        fake = FakeCaller()
        yield Library(fake)
        fake.close()
        return
    wire = connect(parse_url(backend.unix_url), 5.0)
    wire.call("FLUSHALL")
    yield Library(wire)
    wire.close()


@pytest.fixture
def real_library(real_server: RealServer) -> Iterator[Library]:
    """The function library on a server that this test alone may bend."""
    wire = connect(parse_url(real_server.unix_url), 5.0)
    yield Library(wire)
    wire.close()
