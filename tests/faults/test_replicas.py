"""A replica that is attached, sleeps and wakes: with `min-replicas-to-write` it decides whether anybody may write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from killswitch import Code, clock
from tests.faults.conftest import make_world, two_traders
from tests.faults.observe import codes, lateness, row, sound
from tests.faults.prop import prop
from tests.faults.trader import LEASE_NS, PATIENCE_S
from tests.faults.world import World
from tests.support.server import RealServer, binary
from tests.support.waiting import eventually

_RECOVERED_NS = 2_000_000_000  # L4


@pytest.fixture
def replicated() -> Iterator[tuple[World, RealServer]]:
    """Two traders on a server, and a second one that is nobody's replica yet."""
    with make_world("redis", engines=False) as world:
        program = binary("redis")
        assert program is not None
        replica = RealServer(program)
        try:
            world.switch.config_set("repl-diskless-sync-delay", "0")
            two_traders(world)
            world.settle()
            yield world, replica
        finally:
            replica.stop()


def _attached(world: World, replica: RealServer) -> None:
    replica.cli("REPLICAOF", "127.0.0.1", str(world.switch.port))
    eventually(
        lambda: "state=online" in str(world.raw("INFO", "replication")), timeout_s=PATIENCE_S, why="the replica follows"
    )


def _accepted(world: World) -> bool:
    """Whether the server takes a write now; an AssertionError for any other reason than a missing replica."""
    found = world.answer("SET", "unrelated", "1")
    assert found == "OK" or "NOREPLICAS" in found, found
    return found == "OK"


def _refused(world: World) -> int:
    """Waits until the server refuses writes; a time before the first one that it refused."""
    end = clock.now_ns() + int(PATIENCE_S * 1e9)
    while (asked_ns := clock.now_ns()) < end:
        if not _accepted(world):
            return asked_ns
        clock.sleep(0.002)
    raise AssertionError("writes go on being accepted")


@prop("P4", "P3", "S2", "S9", "L4", "L7")
def test_a_sleeping_replica_ends_permission_with_the_right_to_write_and_its_return_gives_both_back(
    replicated: tuple[World, RealServer],
) -> None:
    """Attaching the first replica begins a new replication history and closes nobody for good. From the moment the
    server refuses writes for want of it, nobody trades longer than a lease; when it is back, nobody has to permit."""
    world, replica = replicated
    epoch = world.control.status().switch.epoch
    _attached(world, replica)
    world.settle()
    world.switch.config_set("min-replicas-max-lag", "3")
    world.switch.config_set("min-replicas-to-write", "1")
    world.settle()
    assert world.control.status().switch.epoch == epoch
    begun = clock.now_ns()
    replica.sigstop()
    refused_ns = _refused(world)
    world.void(begun, clock.now_ns())
    world.all_closed(refused_ns + LEASE_NS)
    last_ns = max(trader.last_pass() for trader in world.traders)
    assert last_ns <= refused_ns + LEASE_NS
    for trader in world.traders:
        trader.says(Code.REDIS_NOREPLICAS)
    reasons = codes(world, begun)
    world.valid(clock.now_ns())
    with lateness(world.pids) as late:
        replica.sigcont()
        eventually(lambda: _accepted(world), timeout_s=PATIENCE_S, why="writes are accepted again")
        healed_ns = clock.now_ns()
        recovered_ns = world.settle() - healed_ns
        allowed_ns = late.allowed_ns
    assert recovered_ns <= _RECOVERED_NS + allowed_ns
    assert Code.REDIS_NOREPLICAS in reasons
    row(
        world,
        "only replica frozen, min-replicas-to-write 1",
        "P4 P3 S2 S9 L4",
        closed_ns=last_ns - refused_ns,
        bound_ns=LEASE_NS,
        recovered_ns=recovered_ns,
        note=f"counted from the first refused write, {(refused_ns - begun) / 1e6:.0f} ms after the replica froze",
    )
    sound(world)
