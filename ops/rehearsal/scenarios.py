"""The three scenarios: normal operation, engaged mid-stream, engaged from the start.

The third one asks two things of a switch that was ENGAGED before any engine. Engines on a gated queue must not start:
they are placed, watched for a while, and found untouched on their queue. And an engine that does run must get nothing
through: the same engines are placed on a queue that this fleet's workers serve although it is closed (`--ungated`, a
setting that every worker has), so the very same code runs in the very same process against its own closed gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from killswitch.clock import NS_PER_MS, now_ns
from ops.rehearsal.evidence import EventFile
from ops.rehearsal.measure import EngineFigures, HaltFigures, Run, engine_figures, halt_figures, merged
from ops.rehearsal.press import Press, press
from ops.rehearsal.stage import Engine, Stage
from ops.rehearsal.verdict import Check, halt_checks, held_checks, normal_checks

__all__ = ["Played", "engaged_from_the_start", "engaged_mid_stream", "normal"]

_START_S = 30.0
_IDLE_S = 30.0
_HELD_S = 1.0


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario as it went. `cut_s`: its engines were stopped after that many seconds, None if their feed ended."""

    name: str
    title: str
    runs: tuple[Run, ...]
    engines: tuple[EngineFigures, ...]
    total: EngineFigures
    checks: tuple[Check, ...]
    cut_s: float | None = None
    press: Press | None = None
    halt: HaltFigures | None = None
    held: int | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The figures that do not hold."""
        return tuple(check for check in self.checks if not check.holds)


def normal(stage: Stage) -> Played:
    """The switch is SAFE: engines trade until their ticks end, or for as long as the plan says."""
    engines = stage.place("normal", stage.places.gated)
    stage.permit("normal operation")
    _start(stage, engines)
    plan = stage.plan
    ended = stage.wait("trading", stage.all_ended, plan.normal_s)
    stage.stop(engines)
    runs = _runs(engines)
    cut_s = None if ended else plan.normal_s
    return _result("normal", "Normal operation", runs, tuple(normal_checks(runs)), cut_s=cut_s)


def engaged_mid_stream(stage: Stage, passes: int) -> Played:
    """Engines trade; a bare SET engages the switch; ticks go on coming for a while."""
    plan = stage.plan
    engines = stage.place("halted", stage.places.gated, passes)
    _start(stage, engines)
    stage.wait("waiting for orders", lambda: all(engine.events.count("order") for engine in engines), plan.patience_s)
    _pass(stage, "trading", plan.before_s)
    pressed = press(stage)
    _pass(stage, "engaged, ticks go on", plan.after_s)
    stage.wait("waiting for a tick", lambda: _all_blocked(engines), plan.patience_s)
    stage.stop(engines)
    runs = _runs(engines)
    halt = halt_figures(runs, pressed.sent_ns, pressed.ok_ns)
    checks = tuple(halt_checks(runs, pressed, halt))
    return _result("mid-stream", "Engaged mid-stream", runs, checks, press=pressed, halt=halt)


def engaged_from_the_start(stage: Stage, passes: int) -> Played:
    """The switch is ENGAGED before any engine is placed: see the module."""
    plan = stage.plan
    stage.permit("next scenario")
    stage.wait("waiting for idle workers", lambda: _all_idle(stage), _IDLE_S, must=True)
    pressed = press(stage)
    waiting = stage.place("queued", stage.places.gated, passes)
    _pass(stage, "engines wait in their queue", _HELD_S)
    engines = stage.place("closed", stage.places.ungated, passes)
    _start(stage, engines)
    stage.wait("waiting for a tick", lambda: _all_blocked(engines), plan.patience_s)
    _pass(stage, "engines against a closed gate", plan.after_s)
    stage.stop(engines)
    held = len(waiting) - stage.started(waiting)
    stage.withdraw(waiting)
    runs = _runs(engines)
    halt = halt_figures(runs, pressed.sent_ns, pressed.ok_ns)
    checks = tuple(held_checks(runs, pressed, halt, held, len(waiting)))
    title = "Engaged from the start"
    return _result("from-the-start", title, runs, checks, press=pressed, halt=halt, held=held)


def _start(stage: Stage, engines: list[Engine]) -> None:
    stage.watch(engines)
    stage.wait("starting the engines", lambda: stage.started(engines) == len(engines), _START_S, must=True)
    stage.screen.rest()


def _pass(stage: Stage, what: str, seconds: float) -> None:
    end_ns = now_ns() + int(seconds * 1000) * NS_PER_MS
    stage.wait(what, lambda: now_ns() >= end_ns, seconds + 1)


def _all_blocked(engines: Sequence[Engine]) -> bool:
    """Whether gate 1 of every engine has blocked a tick since it last opened, or there are no more ticks to come."""
    return all(engine.ended or _last_turn(engine.events) == "blocked" for engine in engines)


def _last_turn(events: EventFile) -> str:
    return next((event["event"] for event in reversed(events.read()) if event["event"] in ("opened", "blocked")), "")


def _all_idle(stage: Stage) -> bool:
    """Every worker has ended its engine and knows that it may trade."""
    members = stage.members()
    return len(members) == stage.plan.workers and all(m.mode == "SAFE" and not m.engine for m in members)


def _runs(engines: Sequence[Engine]) -> tuple[Run, ...]:
    return tuple(
        Run(f"engine {engine.number}", tuple(engine.events.read()), engine.report, engine.events.unreadable)
        for engine in engines
    )


def _result(
    name: str,
    title: str,
    runs: tuple[Run, ...],
    checks: tuple[Check, ...],
    *,
    cut_s: float | None = None,
    press: Press | None = None,
    halt: HaltFigures | None = None,
    held: int | None = None,
) -> Played:
    engines = tuple(map(engine_figures, runs))
    return Played(name, title, runs, engines, merged("all", runs), checks, cut_s, press, halt, held)
