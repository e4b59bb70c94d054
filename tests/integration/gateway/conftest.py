"""A switch, an engine's way into the journal, a venue, and gateways on threads of the test's process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from killswitch import Admission, Agent
from tests.support.agents import CALM
from tests.support.gateway import S1, GatewayThread, JournalView, LocalVenue, Start
from tests.support.switch import Switch
from tests.support.venue import VenueProcess


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is to be ended with the test."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def venue(stack: ExitStack, tmp_path: Path) -> VenueProcess:
    """A venue with its record."""
    return LocalVenue(stack, tmp_path)


@pytest.fixture
def journal(switch: Switch, stack: ExitStack) -> JournalView:
    """A look at the journal."""
    view = JournalView(switch.url)
    stack.callback(view.close)
    return view


@pytest.fixture
def engine(switch: Switch) -> Agent:
    """The agent of an engine; it waits for answers no longer than it must, as tests freeze Redis."""
    return switch.agent([S1], worker_id="engine-1", **{**CALM, "patience_ms": 3000})


@pytest.fixture
def admission(engine: Agent, stack: ExitStack) -> Admission:
    """Its way to the venue."""
    return stack.enter_context(Admission(engine))


@pytest.fixture
def start(switch: Switch, venue: VenueProcess, stack: ExitStack) -> Start:
    """Starts a gateway: `start(url=..., max_age_ms=..., scopes=...)`."""

    def make(url: str = "", **how: Any) -> GatewayThread:
        gateway = GatewayThread(switch.server, url or venue.url, **how)
        stack.callback(gateway.end)
        return gateway

    return make
