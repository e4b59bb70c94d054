"""Worlds under fault. One serves all tests of a module on one make of server, as long as they leave it whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.engines import SCOPE
from tests.faults.prop import properties_of
from tests.faults.world import World, acl_file
from tests.support.server import RealServer, binary

__all__ = ["Worlds", "make_world", "two_traders"]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder says which properties it stands for."""
    for item in items:
        if item.path.parent == _HERE and not properties_of(getattr(item, "function", None)):
            raise pytest.UsageError(f"{item.nodeid} names no property; see tests/faults/prop.py")


@contextmanager
def make_world(kind: str, *, engines: bool = True, durable: bool = True) -> Iterator[World]:
    """A world on servers of its own. A make of server that is missing skips, and fails in CI."""
    program = binary(kind)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"no {kind} on this machine")
        pytest.skip(f"no {kind} on this machine")
    folder = Path(tempfile.mkdtemp(prefix="kst-"))  # short: a socket's path has 104 characters at most
    options = {"enable-debug-command": "yes", "aclfile": acl_file(folder)}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        switch = RealServer(program, appendonly=durable, options=options)
        stack.callback(switch.stop)
        queue = RealServer(program) if engines else None
        if queue is not None:
            stack.callback(queue.stop)
        world = World(switch, queue, folder)
        stack.callback(world.close)
        yield world


class Worlds:
    """The world of the moment. One that a failed test left in a bad state is not used again."""

    def __init__(self, build: Callable[[World], None], *, engines: bool = True) -> None:
        self._build = build
        self._engines = engines
        self._stack = ExitStack()
        self._world: World | None = None

    def get(self, kind: str) -> World:
        """A whole world on this make of server."""
        if self._world is None or self._world.broken or self._world.switch.kind != kind:
            self.close()
            self._world = self._stack.enter_context(make_world(kind, engines=self._engines))
            self._build(self._world)
        return self._world

    def close(self) -> None:
        """Ends the world."""
        self._world = None
        self._stack.close()


def two_of_each(world: World) -> None:
    """Two traders and two engines on recorded ticks."""
    for _ in range(2):
        # Beats write, and are refused whenever a write is; rare ones leave it to the renewals to notice.
        world.trader(scopes=[SCOPE], beat_ms=2000)
        world.engine()


def two_traders(world: World) -> None:
    """Two traders and nobody else."""
    world.trader()
    world.trader()


@pytest.fixture(scope="module")
def fleets() -> Iterator[Worlds]:
    """Two traders and two engines on recorded ticks, on the make of server that is asked for."""
    worlds = Worlds(two_of_each)
    yield worlds
    worlds.close()


@pytest.fixture(scope="module")
def _pairs() -> Iterator[Worlds]:
    worlds = Worlds(two_traders, engines=False)
    yield worlds
    worlds.close()


@pytest.fixture(scope="module")
def _lones() -> Iterator[Worlds]:
    worlds = Worlds(_one_without_sinks, engines=False)
    yield worlds
    worlds.close()


def _one_without_sinks(world: World) -> None:
    world.trader(sinks=[])


@pytest.fixture
def lone(_lones: Worlds) -> World:
    """One trader that names no sink: its orders go to the venue, but nobody knows."""
    return _lones.get("redis")


@pytest.fixture(scope="module")
def _bares() -> Iterator[Worlds]:
    worlds = Worlds(lambda world: None, engines=False)
    yield worlds
    worlds.close()


@pytest.fixture
def bare(_bares: Worlds) -> World:
    """A switch that nobody follows but the agents that the test makes itself."""
    return _bares.get("redis")


@pytest.fixture(scope="module")
def _fars() -> Iterator[Worlds]:
    worlds = Worlds(_one_far_away, engines=False)
    yield worlds
    worlds.close()


def _one_far_away(world: World) -> None:
    world.far_trader()


@pytest.fixture
def far(_fars: Worlds) -> World:
    """One trader behind a line that can be cut, `lines[0]`."""
    return _fars.get("redis")


@pytest.fixture
def pair(_pairs: Worlds) -> World:
    """Two traders and no engine; whole again for each test."""
    return _pairs.get("redis")
