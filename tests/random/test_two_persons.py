"""Where two persons have to permit, on both real servers, with a model in Python and hypothesis as the adversary."""

from __future__ import annotations

from killswitch.core.endpoint import parse_url
from killswitch.store.wire import connect
from tests.evidence.drawn import drawn
from tests.random import stateful
from tests.random.persons_machine import PersonsMachine
from tests.support.server import RealServer

EXAMPLES = 100
STEPS = 40


def test_no_order_of_events_lets_one_person_permit(module_server: RealServer) -> None:
    """S7: whoever asks for what, and whatever an unknown hand does in between."""
    wire = connect(parse_url(module_server.unix_url), 5.0)
    PersonsMachine.caller = wire
    try:
        stateful.run(PersonsMachine, EXAMPLES, STEPS)
    finally:
        wire.close()
    drawn(test_no_order_of_events_lets_one_person_permit, module_server.kind, EXAMPLES, STEPS)
