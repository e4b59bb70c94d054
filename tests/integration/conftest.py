"""The switch that integration tests operate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import FAST
from tests.support.server import RealServer
from tests.support.shell import Shell
from tests.support.switch import TIMEOUT_MS, Switch


@pytest.fixture
def switch(real_server: RealServer, tmp_path: Path) -> Iterator[Switch]:
    """A switch on a fresh server that says SAFE."""
    made = Switch(real_server, tmp_path)
    try:
        made.permit()
        yield made
    finally:
        made.close()


@pytest.fixture
def durable_switch(durable_server: RealServer, tmp_path: Path) -> Iterator[Switch]:
    """A switch on a server whose every write is on disk, that says SAFE."""
    made = Switch(durable_server, tmp_path, durable_server.url)
    try:
        made.permit()
        yield made
    finally:
        made.close()


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`, with the settings of its fleet."""
    folder = tmp_path / "shell"
    folder.mkdir()
    made = Shell(switch.url, folder, monkeypatch, capsys)
    for name, value in {**FAST, "timeout_ms": TIMEOUT_MS}.items():
        monkeypatch.setenv(f"KILLSWITCH_{name.upper()}", str(value))
    return made
