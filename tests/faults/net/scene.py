"""Workers on hosts of the lab, who changes their switch, and one history of it all.

All hosts share this machine's clock (`killswitch.clock.now_ns`), so times of different hosts may be compared. No record
is kept of announcements: whether one reached a host is what these tests put in doubt.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from killswitch import Outcome, clock
from tests.evidence.record import record
from tests.faults.net.lab import Host
from tests.faults.net.trader import HostTrader
from tests.faults.trader_loop import GAP_NS
from tests.history.checker import Violation, check
from tests.history.events import Event, History
from tests.support.server import RealServer
from tests.support.waiting import beside

__all__ = ["LEASE_NS", "RENEW_NS", "TIMING", "Scene", "ms"]

TIMING = {"lease_ms": 1000, "renew_ms": 250, "patience_ms": 500, "beat_ms": 1000}
"""The defaults of the product: what is measured here is what is delivered."""

LEASE_NS = TIMING["lease_ms"] * clock.NS_PER_MS
RENEW_NS = TIMING["renew_ms"] * clock.NS_PER_MS

_NAP_S = 0.02


def ms(duration_ns: int) -> float:
    """Milliseconds, to a tenth; what was over before it could be measured took none."""
    return max(0.0, round(duration_ns / clock.NS_PER_MS, 1))


class Scene:
    """The traders and the record. `server` in what follows is the name of the host on which the server runs."""

    def __init__(self, folder: Path, *, lease_ms: int = TIMING["lease_ms"], split_ms: int = 0) -> None:
        self.folder = folder
        self.traders: dict[str, HostTrader] = {}
        self.history = History()
        self.history.add(
            "meta",
            clock.now_ns(),
            source="faults",
            seed=0,
            lease_ms=lease_ms,
            renew_ms=TIMING["renew_ms"],
            rate_error=0.0,  # one machine, one clock
            split_ms=split_ms,
            p2=False,
        )

    def trader(self, host: Host, url: str, name: str = "", **changes: Any) -> HostTrader:
        """Starts a trading process on `host`."""
        name = name or host.name
        made = HostTrader(self.folder, host, url, name, {**TIMING, **changes})
        self.traders[name] = made
        return made

    def state(self, server: str, mode: str, via: str, begun: int, until: int, epoch: int = 0) -> None:
        """The switch of `server` took `mode` between `begun` and `until`."""
        self.history.add(
            "state", until, server=server, scope="switch", mode=mode, epoch=epoch, via=via, looked=None, from_t=begun
        )

    def changed(self, server: str, outcome: Outcome, via: str, begun: int) -> int:
        """An operator's change is on record; when it was surely in effect."""
        done = clock.now_ns()
        self.state(server, "SAFE" if via == "reset" else "ENGAGED", via, begun, done, outcome.epoch)
        return done

    def fault(self, name: str, phase: str, target: str, at_ns: int) -> None:
        """A fault begins or ends."""
        self.history.add("fault", at_ns, name=name, phase=phase, target=target)

    def everything(self) -> History:
        """All that happened so far."""
        events: list[Event] = list(self.history)
        for trader in self.traders.values():
            events += trader.account.read()
        return History(events)

    def violations(self) -> list[Violation]:
        """What the judge finds wrong so far."""
        history = self.everything()
        history.validate()
        return check(history)

    def sends_after(self, trader: HostTrader, bound_ns: int, until_ns: int = 1 << 62) -> int:
        """Orders that were sent on a check begun after `bound_ns`."""
        return sum(bound_ns < event["start"] <= until_ns for event in trader.events("pass2"))

    @contextmanager
    def watching(self, server: RealServer) -> Iterator[None]:
        """Notes while the block runs when the server is kept from running, whatever its network does."""

        def ping(ended: threading.Event) -> None:
            with server.line() as line:
                while not ended.is_set():
                    begun = clock.now_ns()
                    line.call("PING")
                    clock.sleep(_NAP_S)
                    if (lasted := clock.now_ns() - begun - int(_NAP_S * 1e9)) > GAP_NS:
                        self.history.add("gap", clock.now_ns(), worker="", lasted=lasted)

        with beside(ping, "watching"):
            yield

    def closures(self, since_ns: int) -> list[str]:
        """Reason codes with which gates closed since then; but for those of a worker that was kept from running, or
        whose server was where `watching` saw it, at some time of the lease before."""
        servers = [event for event in self.history if event["kind"] == "gap"]
        found = []
        for trader in self.traders.values():
            gaps = [(gap["t"] - gap["lasted"], gap["t"]) for gap in [*servers, *trader.events("gap")]]
            for view in trader.events("view"):
                at = view["t"]
                kept = any(begun <= at and ended >= at - LEASE_NS for begun, ended in gaps)
                if at > since_ns and not view["open"] and not kept:
                    found.append(view["code"])
        return found

    def close(self) -> None:
        """Ends all traders."""
        for trader in self.traders.values():
            trader.kill()

    @staticmethod
    def evidence(fault: str, properties: str, server: str, **figures: Any) -> None:
        """One row of measured figures."""
        record("faults", fault=fault, properties=properties, server=server, **figures)
