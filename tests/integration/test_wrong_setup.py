"""What an operator gets wrong when setting up is a closed gate with a code for the remedy, never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import Code, Controller, LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.core.lease import closed_by_ms
from killswitch.store.functions import LIBRARY_VERSION, library_source
from tests.conftest import MakeServer
from tests.support.agents import blocked_code, closes_with, fast_settings, open_epoch, stays_closed
from tests.support.switch import STATE, Switch


@pytest.fixture
def guarded(make_server: MakeServer, tmp_path: Path) -> Iterator[Switch]:
    """A switch on a server that wants the password `secret`."""
    server = make_server(requirepass="secret")
    made = Switch(server, tmp_path, f"unix://:secret@{server.socket_path}")
    made.permit()
    yield made
    made.close()


def test_the_right_password_opens_and_a_wrong_one_is_a_closed_gate(guarded: Switch) -> None:
    """P3: refused credentials are a closed gate with a code, and the password is in no text."""
    open_epoch(guarded.agent())
    path = guarded.server.socket_path
    for url in (f"unix://:wrong-one@{path}", f"unix://{path}"):
        agent = guarded.agent_at(url)
        assert "wrong-one" not in closes_with(agent, Code.REDIS_DENIED)
        with pytest.raises(StoreRefused, match=r"WRONGPASS|NOAUTH") as caught:
            Controller(fast_settings(url)).engage("stop")
        assert caught.value.code is Code.REDIS_DENIED
        assert "wrong-one" not in str(caught.value)


def test_the_password_may_come_by_itself(guarded: Switch) -> None:
    """A password setting fills in where the URL has none."""
    path = guarded.server.socket_path
    open_epoch(guarded.agent_at(f"unix://{path}", redis_password="secret"))


def test_a_missing_library_closes_and_names_the_command(switch: Switch) -> None:
    """The state says SAFE, but without the library nothing can be confirmed: closed until `killswitch init`."""
    agent = switch.agent()
    open_epoch(agent)
    switch.raw("FUNCTION", "FLUSH")
    assert "killswitch init" in closes_with(agent, Code.LIBRARY_MISSING)
    with pytest.raises(LibraryMissing, match="killswitch init"):
        switch.control.reset(1, "checked")
    assert switch.control.status().trouble is not None
    switch.control.init()
    open_epoch(agent)


@pytest.mark.parametrize("version", [LIBRARY_VERSION - 1, LIBRARY_VERSION + 1])
def test_a_library_of_another_version_closes_and_names_the_command(switch: Switch, version: int) -> None:
    """A worker obeys only the library it was tested with."""
    agent = switch.agent()
    open_epoch(agent)
    other = library_source().replace(f"local VERSION = {LIBRARY_VERSION}\n", f"local VERSION = {version}\n")
    assert other != library_source()
    switch.raw("FUNCTION", "LOAD", "REPLACE", other)
    assert "killswitch init" in closes_with(agent, Code.LIBRARY_MISMATCH)
    stays_closed(agent)
    switch.control.init()
    open_epoch(agent)


def test_init_leaves_a_state_that_is_there_as_it_is(switch: Switch) -> None:
    """Loading the library again neither permits nor stops."""
    agent = switch.agent()
    epoch = open_epoch(agent)
    report = switch.control.init()
    assert (report.created, report.state) == (False, "SAFE")
    assert open_epoch(agent) == epoch


def test_init_on_an_empty_server_engages(switch: Switch) -> None:
    """A switch begins closed: somebody has to permit."""
    switch.raw("FLUSHALL")
    report = switch.control.init(actor="alice")
    assert (report.created, report.state) == (True, "ENGAGED initialised")
    assert switch.control.audit()[-1].actor == "alice"


def test_a_server_that_is_not_there_is_unavailable_for_operators(tmp_path: Path) -> None:
    """Engaging without a server raises one clear error that names the address; the bound still holds."""
    control = Controller(fast_settings(f"unix://{tmp_path}/none"))
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        control.engage("stop")
    assert control.lease_bound_ms() == closed_by_ms(300)


def test_another_database_is_another_switch(switch: Switch) -> None:
    """A worker in the wrong database finds no state, and is closed."""
    agent = switch.agent_at(f"unix://{switch.server.socket_path}?db=1")
    closes_with(agent, Code.STATE_MISSING)
    assert blocked_code(agent) is Code.STATE_MISSING
    assert switch.server.cli("GET", STATE) == "SAFE"
