"""Every kind of broken line between workers and Redis, all at once, each worker on a host of its own.

One server, the product's default timing. What is asserted of times are promised bounds, reckoned from moments that were
noted on the safe side of the fault, so that a slow machine makes no difference.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from killswitch import Controller, Verdict, clock
from killswitch.local import ServerBinary
from tests.faults.net.conftest import MakeLab
from tests.faults.net.lab import Host, Lab
from tests.faults.net.lines import CUTS, FAULTS, SOUND, LineFault, lose
from tests.faults.net.scene import LEASE_NS, RENEW_NS, TIMING, Scene, ms
from tests.faults.net.servers import PORT, HostServer
from tests.faults.net.trader import HostTrader
from tests.faults.prop import prop
from tests.faults.trader import PATIENCE_S
from tests.support.agents import fast_settings
from tests.support.waiting import InLine, eventually

READ_AGAIN_NS = 2_000 * clock.NS_PER_MS
"""L4: after the last fault every living worker reads the state within two seconds."""


@dataclass
class Lines:
    """The fleet: one worker for each kind of fault, and one whose line stays sound."""

    lab: Lab
    server: HostServer
    scene: Scene
    control: Controller
    began: dict[str, tuple[int, int]] = field(default_factory=dict)
    """When each fault began: a moment before, and one by which it was complete."""

    def pairs(self) -> list[tuple[LineFault, Host, HostTrader]]:
        """Each fault with its worker."""
        hosts = [self.lab[f"w{number}"] for number in range(len(FAULTS))]
        return [(fault, host, self.scene.traders[host.name]) for fault, host in zip(FAULTS, hosts, strict=True)]

    def begin(self) -> None:
        """Breaks every line in its own way."""
        for fault, host, _ in self.pairs():
            before = clock.now_ns()
            fault.begin(self.lab, host, self.server.host)
            self.began[fault.name] = (before, clock.now_ns())
            self.scene.fault(fault.name, "begin", host.name, before)

    def heal(self) -> dict[str, int]:
        """Mends every line; when each was whole."""
        healed = {}
        for fault, host, _ in self.pairs():
            fault.end(self.lab, host, self.server.host)
            healed[fault.name] = clock.now_ns()
            self.scene.fault(fault.name, "end", host.name, healed[fault.name])
        return healed

    def in_line(self) -> dict[str, InLine]:
        """For how long each worker stands in line for a processor from now on."""
        return {fault.name: InLine(partial(list, [trader.pid])) for fault, _, trader in self.pairs()}

    def permit(self) -> None:
        """Permits trading and waits until everybody trades."""
        begun = clock.now_ns()
        outcome = self.control.reset(self.control.status().switch.epoch, "all lines are whole", "operator")
        self.scene.changed("s", outcome, "reset", begun)
        for trader in self.scene.traders.values():
            trader.passes_again()

    def engage(self) -> tuple[int, int]:
        """Engages; a moment before, and when that was in effect at the latest."""
        begun = clock.now_ns()
        return begun, self.scene.changed("s", self.control.engage("a broken line", "operator"), "engage", begun)

    def trouble(self) -> str:
        """What the judge says of everything so far; empty where it finds nothing wrong."""
        return "\n".join(map(str, self.scene.violations()))


@pytest.fixture(scope="module")
def lines(make_lab: MakeLab, program: ServerBinary) -> Iterator[Lines]:
    """The fleet, trading."""
    lab = make_lab("server", *(f"w{number}" for number in range(len(FAULTS))))
    with tempfile.TemporaryDirectory(prefix="kst-") as folder:
        scene = Scene(Path(folder))
        server = HostServer(lab["server"], program)
        try:
            control = Controller(fast_settings(server.unix_url, **TIMING))
            control.init()
            for name, host in lab.hosts.items():
                if name != "server":
                    scene.trader(host, server.url)
            made = Lines(lab, server, scene, control)
            made.permit()
            yield made
        finally:
            scene.close()
            server.stop()


def _row(lines: Lines, fault: LineFault, properties: str, **figures: object) -> None:
    lines.scene.evidence(fault.name, properties, lines.server.kind, **figures)


@prop("P3", "S2", "L4")
def test_cut_off_workers_close_within_their_lease_and_trade_again_soon_after_the_line_is_whole(lines: Lines) -> None:
    """No check of a worker that cannot hear the server passes later than a lease after its line broke."""
    lines.permit()
    lines.begin()
    for fault, _, trader in lines.pairs():
        if fault in CUTS:
            trader.checked_after(lines.began[fault.name][1] + LEASE_NS)
    last = {fault.name: trader.last_pass() for fault, _, trader in lines.pairs()}
    sent = {
        fault.name: lines.scene.sends_after(trader, lines.began[fault.name][1] + LEASE_NS)
        for fault, _, trader in lines.pairs()
        if fault in CUTS
    }
    in_line = lines.in_line()
    healed = lines.heal()
    for fault, _, trader in lines.pairs():
        again = trader.first_pass(healed[fault.name]) if fault in CUTS else healed[fault.name]
        before, complete = lines.began[fault.name]
        if fault in CUTS:
            assert last[fault.name] < complete + LEASE_NS, fault.name
            assert sent[fault.name] == 0, fault.name
            assert again <= healed[fault.name] + READ_AGAIN_NS + in_line[fault.name].worst_ns, fault.name
            _row(
                lines,
                fault,
                "P3 S2 L4",
                closed_ms=ms(last[fault.name] - before),
                bound_ms=TIMING["lease_ms"],
                sends_after=sent[fault.name],
                recovered_ms=ms(again - healed[fault.name]),
            )
    assert lines.trouble() == ""


@prop("P3", "P6", "S2", "S10", "L2", "L4")
def test_engagement_that_cannot_reach_a_worker_stops_it_within_the_bound_and_for_good(lines: Lines) -> None:
    """A stop given while lines are broken holds everywhere a lease later, and what the line held back till it was whole
    changes nothing; then everybody proves quiet."""
    lines.permit()
    lines.begin()
    begun, engaged = lines.engage()
    for _, _, trader in lines.pairs():
        trader.checked_after(engaged + LEASE_NS)
    last = {fault.name: trader.last_pass() for fault, _, trader in lines.pairs()}
    in_line = lines.in_line()
    healed = lines.heal()
    proof = lines.control.engage("prove it", "operator", wait_s=5.0)
    for fault, _, trader in lines.pairs():
        read = _reads_the_stop(trader, begun)
        late = lines.scene.sends_after(trader, engaged + LEASE_NS)
        assert last[fault.name] < engaged + LEASE_NS, fault.name
        assert late == 0, fault.name
        assert read <= healed[fault.name] + READ_AGAIN_NS + in_line[fault.name].worst_ns, fault.name
        _row(
            lines,
            fault,
            "P3 S2 S10 L4",
            closed_ms=ms(last[fault.name] - engaged),
            bound_ms=TIMING["lease_ms"],
            sends_after=late,
            recovered_ms=ms(read - healed[fault.name]),
            note="engaged while the line was broken",
        )
    assert proof.verdict is Verdict.QUIET, proof
    assert len(proof.members) == len(FAULTS)
    assert all(lines.scene.sends_after(trader, engaged + LEASE_NS) == 0 for _, _, trader in lines.pairs())
    assert lines.trouble() == ""


def _reads_the_stop(trader: HostTrader, since: int) -> int:
    """When the worker first said, after `since`, that it is closed because of the engagement."""

    def said() -> int:
        return next((e["t"] for e in trader.events("view") if e["t"] > since and e["code"] == "engaged"), 0)

    return int(eventually(said, timeout_s=PATIENCE_S, why=f"{trader.worker_id} reads the stop"))


@prop("L7")
def test_one_packet_in_a_hundred_lost_closes_no_gate(lines: Lines) -> None:
    """The default lease and patience carry a worker over single lost packets, each way, as long as it may run."""
    lines.permit()
    fault, length_s = lose(1), 6.0
    since = clock.now_ns()
    with lines.scene.watching(lines.server):
        for _, host, _ in lines.pairs():
            fault.begin(lines.lab, host, lines.server.host)
        clock.sleep(length_s)
        for _, host, _ in lines.pairs():
            fault.end(lines.lab, host, lines.server.host)
    found = lines.scene.closures(since)
    _row(lines, fault, "L7", spurious=len(found), note=f"{len(FAULTS)} workers for {length_s:g} s")
    assert found == []


@prop("P3", "S2")
def test_push_connection_that_died_without_a_word_is_noticed(lines: Lines) -> None:
    """Where only the listening connection is dropped, as by a full table in between, the next renewal sees the stop."""
    lines.permit()
    fault, host, trader = next(pair for pair in lines.pairs() if pair[0] is SOUND)
    port = _push_port(lines.server, host)
    host.filters("half open", f"ip saddr {lines.server.host.address} tcp dport {port} drop")
    lines.server.host.filters("half open", f"ip saddr {host.address} tcp sport {port} drop")
    _, engaged = lines.engage()
    trader.checked_after(engaged + LEASE_NS)
    last = trader.last_pass()
    host.filters("half open")
    lines.server.host.filters("half open")
    # The question under way may have been answered before the stop; the next one was not.
    assert last < engaged + LEASE_NS
    _row(
        lines,
        LineFault("push connection half open", fault.begin, fault.end),
        "P3 S2",
        closed_ms=ms(last - engaged),
        bound_ms=TIMING["lease_ms"],
        sends_after=lines.scene.sends_after(trader, engaged + LEASE_NS),
        note=f"renewals every {ms(RENEW_NS):g} ms see it first",
    )
    assert lines.trouble() == ""


def _push_port(server: HostServer, host: Host) -> str:
    """The port of the push connection of the only worker on `host`."""
    for line in server.cli("CLIENT", "LIST").splitlines():
        fields = dict(pair.partition("=")[::2] for pair in line.split())
        address, _, port = fields.get("addr", "").rpartition(":")
        if fields.get("name") == "killswitch-push" and address == host.address:
            return port
    raise AssertionError(f"{host.name} has no push connection; the server listens on {PORT}")
