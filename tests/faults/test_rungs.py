"""Rights that a server takes away from the announcements: lower rungs of the ladder, under the same lease."""

from __future__ import annotations

from killswitch import clock
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.trader import LEASE_NS, PATIENCE_S, TIMING
from tests.faults.world import USER, World
from tests.support.waiting import eventually


def _rungs(world: World) -> set[str]:
    return {member.rung for member in world.control.status().members}


@prop("P2", "P3", "S2", "L4")
def test_workers_that_lose_the_right_to_announcements_are_slower_and_say_so(pair: World) -> None:
    """Without CLIENT TRACKING a stop is noticed at the next renewal, within the lease; the rung is in every heartbeat,
    and the better one is taken again on the next connection."""
    with pair.trying():
        assert _rungs(pair) == {"bcast"}
        pair.raw("ACL", "SETUSER", USER, "-client|tracking")
        pair.raw("CLIENT", "KILL", "USER", USER)
        eventually(lambda: _rungs(pair) == {"polling"}, timeout_s=PATIENCE_S, why="the rung is told")
        pair.settle()
        begun = clock.now_ns()
        ok_ns = pair.switch.raw_set("killswitch:state", "ENGAGED on a lower rung")
        pair.void(begun, ok_ns)
        pair.all_closed(ok_ns + LEASE_NS)
        last_ns = max(trader.last_pass() for trader in pair.traders)
        assert last_ns <= ok_ns + LEASE_NS
        row(
            pair,
            "right to CLIENT TRACKING taken away",
            "P3 S2",
            closed_ns=last_ns - ok_ns,
            bound_ns=LEASE_NS,
            note=f"rung polling: noticed at a renewal, every {TIMING['renew_ms']} ms",
        )
        pair.raw("ACL", "SETUSER", USER, "+@all")
        pair.raw("CLIENT", "KILL", "USER", USER)
        eventually(lambda: _rungs(pair) == {"bcast"}, timeout_s=PATIENCE_S, why="the better rung is taken again")
    sound(pair)
