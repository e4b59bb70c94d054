"""Faults of the server, one after the other on one fleet: each is a row of data in the tables named below."""

from __future__ import annotations

import pytest

from tests.faults.conftest import Worlds
from tests.faults.connections import CONNECTIONS
from tests.faults.contents import CONTENTS
from tests.faults.fault import Fault, Trial
from tests.faults.prop import prop
from tests.faults.refusals import REFUSALS
from tests.faults.silences import SILENCES
from tests.support.server import KINDS

FAULTS = [*SILENCES, *REFUSALS, *CONTENTS, *CONNECTIONS]
CASES = [(kind, fault) for kind in KINDS for fault in FAULTS if fault.core or kind == "redis"]


@prop("P2", "P3", "P4", "P5", "P9", "S2", "S4", "S9", "L4")
@pytest.mark.parametrize(("kind", "fault"), CASES, ids=[f"{kind}-{fault.name}" for kind, fault in CASES])
def test_everybody_is_closed_by_the_bound_says_why_and_recovers(fleets: Worlds, kind: str, fault: Fault) -> None:
    """Whatever becomes of the server: no check passes that begins after the promised moment, each gate names the
    reason, and what was permitted before holds again only where the fault did not void it."""
    Trial(fleets.get(kind), fault).run()
