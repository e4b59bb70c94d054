"""What can be wrong with the line between a worker's host and the server's: each with its beginning and its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.net.lab import Host, Lab
from tests.faults.net.servers import PORT

__all__ = ["CUTS", "FAULTS", "ROUGH", "SOUND", "LineFault", "lose"]

Step = Callable[[Lab, Host, Host], None]


@dataclass(frozen=True, slots=True)
class LineFault:
    """`begin` and `end` take the network, the worker's host and the server's."""

    name: str
    begin: Step
    end: Step


def _nothing(lab: Lab, worker: Host, server: Host) -> None:
    return None


def _drops(name: str, inbound: str, outbound: str) -> LineFault:
    """Packets towards the worker meet `inbound`, those from it `outbound`; a statement of nft, or nothing."""

    def begin(lab: Lab, worker: Host, server: Host) -> None:
        if inbound:
            worker.filters(name, f"ip saddr {server.address} {inbound}")
        if outbound:
            # Dropped where they arrive, as a network would: dropping them at their sender would be told to it.
            server.filters(f"{name} {worker.name}", f"ip saddr {worker.address} {outbound}")

    def end(lab: Lab, worker: Host, server: Host) -> None:
        if inbound:
            worker.filters(name)
        if outbound:
            server.filters(f"{name} {worker.name}")

    return LineFault(name, begin, end)


def lose(percent: int) -> LineFault:
    """That share of all packets is lost, each way, by chance."""
    drop = f"numgen random mod 100 < {percent} drop"
    return _drops(f"{percent} % loss", drop, drop)


CUTS = (
    _drops("connections reset", "", f"tcp dport {PORT} reject with tcp reset"),
    LineFault(
        "link down",
        lambda lab, worker, server: worker.ip("link", "set", "eth0", "down"),
        lambda lab, worker, server: worker.ip("link", "set", "eth0", "up"),
    ),
    LineFault(
        "route into nowhere",
        lambda lab, worker, server: worker.ip("route", "add", "blackhole", f"{server.address}/32"),
        lambda lab, worker, server: worker.ip("route", "del", "blackhole", f"{server.address}/32"),
    ),
    _drops("black hole outbound", "", "drop"),
    _drops("black hole inbound", "drop", ""),
    _drops("black hole both ways", "drop", "drop"),
)
"""Nothing gets through: whoever is behind one of these cannot be told to stop, and must."""

ROUGH = (
    lose(20),
    LineFault(
        "slow link, 64 kbit/s",
        lambda lab, worker, server: lab.slows(worker, "64kbit"),
        lambda lab, worker, server: lab.slows(worker),
    ),
)
"""Something gets through: whether the gate stays open is a matter of luck, but not when it must be closed."""

SOUND = LineFault("none", _nothing, _nothing)
FAULTS = (SOUND, *ROUGH, *CUTS)
"""In the order in which they are made: the last gates are still open, on the word of a server that they cannot hear any
more, when something happens right after."""
