"""The function library on both real servers, with a model in Python and hypothesis as the adversary."""

from __future__ import annotations

import pytest

from killswitch import EpochConflict
from killswitch.core.endpoint import parse_url
from killswitch.store.wire import connect
from tests.evidence.drawn import drawn
from tests.random import stateful
from tests.random.switch_machine import SwitchMachine
from tests.support.library import Library
from tests.support.server import RealServer

EXAMPLES = 60
STEPS = 30


def test_nothing_under_any_key_keeps_the_switch_from_its_promises(module_server: RealServer) -> None:
    """P5, P8, P10, S6, S13, S14: under arbitrary content and any order of calls the model and the server agree."""
    wire = connect(parse_url(module_server.unix_url), 5.0)
    SwitchMachine.wire = wire
    try:
        stateful.run(SwitchMachine, EXAMPLES, STEPS)
    finally:
        wire.close()
    drawn(test_nothing_under_any_key_keeps_the_switch_from_its_promises, module_server.kind, EXAMPLES, STEPS)


@pytest.mark.parametrize("change", ["by hand", "incarnation"])
@pytest.mark.parametrize("verb", ["reset", "reduce"])
def test_an_epoch_that_nobody_can_have_looked_at_opens_nothing(
    module_server: RealServer, change: str, verb: str
) -> None:
    """P8: a stop that is first recorded by the call that would loosen it was seen by nobody, whatever it names."""
    wire = connect(parse_url(module_server.unix_url), 5.0)
    try:
        wire.call("FLUSHALL")
        library = Library(wire)
        looked = library.permit()
        if change == "by hand":
            library.set_raw("ENGAGED by hand")
        else:
            library.raw("HSET", library.keys.ledger, "run_id", "another")
        with pytest.raises(EpochConflict, match="is the epoch now"):
            getattr(library, verb)(looked + 1)
        assert library.get() != "SAFE"
    finally:
        wire.close()
