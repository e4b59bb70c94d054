"""Plays the plan: opens the fleet, leaves it in peace for a while, troubles it, stops it, and has the window judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from killswitch import KillSwitchError, clock
from tests.soak.acts import ACTS
from tests.soak.growth import Growth, Watchers
from tests.soak.judge import Judge
from tests.soak.plan import Cycle
from tests.soak.play import PATIENCE_S, Play
from tests.soak.stage import ENGINE_SCOPE, Stage
from tests.support.resp import ReplyError

__all__ = ["Soak", "teller"]

_LOOK_EVERY_NS = 3_000_000_000
_REOPEN_S = 2.0
_BYTES_A_CHANGE = 2048
_BYTES_AN_ORDER = 300


class Soak(Play):
    """One run on one stage, from cycle to cycle."""

    def __init__(self, stage: Stage, judge: Judge, tell: Callable[[str], None]) -> None:
        super().__init__(stage, judge, tell)
        self.watchers = Watchers()
        self._looked_ns = 0
        self._doing = "the beginning"

    def run(self, plan: Iterator[Cycle], until_ns: int) -> list[Growth]:
        """Plays cycles until the time is over; what the long-lived processes grew by."""
        self._close()
        while clock.now_ns() < until_ns:
            cycle = next(plan)
            self._doing = f"cycle {cycle.number}: {' + '.join(cycle.faults) or cycle.action}"
            self.tell(self._doing)
            try:
                self._play(cycle)
            except (AssertionError, OSError, KillSwitchError, ReplyError) as error:
                self.wrong("L4", f"{self._doing}: {type(error).__name__}: {error}")
            self.figures.cycles += 1
            self._close()
            self._look()
        return self.watchers.close(self._grants())

    # -- one cycle -----------------------------------------------------------------------------------------------

    def _play(self, cycle: Cycle) -> None:
        self._open()
        self.healthy(cycle.healthy_s)
        ACTS[cycle.action](self, cycle)

    def _open(self) -> None:
        """Permits trading, as often as it takes, and waits until everybody trades."""
        stage = self.stage
        born = [b.worker for b in stage.running()]
        stage.log.all_heard(born, 1, PATIENCE_S)  # a new life needs its time to start
        self.remember_lives()
        if self.scope_engaged:
            self.permit(ENGINE_SCOPE)
            self.scope_engaged = False
        done = self.permit(None)
        passed_ns = stage.trading_since(done.ok_ns)
        took_ms = (passed_ns - done.ok_ns) / 1e6
        self.figures.reopened_ms.append(took_ms)
        self.in_time("L5", took_ms, _REOPEN_S, done.ok_ns, "to trade again after a reset")

    # -- afterwards ----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Engages, reconciles whoever died, has everybody proved quiet, and judges the window."""
        deadline = clock.now_ns() + int(PATIENCE_S * 1e9)
        while True:
            done = self.engage("library", 2.0)
            if done.ok_ns:
                # Only now: the verdict before named the dead, which is what it is for.
                self._reconcile()
                if done.result == "QUIET":
                    break
            if clock.now_ns() > deadline:
                text = f"no QUIET within {PATIENCE_S:g} s after {self._doing}: {done.result} {done.pending} {done.note}"
                with suppress(KillSwitchError, OSError):
                    text += f"; {self.stage.picture()}"
                self.wrong("L2", text)
                break
            clock.sleep(0.1)
        self.remember_lives()
        clock.sleep(0.005)  # what was recorded last has an end with room for the clocks
        boundary = clock.now_ns()
        self.stage.log.all_heard([b.worker for b in self.stage.running()], boundary)
        self.stage.look_after_engines()
        for text in self.stage.lost_engines:
            self.wrong("engine", text)
        self.stage.lost_engines.clear()
        self.ops.record.sync()
        states, wrong = self.ops.record.settle()
        for state in states:
            self.stage.log.put(state)
        for violation in wrong:
            self.wrong(violation.prop, violation.text)
        bounds = {worker: bound for worker, (_, bound) in self.lives.items()}
        scopes = {worker: scopes for worker, (scopes, _) in self.lives.items()}
        found = self.judge.window(self.stage.log.take(boundary), boundary, self.stage.cuts, bounds, scopes, self.sinks)
        for violation in found:
            self.tell(f"VIOLATION {violation}")
        self.stage.cuts.clear()
        self.lives.clear()
        self.sinks.clear()

    def _reconcile(self) -> None:
        """An operator takes dead workers off the membership, once their orders are reconciled."""
        with suppress(KillSwitchError, OSError, ReplyError):
            gone = {m.worker_id for m in self.stage.control.status().members} - self.stage.expected_members()
            if self.stage.rq and not all(worker.name for worker in self.stage.rq):
                return  # somebody is just being born, whose name is not known yet
            with self.stage.line() as line:
                for worker in gone:
                    self._settle_orders(worker)
                    line.call("FCALL", "ks_leave", "1", "killswitch:state", worker)

    def _settle_orders(self, worker: str) -> None:
        """What the dead had in flight is looked up at the venue by hand; from then on it is no more on its way."""
        log = self.stage.log
        released = {event["order"] for event in log.since(0, "release", worker)}
        for event in log.since(0, "pass2", worker):
            if event["order"] not in released:
                log.add("release", clock.now_ns(), worker=worker, order=event["order"])

    # -- growth --------------------------------------------------------------------------------------------------

    def _grants(self) -> dict[str, float]:
        """What is kept on purpose: the record and receipts, the queue's results, the ids of orders."""
        kept = self.changes * _BYTES_A_CHANGE / 1024
        return {"switch server": kept, "queue server": kept, "venue": self.judge.sent * _BYTES_AN_ORDER / 1024}

    def _look(self) -> None:
        now = clock.now_ns()
        if now - self._looked_ns < _LOOK_EVERY_NS:
            return
        self._looked_ns = now
        stage = self.stage
        gap_ms = stage.log.longest_gap(now - 10_000_000_000, now) / 1e6
        self.figures.longest_gap_ms = max(self.figures.longest_gap_ms, gap_ms)
        self.figures.engine_orders = sum(engine.orders for engine in stage.engines)
        pids = {"soak": os.getpid(), "switch server": stage.server.pid, "queue server": stage.queue_server.pid}
        pids["venue"] = stage.venue.pid
        pids |= {f"burner {slot}": burner.pid for slot, burner in stage.burners.items()}
        pids |= {f"rq {worker.name}": worker.pid for worker in stage.rq if worker.name}
        self.watchers.look(pids, self._grants())


def teller(started_ns: int, quiet: bool) -> Callable[[str], None]:
    """A progress line every few seconds on a terminal; in a pipe only what is wrong."""
    shown = [0]

    def tell(text: str) -> None:
        now = clock.now_ns()
        at_s = (now - started_ns) / 1e9
        if text.startswith("VIOLATION"):
            print(f"{at_s:8.1f} s  {text}", file=sys.stderr, flush=True)
        elif not quiet and now - shown[0] > 2_000_000_000:
            shown[0] = now
            print(f"\r\x1b[K{at_s:8.1f} s  {text[:100]}", end="", file=sys.stderr, flush=True)

    return tell
