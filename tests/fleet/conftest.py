"""The fixture of the fleet tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.world import Fleet, start_server
from tests.support.processes import Children


@pytest.fixture
def fleet(children: Children, tmp_path: Path) -> Iterator[Fleet]:
    """An open switch, an empty queue, no workers."""
    switch, queue = start_server(), start_server(appendonly=True)
    found = None
    try:
        found = Fleet(switch, queue, children, tmp_path)
        yield found
    finally:
        children.stop()
        if found is not None:
            found.control.close()
        switch.stop()
        queue.stop()
