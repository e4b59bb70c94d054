"""Split brain: the old master stays up on a small side, with workers, while the rest elects another one.

No lease can end this by itself: the old master answers. What ends it is that it refuses writes without replicas, and
with them renewals. Without that setting only the healing of the network does, and a test shows it.
"""

from __future__ import annotations

from killswitch import clock
from tests.faults.net.conftest import MakeDesk
from tests.faults.net.desk import Desk
from tests.faults.net.scene import LEASE_NS, TIMING, ms
from tests.faults.prop import prop
from tests.support.waiting import InLine, eventually

MAX_LAG_S = 2
SPLIT_MS = (MAX_LAG_S + 1) * 1000
"""M: how long a master may believe in replicas that it has lost; it looks once a second."""

SMALL, LARGE = ("n1", "s1", "w1"), ("n2", "n3", "s2", "s3", "w2", "op")


def _cut_off(desk: Desk, since: int) -> None:
    """The permissions of the old master are void from here on, by what this test asserts."""
    desk.scene.history.add("lost", since + SPLIT_MS * clock.NS_PER_MS, server="n1", why="cut off, and M has passed")


@prop("P4", "P9", "S2", "S9", "L4")
def test_old_master_that_is_cut_off_stops_its_workers_within_the_lag_and_the_lease(make_desk: MakeDesk) -> None:
    """With min-replicas-to-write 1 no worker of the small side passes later than M and a lease after the split, however
    late the stop was given on the other side; and one that reaches both sides is not misled by the sentinel it asks
    first, which is of the small side."""
    desk = make_desk("w1", "w2", split_ms=SPLIT_MS, min_replicas_to_write="1", min_replicas_max_lag=str(MAX_LAG_S))
    w1, w2 = desk.scene.traders["w1"], desk.scene.traders["w2"]
    before, complete = desk.split(SMALL, LARGE)
    _cut_off(desk, complete)
    new = desk.elected(by=("s2", "s3"))
    assert desk.is_master("n1"), "the old master does not know"
    assert desk.sentinels["s1"].master() == desk.lab["n1"].address, "its sentinel does not either"
    desk.reads(w2, before, "engaged")
    between = desk.trader("w3")
    desk.reads(between, before, "engaged")
    desk.reset(new)
    w2.passes_again()
    between.passes_again()
    engaged = desk.engage(new, wait_s=3.0)
    w1.checked_after(complete + SPLIT_MS * clock.NS_PER_MS + LEASE_NS)
    last = w1.last_pass()
    assert last < complete + SPLIT_MS * clock.NS_PER_MS + LEASE_NS
    assert engaged["verdict"] == "UNCERTAIN"
    assert engaged["pending"] == ["w1"], "the others have proved it"
    healed, in_line = desk.heal(), InLine(lambda: (w1.pid,))
    # Told to follow by the sentinels, the old master drops its clients; only then is the fault over for them.
    eventually(lambda: not desk.is_master("n1"), timeout_s=30.0, why="the old master is demoted")
    demoted = clock.now_ns()
    read = desk.reads(w1, healed, "engaged")
    assert read - in_line.worst_ns < demoted + 2_000 * clock.NS_PER_MS
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "split brain, min-replicas-to-write 1",
        "P4 P9 S2 L4",
        desk.program.kind,
        closed_ms=ms(last - before),
        bound_ms=SPLIT_MS + TIMING["lease_ms"],
        sends_after=desk.scene.sends_after(w1, complete + SPLIT_MS * clock.NS_PER_MS + LEASE_NS),
        recovered_ms=ms(read - demoted),
        note=f"max-lag {MAX_LAG_S} s; recovery from the demotion, {ms(demoted - healed):g} ms after the heal",
    )


@prop("P9", "L4")
def test_old_master_without_the_setting_permits_until_it_is_demoted(make_desk: MakeDesk) -> None:
    """The documented hole: nothing but min-replicas-to-write bounds a split brain. When the network is whole again the
    old master is demoted, and that ends it."""
    desk = make_desk("w1")
    (w1,) = desk.scene.traders.values()
    _, complete = desk.split(SMALL, LARGE)
    new = desk.elected(by=("s2", "s3"))
    engaged = desk.engage(new)
    beyond = max(engaged["done"], complete + SPLIT_MS * clock.NS_PER_MS) + LEASE_NS
    eventually(lambda: w1.last_pass() > beyond, timeout_s=20.0, why="the cut-off side goes on trading")
    healed, in_line = desk.heal(), InLine(lambda: (w1.pid,))
    eventually(lambda: not desk.is_master("n1"), timeout_s=30.0, why="the old master is demoted")
    demoted = clock.now_ns()
    read = desk.reads(w1, healed, "engaged")
    assert w1.last_pass() < demoted + LEASE_NS
    assert read - in_line.worst_ns < demoted + 2_000 * clock.NS_PER_MS
    desk.scene.history.add("lost", demoted, server="n1", why="demoted")
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "split brain without min-replicas-to-write (a documented hole)",
        "P9",
        desk.program.kind,
        closed_ms=ms(w1.last_pass() - engaged["done"]),
        sends_after=desk.scene.sends_after(w1, engaged["done"] + LEASE_NS),
        recovered_ms=ms(read - demoted),
        note=f"open until the demotion, {ms(demoted - healed):g} ms after the heal; no bound before it",
    )


@prop("P6")
def test_leases_are_not_said_to_be_out_while_a_replaced_master_may_go_on_permitting(make_desk: MakeDesk) -> None:
    """Who is told that no gate is open any more can rely on it, also when the missing workers are elsewhere."""
    desk = make_desk("w1")
    (w1,) = desk.scene.traders.values()
    desk.split(SMALL, LARGE)
    engaged = desk.engage(desk.elected(by=("s2", "s3")), wait_s=2.0)
    w1.passes_again()
    assert engaged["pending"] == ["w1"]
    assert not engaged["leases_out"]
