"""One rehearsal from the first process to the last figure. Whatever ends it, everything it started is ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from killswitch import AuditEntry
from ops.console import Console
from ops.exit_codes import Exit
from ops.rehearsal import report, scenarios
from ops.rehearsal.places import Places, Target, open_places
from ops.rehearsal.plan import Plan, RehearsalError
from ops.rehearsal.processes import WorkerProcesses, deaf_to_signals, ended_by_signals
from ops.rehearsal.scenarios import Played
from ops.rehearsal.screen import Screen
from ops.rehearsal.stage import Stage
from ops.rehearsal.verdict import Check, record_checks
from ops.render import count_of, wrap

__all__ = ["Performance", "perform"]

_INDENT = "   "


@dataclass(frozen=True, slots=True)
class Performance:
    """A whole rehearsal: its scenarios, the record of changes that it left, and what had to hold of that record."""

    plan: Plan
    places: Places
    played: tuple[Played, ...]
    audit: tuple[AuditEntry, ...]
    record: tuple[Check, ...]

    @property
    def failed(self) -> list[tuple[str, Check]]:
        """The figures that do not hold, each with the title of its scenario."""
        found = [(played.title, check) for played in self.played for check in played.failed]
        return found + [("Audit trail", check) for check in self.record if not check.holds]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": not self.failed,
            "failed": [f"{where}: {check}" for where, check in self.failed],
            "workers": self.plan.workers,
            "speed": self.plan.speed,
            "ticks": [str(path) for market in self.plan.markets for path in market.files],
            "switch": self.places.switch_at,
            "queue": self.places.queue_at,
            "lease_ms": self.places.settings.lease_ms,
            "scenarios": [report.played_json(played) for played in self.played],
            "audit": self.audit,
            "audit_checks": self.record,
        }


def perform(plan: Plan, console: Console, target: Target | None = None) -> Performance:
    """Plays the three scenarios and tells them on `console`; against the servers of `target` in a few words.

    Raises:
        RehearsalError: it could not be played to its end. A figure that does not hold is no error but in `failed`.
    """
    with ended_by_signals():
        stack = ExitStack()
        try:
            return _perform(plan, console, stack, target)
        except redis.RedisError as error:
            raise RehearsalError(f"the queue's Redis does not answer: {error}", Exit.UNREACHABLE) from None
        finally:
            with deaf_to_signals():
                stack.close()


def _perform(plan: Plan, console: Console, stack: ExitStack, target: Target | None) -> Performance:
    brief = target is not None
    screen = Screen(console, brief=brief)
    folder = stack.enter_context(_folder(plan.keep))
    places = stack.enter_context(open_places(target))
    if not brief:
        _tell_plan(plan, places, screen)
    workers = stack.enter_context(WorkerProcesses(plan.workers, places, folder))
    stage = stack.enter_context(closing(Stage(plan, places, workers, folder, screen)))
    stack.enter_context(screen)
    screen.rest()
    stage.assemble()
    tell = _scene_in_brief if brief else _scene
    played = [tell(1, scenarios.normal(stage), screen)]
    runs = played[0].runs
    if not brief:
        screen.say(*wrap(f"{report.feed_line(runs)}", screen.columns, _INDENT))
    passes = plan.passes(min(int(run.report["ticks"]) for run in runs))
    played.append(tell(2, scenarios.engaged_mid_stream(stage, passes), screen))
    played.append(tell(3, scenarios.engaged_from_the_start(stage, passes), screen))
    audit = tuple(stage.audit())
    checks = tuple(record_checks(audit, [each.press for each in played if each.press is not None]))
    if brief:
        screen.say(*(line for check in checks if not check.holds for line in _check(check, screen)))
    else:
        _tell_record(audit, checks, screen)
    return Performance(plan, places, tuple(played), audit, checks)


def _tell_plan(plan: Plan, places: Places, screen: Screen) -> None:
    def row(name: str, text: str) -> list[str]:
        first, *rest = wrap(text, screen.columns - 12)
        return [f"{_INDENT}{name:<9}{first}", *(f"{'':<12}{line}" for line in rest)]

    screen.say(screen.paint("The brake line: one SET stops a fleet of trading engines", "bold"), "")
    screen.say(*row("switch", places.switch_at), *row("queue", places.queue_at))
    for market in plan.markets:
        names = ", ".join(path.name for path in market.files)
        screen.say(*row("ticks", f"{market.symbol} from {names} ({market.form})"))
    if not plan.markets:
        screen.say(*row("ticks", f"synthetic market, seed {plan.seed}"))
    speed = "full speed" if plan.speed == "max" else f"{plan.speed:g} times recorded speed after a lead at full speed"
    lease = f"lease {places.settings.lease_ms} ms"
    screen.say(*row("workers", f"{count_of(plan.workers, 'process')}, an engine each; {speed}; {lease}"), "")


def _scene(number: int, played: Played, screen: Screen) -> Played:
    screen.say(screen.paint(f"{number}  {played.title}", "bold"))
    if played.press is not None:
        screen.say(f"{_INDENT}{played.press.command}")
    screen.say(*report.played_lines(played, screen.paint, screen.columns), "")
    screen.rest()
    return played


def _scene_in_brief(number: int, played: Played, screen: Screen) -> Played:
    mark = screen.paint("FAIL", "stop") if played.failed else screen.paint("ok  ", "go")
    text = f"{played.title}: {report.gist(played)}"
    first, *rest = wrap(text, screen.columns - 2 * len(_INDENT))
    screen.say(f"{mark}  {first}", *(f"{2 * _INDENT}{line}" for line in rest))
    for check in played.failed:
        screen.say(*_check(check, screen))
    screen.rest()
    return played


def _check(check: Check, screen: Screen) -> Iterator[str]:
    return report.check_lines(check, screen.paint, screen.columns)


def _tell_record(audit: Sequence[AuditEntry], checks: Sequence[Check], screen: Screen) -> None:
    screen.say(
        screen.paint("Audit trail of this run", "bold"), *report.audit_lines(audit, screen.paint, screen.columns)
    )
    for check in checks:
        screen.say(*_check(check, screen))
    screen.say("")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where evidence and logs go: `keep`, new or empty, or a folder that is removed in the end."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="ks-demo-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise RehearsalError(
                f"--keep {str(keep)!r} is not empty: evidence is not mixed; name a new one", Exit.USAGE
            )
    except OSError as error:
        raise RehearsalError(f"--keep {str(keep)!r} cannot be used: {error.strerror}", Exit.USAGE) from None
    yield keep.absolute()
