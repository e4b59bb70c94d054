"""The network of a module, and the server program that runs on its hosts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from killswitch.local import ServerBinary
from tests.faults.net.desk import HOSTS, Desk
from tests.faults.net.lab import Lab, why_impossible
from tests.support.server import KINDS, binary

MakeLab = Callable[..., Lab]
MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="module")
def make_lab() -> Iterator[MakeLab]:
    """Networks with hosts of the given names, which end with the module. Skips where the kernel allows none, and says
    why; a machine that allows them runs these tests, root or not."""
    if reason := why_impossible():
        pytest.skip(reason)
    made: list[Lab] = []

    def make(*names: str) -> Lab:
        made.append(Lab(*names))
        return made[-1]

    try:
        yield make
    finally:
        for lab in made:
            lab.close()


@pytest.fixture(scope="session")
def program() -> ServerBinary:
    """The first server program that this machine has; for tests that are not about servers."""
    found = next(filter(None, map(binary, KINDS)), None)
    if found is None:
        missing = "this machine has no server program"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture
def make_desk(make_lab: MakeLab, program: ServerBinary) -> Iterator[MakeDesk]:
    """Switches with fail-over: `make_desk("w1", kind="valkey", min_replicas_to_write="1")` has a trader on w1, who
    trades when it returns."""
    made: list[Desk] = []
    with tempfile.TemporaryDirectory(prefix="kst-") as folder:

        def make(*traders: str, kind: str = "", split_ms: int = 0, **options: str) -> Desk:
            chosen = binary(kind) if kind else program
            assert chosen is not None
            desk = Desk(make_lab(*HOSTS), chosen, Path(folder), split_ms=split_ms, **options)
            made.append(desk)
            for host in traders:
                desk.trader(host)
            desk.open()
            return desk

        try:
            yield make
        finally:
            for desk in made:
                desk.close()
                desk.lab.close()
