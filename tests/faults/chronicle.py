"""The history of a world: what is known of it from all who take part, and who is waited for.

Everything runs on one machine, so all times are of one clock (`killswitch.clock.now_ns`). Whoever changes the switch
writes down between which two moments it took effect; the judge is tests/history.
"""

from __future__ import annotations

from pathlib import Path

from killswitch import clock
from tests.faults.engines import SCOPE, Engine
from tests.faults.trader import TIMING, Tail, Trader, Trading
from tests.history.checker import Violation, check
from tests.history.events import Event, History

__all__ = ["Chronicle"]


class Chronicle:
    """Those whose doings are told, and what was done to them. `announces`: whether a change reaches them before its
    command is answered, because nothing but this machine is in between."""

    def __init__(self, arrivals: Path) -> None:
        self.traders: list[Trader] = []
        self.children: list[Trading] = []
        self.engines: list[Engine] = []
        self.history = History()
        self.arrivals = Tail(arrivals)
        self.announces = True

    @property
    def trading(self) -> list[Trading]:
        """Traders and their children."""
        return [*self.traders, *self.children]

    # -- what is done to them ------------------------------------------------------------------------------------

    def void(self, begun: int, until: int, why: str = "fault") -> None:
        """What was permitted ended between the two moments, for the reason `why`."""
        self.state("ENGAGED", 0, why, begun, until=until)

    def valid(self, begun: int, why: str = "fault") -> None:
        """What was permitted before the fault may be believed again from `begun` on."""
        self.state("SAFE", 0, why, begun)

    def took_effect(self, mode: str, epoch: int, begun: int, until: int, looked: int | None) -> None:
        """A recorded change that somebody made who had `looked` at an epoch before (None: without condition)."""
        self.state(mode, epoch, "reset" if mode == "SAFE" else "engage", begun, until=until, looked=looked)

    def joined(self, worker: str) -> None:
        """An agent of this process is about to start."""
        self.history.add("worker", clock.now_ns(), worker=worker, scopes=[], lease_ms=TIMING["lease_ms"], sinks=[])

    def passed(self, worker: str, epoch: int, start: int) -> None:
        """A check of an agent of this process that began at `start` passed."""
        self.history.add("pass1", clock.now_ns(), worker=worker, epoch=epoch, start=start)

    def announced(self, at_ns: int) -> None:
        """A change was announced to everybody who listens on this machine, before `at_ns`."""
        if not self.announces:
            return
        names = [trading.worker_id for trading in self.trading]
        for name in [*names, *(engine.worker_id for engine in self.engines)]:
            self.history.add("announced", at_ns, worker=name, changed=at_ns)

    def state(
        self,
        mode: str,
        epoch: int,
        via: str,
        begun: int,
        *,
        until: int | None = None,
        scope: str = "switch",
        looked: int | None = None,
    ) -> None:
        """A change of a key between `begun` and `until` (default: now)."""
        change = {"server": "s", "scope": scope, "mode": mode, "epoch": epoch, "via": via, "looked": looked}
        self.history.add("state", clock.now_ns() if until is None else until, **change, from_t=begun)

    # -- waiting and judging -------------------------------------------------------------------------------------

    def settle(self) -> int:
        """Waits until everybody trades; when the last one was seen to."""
        for trader in self.trading:
            trader.passes_again()
        for engine in self.engines:
            engine.opens()
        return clock.now_ns()

    def all_closed(self, after_ns: int) -> None:
        """Waits until everybody made a check that began after `after_ns` and was blocked."""
        for trader in self.trading:
            trader.checked_after(after_ns)
        for engine in self.engines:
            engine.closes()

    def everything(self) -> History:
        """All that happened since the last `judge`."""
        for engine in self.engines:
            self.history.events += engine.told()
        events = [self._meta(), *self.history, *self.arrivals.read()]
        for trader in self.trading:
            events += trader.account.read()
        return History(events + [self._life(engine) for engine in self.engines])

    def judge(self) -> list[Violation]:
        """What is wrong with all that happened. What follows is judged by itself, but for the changes of the switch:
        a process that had no time may tell later of what it did before."""
        history = self.everything()
        history.validate()
        found = check(history)
        self.history = History(event for event in self.history if event["kind"] == "state")
        self.arrivals.lines.clear()
        for trader in self.trading:
            lines = trader.account.lines
            lines[:] = [line for line in lines if line["kind"] == "worker"]
        return found

    def _meta(self) -> Event:
        values = {"lease_ms": TIMING["lease_ms"], "renew_ms": TIMING["renew_ms"]}
        # One machine has one clock, so no error of its rate is allowed for.
        bounds = {"rate_error": 0.0, "split_ms": 0, "p2": True}
        return {"kind": "meta", "t": 0, "source": "faults", "seed": 0, **bounds, **values}

    def _life(self, engine: Engine) -> Event:
        values = {"scopes": [SCOPE], "lease_ms": TIMING["lease_ms"], "sinks": engine.sinks}
        return {"kind": "worker", "t": engine.started_ns, "worker": engine.worker_id, **values}
