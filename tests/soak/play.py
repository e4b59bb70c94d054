"""What every act of the soak needs: the stage, the operators, the figures, and a word for what went wrong."""

from __future__ import annotations

from collections.abc import Callable

from killswitch import clock
from tests.history.checker import Violation
from tests.soak.judge import Judge
from tests.soak.operators import Operators
from tests.soak.record import Pressed
from tests.soak.report import Figures
from tests.soak.stage import Stage

__all__ = ["PATIENCE_S", "Play"]

PATIENCE_S = 20.0
"""Longest time that anything is waited for; much longer than any bound that is judged."""


class Play:
    """One run on one stage."""

    def __init__(self, stage: Stage, judge: Judge, tell: Callable[[str], None]) -> None:
        self.stage = stage
        self.judge = judge
        self.ops = Operators(stage)
        self.figures = Figures()
        self.tell = tell
        self.lives: dict[str, tuple[tuple[str, ...], int]] = {}
        """Scopes and bound of every worker that lived in the window in hand."""
        self.sinks: dict[str, list[str]] = {}
        """Where orders of those who were called pending in this window go."""
        self.changes = 0
        self.scope_engaged = False

    def permit(self, scope: str | None) -> Pressed:
        deadline = clock.now_ns() + int(PATIENCE_S * 1e9)
        while True:
            done = self.ops.reset(scope)
            self.figures.resets[done.result] += 1
            self.changes += 1
            if done.ok_ns:
                return done
            assert clock.now_ns() < deadline, f"reset {scope}: {done.result}: {done.note}"
            clock.sleep(0.02)

    def healthy(self, for_s: float) -> None:
        """Nobody does anything; every gate that closes does so for nothing."""
        log, begun = self.stage.log, clock.now_ns()
        last = begun
        with self.stage.line() as line:
            while (now := clock.now_ns()) < begun + int(for_s * 1e9):
                line.call("PING")
                log.note_gap(now, now - last)
                last = now
                clock.sleep(0.01)
        self.figures.healthy_s += for_s
        self.stage.log.all_heard([b.worker for b in self.stage.running()], last)
        for burner in self.stage.running():
            for event in log.since(begun, "view", burner.worker):
                if event["open"] or event["t"] > last:
                    continue
                gap = log.longest_gap(event["t"] - burner.lease_ms * 1_000_000, event["t"])
                # An answer comes through three processes (server, proxy, worker); each may be held up so long.
                if 3 * gap > burner.lease_ms * 500_000:
                    self.figures.starved[event["code"]] += 1
                else:
                    self.figures.spurious[event["code"]] += 1
                    self.wrong("L7", f"{burner.worker} closed for nothing: {event}; longest stall {gap / 1e6:.0f} ms")

    def engage_healthy(self, means: str, wait_s: float, scope: str | None = None) -> None:
        done = self.engage(means, wait_s, scope)
        self.figures.healthy_engages += 1
        if not done.ok_ns:
            self.wrong("L1", f"{means} did not engage although all was well: {done.result} {done.note}")
        if done.result == "UNCERTAIN" and not self.starved(done.begin_ns, done.end_ns):
            self.wrong("L2", f"{means} called a healthy fleet UNCERTAIN: {done.pending} {done.note}")

    def engage(self, means: str, wait_s: float | None, scope: str | None = None) -> Pressed:
        done = self.ops.engage(means, scope, wait_s)
        self.changes += 1
        self.figures.engages[f"{means} {done.result}"] += 1
        self.sinks |= done.sinks
        if wait_s is not None and means in ("library", "cli") and done.ok_ns:
            self.figures.verdicts[done.result] += 1
            self.figures.waits_ms[done.result].append(done.waited_ms)
            if done.result != "QUIET":
                self.figures.uncertain[done.note[:90] or f"{len(done.pending)} pending"] += 1
        return done

    def remember_lives(self) -> None:
        scopes, bounds = self.stage.scopes_of(), self.stage.bounds()
        self.lives |= {worker: (scopes[worker], bounds[worker]) for worker in scopes}

    def starved(self, from_ns: int, to_ns: int) -> bool:
        """Whether this machine kept somebody from running for so long that nothing can be said of times."""
        return self.stage.log.longest_gap(from_ns - 1_000_000_000, to_ns) > 150_000_000

    def in_time(self, prop: str, took_ms: float, limit_s: float, since: int, what: str) -> None:
        if took_ms > limit_s * 1000 and not self.starved(since, clock.now_ns()):
            self.wrong(prop, f"it took {took_ms:.0f} ms {what}, {limit_s:g} s are promised")

    def mark(self, name: str, phase: str, target: str) -> None:
        self.stage.log.add("fault", clock.now_ns(), name=name, phase=phase, target=target)

    def wrong(self, prop: str, text: str) -> None:
        violation = Violation(prop, clock.now_ns(), text)
        self.judge.report([violation])
        self.tell(f"VIOLATION {violation}")
