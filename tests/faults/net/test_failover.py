"""Fail-over by sentinels: a master that dies, one that is replaced on purpose, and an engagement that was lost with it.

What may be wrong in each: that a server which never heard of the stop permits trading (P9), and that a fleet does not
find its switch again (L4). The sentinels' own clocks decide how long a fail-over takes; nothing here depends on it.
"""

from __future__ import annotations

from typing import Any

from killswitch import clock
from tests.faults.net.conftest import MakeDesk
from tests.faults.net.desk import Desk
from tests.faults.net.scene import LEASE_NS, TIMING, ms
from tests.faults.net.servers import PORT
from tests.faults.prop import prop
from tests.support.switch import STATE
from tests.support.waiting import InLine, eventually

READ_AGAIN_NS = 2_000 * clock.NS_PER_MS


@prop("P3", "P9", "L4", "S9")
def test_fleet_stays_closed_after_the_master_died_until_somebody_permits_again(
    make_desk: MakeDesk, server_kind: str
) -> None:
    """The new master holds SAFE, and nobody trades on it: neither those who traded before nor a newcomer."""
    desk = make_desk("w1", "w2", kind=server_kind)
    w1, w2 = desk.scene.traders.values()
    killed, in_line = desk.kill("n1"), InLine(lambda: (w1.pid, w2.pid))
    new = desk.elected()
    named = clock.now_ns()
    read = max(desk.reads(trader, killed, "engaged") for trader in (w1, w2))
    kept_ns = in_line.worst_ns
    newcomer = desk.trader("w3")
    desk.reads(newcomer, killed, "engaged")
    closed = max(w1.last_pass(), w2.last_pass())
    assert closed < killed + LEASE_NS
    assert newcomer.last_pass() == 0
    found = desk.operator.do("status")
    assert "failed over" in found["text"]
    permitted = desk.reset(new, found["epoch"])
    again = max(trader.passes_again() for trader in (w1, w2, newcomer))
    desk.servers["n1"].restart()
    desk.servers["n1"].follows(desk.servers[new])
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "master killed, fail-over",
        "P3 P9 L4",
        server_kind,
        closed_ms=ms(closed - killed),
        bound_ms=TIMING["lease_ms"],
        sends_after=sum(desk.scene.sends_after(t, killed + LEASE_NS, permitted["begun"]) for t in (w1, w2, newcomer)),
        recovered_ms=ms(read - named),
        note=f"elected in {ms(named - killed):g} ms; all traded {ms(again - permitted['done']):g} ms after the reset",
    )
    # Between the election and this test's hearing of it lies one look at the sentinels.
    assert read <= named + READ_AGAIN_NS + kept_ns


@prop("P9", "S5", "S11")
def test_engagement_that_was_lost_with_its_master_reopens_nobody(make_desk: MakeDesk, server_kind: str) -> None:
    """Engaged at a master whose replicas no longer hear it, which then dies: the replica that is promoted says SAFE. It
    opens neither a newcomer who asks it first of all nor a worker that saw the engagement."""
    desk = make_desk("w1", kind=server_kind)
    witness = desk.scene.traders["w1"]
    desk.split(["n1"], ["n2", "n3"])
    begun = clock.now_ns()
    engaged = _engaged(desk)
    assert (engaged["durable"], engaged["replicas"]) == (False, 0), "the operator is told that no replica has it"
    desk.reads(witness, begun, "engaged")
    witness.freeze()
    killed = desk.kill("n1", host_too=True)
    desk.heal()
    new = desk.elected()
    assert desk.servers[new].cli("GET", STATE) == "SAFE", "the trap is set"
    newcomer = desk.trader("w2")
    desk.reads(newcomer, killed, "engaged")
    witness.wake()
    witness.checked_after(clock.now_ns() + LEASE_NS)
    last = witness.last_pass()
    assert newcomer.last_pass() == 0
    assert last < engaged["done"]
    assert desk.servers[new].cli("GET", STATE).startswith("ENGAGED Redis restarted, failed over")
    permitted = desk.reset(new)
    newcomer.passes_again()
    witness.passes_again()
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "acknowledged engagement lost in a fail-over",
        "P9 S5",
        server_kind,
        closed_ms=ms(last - engaged["done"]),
        bound_ms=TIMING["lease_ms"],
        sends_after=sum(
            desk.scene.sends_after(trader, engaged["done"], permitted["begun"]) for trader in (witness, newcomer)
        ),
        note="the promoted replica said SAFE; engage had said: not durable, 0 replicas",
    )


def _engaged(desk: Desk) -> dict[str, Any]:
    """Engages at the first master until the operator hears how many replicas have it, which may not come in time."""

    def known() -> dict[str, Any]:
        found = desk.engage("n1")
        return {} if found["replicas"] is None else found

    return eventually(known, why="the operator hears how many replicas have it")


@prop("P8", "P9", "S6")
def test_reset_of_a_lost_engagement_does_not_undo_the_stop_of_the_fail_over(make_desk: MakeDesk) -> None:
    """An epoch given by a server that died is no epoch of its successor: who looked at the one must look again."""
    desk = make_desk()
    desk.split(["n1"], ["n2", "n3"])
    engaged = desk.engage("n1")
    desk.kill("n1", host_too=True)
    desk.heal()
    new = desk.elected()
    newcomer = desk.trader("w1")
    desk.reads(newcomer, engaged["done"], "engaged")
    answer = desk.operator.do("reset", epoch=engaged["epoch"])
    assert answer.get("error") == "EpochConflict", answer
    assert desk.servers[new].cli("GET", STATE).startswith("ENGAGED")


@prop("P9", "S9", "L4")
def test_master_that_hands_over_on_purpose_stops_the_fleet_until_somebody_permits_again(make_desk: MakeDesk) -> None:
    """After FAILOVER the old master goes on as a replica with every connection standing and not a word to anybody: the
    next renewal is refused, and workers follow the sentinels."""
    desk = make_desk("w1", "w2")
    desk.never("n3")  # so that the sentinels have nothing to tell n1, which would make it drop its clients
    since = clock.now_ns()
    assert desk.servers["n1"].cli("FAILOVER", "TO", desk.servers["n2"].host.address, str(PORT)) == "OK"
    for trader in desk.scene.traders.values():
        desk.reads(trader, since, "redis_readonly", "engaged")
        said = {view["code"] for view in trader.events("view") if view["t"] > since}
        kept = [
            gap for gap in trader.events("gap") if gap["t"] > since
        ]  # who was not let run may find the new one first
        assert "redis_readonly" in said or kept, trader.worker_id
    handed = clock.now_ns()
    desk.scene.history.add("lost", handed, server="n1", why="handed over")
    new = desk.elected()
    assert new == "n2"
    for trader in desk.scene.traders.values():
        desk.reads(trader, since, "engaged")
    closed = max(trader.last_pass() for trader in desk.scene.traders.values())
    assert closed < handed
    permitted = desk.reset(new)
    again = max(trader.passes_again() for trader in desk.scene.traders.values())
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "planned hand-over (FAILOVER)",
        "P9 S9",
        desk.program.kind,
        closed_ms=ms(closed - since),
        bound_ms=TIMING["lease_ms"],
        sends_after=sum(
            desk.scene.sends_after(trader, handed, permitted["begun"]) for trader in desk.scene.traders.values()
        ),
        recovered_ms=ms(again - permitted["done"]),
        note="counted from the command, which waits for the replica first; recovery from the reset",
    )
