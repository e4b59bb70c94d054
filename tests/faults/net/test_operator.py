"""What an operator meets who reaches the switch through sentinels that are dead, cut off or busy with a fail-over."""

from __future__ import annotations

import json

from killswitch import clock
from tests.faults.net.conftest import MakeDesk
from tests.faults.net.desk import SENTINELS, SERVERS
from tests.faults.net.scene import LEASE_NS, TIMING, ms
from tests.faults.prop import prop
from tests.support.agents import kill_client
from tests.support.switch import STATE
from tests.support.waiting import InLine, eventually

LEARNS_S = 2.0
"""L1: an operator who cannot engage learns so within two seconds."""

ERROR_S = 0.5
"""What a busy machine may add to that: the command does its own reckoning between two notes of the clock."""


@prop("L1", "P6", "P9")
def test_engagement_during_a_fail_over_is_recorded_or_the_operator_learns_in_time_that_it_is_not(
    make_desk: MakeDesk,
) -> None:
    """Repeated from the moment the master dies, each attempt ends in time, and the one that says so has stopped all."""
    desk = make_desk("w1", "w2")
    killed = desk.kill("n1")
    said = desk.shell("engage", "--reason", "first seconds", "--output", "json")
    assert said.returncode in (0, 1, 69), said
    if said.returncode != 0:
        assert json.loads(said.stdout)["error"]["closed_by"], "which bound applies is told"
    took: list[float] = []
    recorded: list[int] = []

    def engaged() -> bool:
        found = desk.operator.do("engage_fast", reason="again and again")
        took.append(found["took_s"])
        if "error" not in found:
            recorded.append(found["done"])
        return bool(recorded)

    eventually(engaged, timeout_s=30.0, why="the engagement is recorded at the new master")
    new = desk.elected()
    assert desk.servers[new].cli("GET", STATE) == "ENGAGED again and again"
    proof = desk.engage(new, wait_s=5.0)
    assert proof["verdict"] == "QUIET"
    assert max(took) < LEARNS_S + ERROR_S
    assert desk.scene.violations() == []
    traders = desk.scene.traders.values()
    attempts = f"{len(took)} attempts, the slowest told in {max(took) * 1000:.1f} ms"
    desk.scene.evidence(
        "engage during a fail-over",
        "L1 P6",
        desk.program.kind,
        closed_ms=ms(max(trader.last_pass() for trader in traders) - killed),
        bound_ms=TIMING["lease_ms"],
        sends_after=sum(desk.scene.sends_after(trader, killed + LEASE_NS) for trader in traders),
        timed_ms={"L1": (max(took) * 1000, LEARNS_S * 1000)},
        note=f"{attempts}; recorded {ms(recorded[0] - killed):g} ms after the master died",
    )


@prop("L1")
def test_operator_who_reaches_nobody_learns_it_in_time_and_what_holds(make_desk: MakeDesk) -> None:
    """Every packet is swallowed: three sentinels do not cost three times the limit, and the command names the bound."""
    desk = make_desk("w1")
    desk.split(["op"], (*SERVERS, *SENTINELS))
    found = desk.operator.do("engage_fast", reason="nobody hears")
    assert found["error"] == "StoreUnavailable"
    assert all(f"{desk.lab[name].address}:" in found["reason"] for name in SENTINELS), found
    assert found["took_s"] < LEARNS_S + ERROR_S
    said = desk.shell("engage", "--reason", "nobody hears")
    assert said.returncode == 69
    assert "NOT ENGAGED" in said.stderr
    assert "workers go on trading" in said.stderr
    assert "every gate is closed by" in said.stderr.replace("\n", " ")
    desk.scene.traders["w1"].passes_again()
    note = f"told in {found['took_s'] * 1000:.1f} ms"
    timed_ms = {"L1": (found["took_s"] * 1000, LEARNS_S * 1000)}
    what = "operator cut off from servers and sentinels"
    desk.scene.evidence(what, "L1", desk.program.kind, timed_ms=timed_ms, note=note)


@prop("L4", "L7", "P3")
def test_dead_sentinels_stop_nobody_who_is_connected_and_open_nobody_who_is_not(make_desk: MakeDesk) -> None:
    """A worker with its connections trades on without any sentinel. One that lost them stays closed and says which
    sentinels do not answer; with one of three back it trades again."""
    desk = make_desk("w1")
    (w1,) = desk.scene.traders.values()
    since = clock.now_ns()
    with desk.scene.watching(desk.servers["n1"]):
        for sentinel in desk.sentinels.values():
            sentinel.kill()
        found = desk.operator.do("engage_fast", reason="no way")
        assert found["error"] == "StoreUnavailable"
        assert found["took_s"] < LEARNS_S + ERROR_S
        w1.passes_again()
    assert desk.scene.closures(since) == []
    cut = clock.now_ns()
    assert kill_client(desk.servers["n1"], "killswitch-ask") == 1
    desk.reads(w1, cut, "unreachable")
    w1.checked_after(clock.now_ns() + 2 * TIMING["renew_ms"] * clock.NS_PER_MS)
    assert w1.last_pass() < clock.now_ns() - TIMING["renew_ms"] * clock.NS_PER_MS
    desk.lab["s1"].ip("link", "set", "eth0", "down")  # the first in the list swallows packets, the second is dead
    desk.sentinels["s3"].start()
    back, in_line = clock.now_ns(), InLine(lambda: (w1.pid,))
    again = w1.first_pass(back)
    assert again - in_line.worst_ns < back + int((LEARNS_S + ERROR_S) * 1e9)
    assert desk.scene.violations() == []
    desk.scene.evidence(
        "all sentinels dead, then one of three",
        "L4 L7",
        desk.program.kind,
        recovered_ms=ms(again - back),
        spurious=0,
        note="connected workers trade on; one that lost its connection stays closed until a sentinel answers",
    )
