"""Arguments as somebody types them at redis-cli, to every function: an answer or an error, no opening by mistake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch import StoreRefused
from killswitch.clock import now_ns
from killswitch.core.endpoint import parse_url
from killswitch.store.functions import OPERATIONS
from killswitch.store.wire import Wire, connect
from tests.random.hostile import NUMBERS, TEXTS
from tests.support.library import Library
from tests.support.server import RealServer
from tests.support.waiting import InLine, my_line_ns

STATE = "killswitch:state"
KEYS = st.lists(
    st.sampled_from(
        [STATE, STATE, f"{STATE}:symbol:EURUSD", "state", ":state", "a:b:state:c:d", f"{STATE}:", "x", "", "\xff:state"]
    ),
    max_size=3,
)
ARGUMENTS = st.lists(
    NUMBERS | TEXTS | st.sampled_from(["engaged", "w1", "0", "1", "60000", "killswitch"]) | st.just("A" * 3000),
    max_size=12,
)


@pytest.fixture(scope="module")
def wire(module_server: RealServer) -> Iterator[Wire]:
    """A line to a server of this module's own, with the library loaded."""
    opened = connect(parse_url(module_server.unix_url), 5.0)
    Library(opened)
    yield opened
    opened.close()


@settings(max_examples=250)
@given(function=st.sampled_from([name for name in OPERATIONS if name != "ks_reset"]), keys=KEYS, arguments=ARGUMENTS)
def test_no_arguments_to_any_function_open_a_stopped_switch(
    wire: Wire, module_server: RealServer, function: str, keys: list[str], arguments: list[str | bytes]
) -> None:
    """P5, P8: whatever is typed, the answer is an answer or an error, at once, and what was stopped is still stopped.

    Reducing is let through where it names the epoch in force, which chance may do; it never says SAFE.
    """
    wire.call("FLUSHALL")
    wire.call("FCALL", "ks_engage", 1, STATE, "stop", "alice", "", "test")
    began, in_line, mine_ns = now_ns(), InLine(lambda: (module_server.pid,)), my_line_ns()
    try:
        wire.call("FCALL", function, len(keys), *keys, *arguments)
    except StoreRefused:
        pass
    assert now_ns() - began - in_line.worst_ns - (my_line_ns() - mine_ns) < 2_000_000_000
    found = wire.call("GET", STATE)
    assert isinstance(found, bytes)
    assert found.startswith(b"ENGAGED ") or (found == b"REDUCING" and function == "ks_reduce")
    assert wire.call("PING") == b"PONG"


@settings(max_examples=200)
@given(arguments=ARGUMENTS, epoch=NUMBERS)
def test_a_reset_needs_the_epoch_in_force(wire: Wire, arguments: list[str | bytes], epoch: str) -> None:
    """P8: of everything that may stand in the place of the epoch only the one in force resets."""
    wire.call("FLUSHALL")
    library = Library(wire, load=False)
    library.engage()
    wire.call("HSET", "killswitch:ledger", "epoch", 299)
    assert library.engage().epoch == 300  # not one of the small numbers that chance likes
    with pytest.raises(StoreRefused):
        wire.call("FCALL", "ks_reset", 1, STATE, epoch, *arguments)
    found = wire.call("GET", STATE)
    assert isinstance(found, bytes)
    assert found.startswith(b"ENGAGED ")


@pytest.mark.parametrize("limit", ["8h", "x", "-5", "nan", "1e400", "1e300"])
def test_a_time_limit_that_is_none_permits_nothing_and_is_not_recorded(module_server: RealServer, limit: str) -> None:
    """P5, P10: somebody who wanted a limit must not get a permission without one, nor one that is on record only."""
    opened = connect(parse_url(module_server.unix_url), 5.0)
    try:
        opened.call("FLUSHALL")
        library = Library(opened)
        epoch, entries = library.engage().epoch, library.audit()
        with pytest.raises(StoreRefused):
            opened.call("FCALL", "ks_reset", 1, STATE, epoch, "session", "alice", limit)
        assert library.get() != "SAFE"
        assert library.audit() == entries
    finally:
        opened.close()
