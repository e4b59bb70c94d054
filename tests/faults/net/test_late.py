"""Answers that a broken line held back for seconds: true when they were given, long out of date when they arrive."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from killswitch import Controller, clock
from killswitch.local import ServerBinary
from tests.faults.net.conftest import MakeLab
from tests.faults.net.lab import Host
from tests.faults.net.scene import TIMING, Scene, ms
from tests.faults.net.servers import HostServer
from tests.faults.prop import prop
from tests.faults.trader import PATIENCE_S
from tests.support.agents import fast_settings
from tests.support.waiting import eventually

PATIENT: dict[str, Any] = {**TIMING, "lease_ms": 4000, "renew_ms": 500, "patience_ms": 3500}
"""A worker that waits long for an answer, so that one which took seconds is still taken."""

BOUND_NS = PATIENT["lease_ms"] * clock.NS_PER_MS


def _ports(server: HostServer, host: Host) -> dict[str, str]:
    """The ports of the only worker on `host`, by the names of its connections."""
    found = {}
    for line in server.cli("CLIENT", "LIST").splitlines():
        fields = dict(pair.partition("=")[::2] for pair in line.split())
        address, _, port = fields.get("addr", "").rpartition(":")
        if address == host.address:
            found[fields["name"]] = port
    return found


def _questions(server: HostServer) -> int:
    """How many functions the server has run."""
    stats = server.cli("INFO", "commandstats").splitlines()
    return next((int(line.partition("calls=")[2].partition(",")[0]) for line in stats if "cmdstat_fcall:" in line), 0)


@prop("P3", "S2", "S9", "S10")
def test_answer_that_took_seconds_permits_only_for_what_is_left_of_its_lease(
    make_lab: MakeLab, program: ServerBinary
) -> None:
    """SAFE is said, then lost on the way; the fleet is engaged; then the line delivers the old SAFE and nothing else.
    The gate may stay open till a lease after the question was sent, which is before the bound of the engagement."""
    lab = make_lab("server", "w1")
    here, there = lab["w1"], lab["server"]
    with tempfile.TemporaryDirectory(prefix="kst-") as folder:
        scene = Scene(Path(folder), lease_ms=PATIENT["lease_ms"])
        server = HostServer(there, program)
        try:
            control = Controller(fast_settings(server.unix_url, **TIMING))
            control.init()
            begun = clock.now_ns()
            scene.changed("s", control.reset(control.status().switch.epoch, "it begins", "operator"), "reset", begun)
            trader = scene.trader(here, server.url, **PATIENT)
            trader.passes_again()
            ports = _ports(server, here)
            push, ask = ports["killswitch-push"], ports["killswitch-ask"]
            here.filters("push", f"tcp dport {push} drop")
            there.filters("push", f"ip saddr {here.address} tcp sport {push} drop")
            here.filters("answers", f"tcp dport {ask} drop")
            cut = clock.now_ns()
            asked = _questions(server)
            eventually(lambda: _questions(server) > asked, why="one more question was answered with SAFE")
            there.filters("questions", f"ip saddr {here.address} tcp sport {ask} drop")
            begun = clock.now_ns()
            engaged = scene.changed("s", control.engage("a broken line", "operator"), "engage", begun)
            clock.sleep(1.0)  # the answer must be late by more than this test's own errors
            here.filters("answers", f"tcp dport {ask} counter")
            lifted = clock.now_ns()
            eventually(lambda: here.counted() > 100, timeout_s=PATIENCE_S, why="the old answer is delivered")
            arrived = clock.now_ns()
            trader.checked_after(engaged + BOUND_NS)
            last = trader.last_pass()
            assert last < engaged + BOUND_NS
            assert scene.violations() == []
            scene.evidence(
                "answer delivered seconds late",
                "P3 S2 S9 S10",
                server.kind,
                closed_ms=ms(last - engaged),
                bound_ms=PATIENT["lease_ms"],
                sends_after=scene.sends_after(trader, engaged + BOUND_NS),
                note=f"held back {ms(lifted - cut):g} ms, there after {ms(arrived - cut):g} ms",
            )
        finally:
            scene.close()
            server.stop()
