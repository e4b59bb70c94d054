"""The four phases of a launch. Each does one thing, tells it, and raises LaunchStopped where the launch must end.

Invariant: nothing of the fleet is changed before phase 3; until then everything written lies under keys of its own and
is gone in the end. Trading is permitted only over `ENGAGED initialised`, or over the very epoch that somebody named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from urllib.parse import quote

import redis

from killswitch import (
    ApprovalPending,
    Code,
    Controller,
    EpochConflict,
    Finding,
    Grade,
    KillSwitchError,
    PreflightReport,
    Settings,
    StoreRefused,
    StoreUnavailable,
)
from ops.checking import check, count_line, finding_lines, preflight_json
from ops.console import Console, plain
from ops.exit_codes import Exit
from ops.launching import findings, standing
from ops.launching.deployment import Deployment, LaunchStopped, PhaseReport
from ops.launching.findings import Stance, stance
from ops.launching.start import Starting
from ops.rehearsal.perform import perform
from ops.rehearsal.places import Target
from ops.rehearsal.plan import Plan, RehearsalError
from ops.render import Paint, clean, count_of, first_line
from workers import queues
from workers.roster import Roster

__all__ = ["RUN", "reaching"]

_REHEARSED_SPEED = 100.0
_VIA = "launch"


@contextmanager
def reaching() -> Iterator[None]:
    """What either Redis may answer, or not, as the end of a launch."""
    try:
        yield
    except EpochConflict as error:
        text = f"the switch was changed meanwhile: it is at epoch {error.current} now, not {error.given}"
        raise LaunchStopped(text, details=["`killswitch status` shows who did it and why"]) from None
    except ApprovalPending as error:
        hint = "no engine was placed; another person runs the same launch, with --permit and a name of his own"
        raise LaunchStopped(str(error), Exit.PENDING, [hint]) from None
    except (StoreUnavailable, StoreRefused) as error:
        code = Exit.UNREACHABLE if isinstance(error, StoreUnavailable) else Exit.FAILED
        raise LaunchStopped(f"the switch's Redis: {error.reason}", code, [error.code.remedy]) from None
    except KillSwitchError as error:
        raise LaunchStopped(str(error)) from None
    except redis.RedisError as error:
        raise LaunchStopped(f"the queue's Redis: {first_line(error)}", Exit.UNREACHABLE) from None


@contextmanager
def _roster(deployment: Deployment) -> Iterator[Roster]:
    asked = deployment.asked
    with closing(queues.connect(asked.workers.queue_address)) as client:
        yield Roster(client, queue=asked.loaded.fleet.queue, prefix=asked.workers.prefix)


def _controller(deployment: Deployment) -> Controller:
    return Controller(deployment.asked.switch, via=_VIA)


def preflight(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
    """Phase 1: looks, and changes nothing."""
    asked, fleet = deployment.asked, deployment.asked.loaded.fleet
    strict = asked.strict or fleet.preflight.strict
    looked = check(asked.switch, asked.workers, (), console, skip=fleet.preflight.skip, before_init=True)
    with _roster(deployment) as roster:
        serving, there = roster.workers(), roster.look()
    status = _controller(deployment).status()
    more = (
        findings.permission(status, asked.permission),
        findings.worker_count(fleet, serving),
        findings.feeds(fleet.engine),
        standing.already(fleet.engine, there),
        standing.scopes(fleet.engine, status, asked.permission),
    )
    report = PreflightReport(looked.server, (*looked.findings, *more))
    deployment.server = looked.server
    told = next((one for one in looked.findings if one.name == "library"), None)
    deployment.library_current = told is not None and told.verdict is Grade.OK
    phase.found = plain(preflight_json(report, strict=strict))
    _show(report.findings, console)
    if not report.passed(strict=strict):
        names = [one.name for one in report.findings if one.verdict is Grade.FAIL]
        names += [one.name for one in report.findings if strict and one.verdict is Grade.WARN]
        raise LaunchStopped(f"preflight: {', '.join(names)}", details=["nothing was changed"])
    return count_line(report, Paint(False), strict=strict)


def _show(found: tuple[Finding, ...], console: Console) -> None:
    """What is not well; the report has all of it."""
    notable = [one for one in found if one.verdict in (Grade.WARN, Grade.FAIL)]
    console.say(*finding_lines(notable, console.paint))


def rehearsal(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
    """Phase 2: the three scenarios of the demonstration beside the fleet, under a scratch prefix and on queues of its
    own, all of it removed in the end. Engines go at a pace, which leaves room for the fleet's workers on this machine.
    """
    asked = deployment.asked
    set_to = asked.loaded.fleet.rehearsal
    target = Target(_direct(asked.switch, deployment.server), asked.workers.queue_address, deployment.library_current)
    try:
        played = perform(Plan(set_to.workers, (), _REHEARSED_SPEED, set_to.seconds), console, target)
    except RehearsalError as error:
        raise LaunchStopped(f"the rehearsal: {error}", error.exit_code, error.details) from None
    if not deployment.library_current:
        deployment.library_current = True
        deployment.library = "loaded for the rehearsal"
    phase.found = plain(played.as_json())
    if played.failed:
        texts = [f"{where}: {one}" for where, one in played.failed]
        raise LaunchStopped(f"the rehearsal: {texts[0]}", details=[*texts[1:], "nothing of the fleet was changed"])
    total = sum(len(one.checks) for one in played.played) + len(played.record)
    return f"three scenarios played by {count_of(set_to.workers, 'worker')}: all {total} figures hold"


def _direct(switch: Settings, server: str) -> Settings:
    """The same settings with the address of the master itself: a bare SET cannot ask sentinels."""
    place = switch.endpoint
    if not place.by_sentinel:
        return switch
    host, _, port = server.removeprefix("Redis at ").rpartition(":")
    shown = f"[{host}]" if ":" in host else host
    login = f"{quote(place.username, safe='')}:{quote(place.password, safe='')}@" if place.password else ""
    chosen = {name: getattr(switch, name) for name in switch.model_fields_set}
    return Settings(**{**chosen, "redis_url": f"{place.scheme.partition('+')[0]}://{login}{shown}:{port}/{place.db}"})


def initialise(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
    """Phase 3: the library, a state, and a permission if somebody gives one."""
    asked = deployment.asked
    with _controller(deployment) as control:
        status = control.status()
        phase.found["before"] = {"state": status.switch.text, "epoch": status.switch.epoch}
        created = _prepare(deployment, control, absent=status.switch.text == findings.ABSENT)
        status = control.status()
        wanted = asked.permission
        found = stance(status, replace(wanted, epoch=None) if wanted and created else wanted)
        says = f"{clean(status.switch.text)}, epoch {status.switch.epoch}"
        if found is Stance.OPEN and wanted is not None:
            outcome = control.reset(status.switch.epoch, wanted.reason, wanted.actor)
            deployment.undo.insert(0, 'killswitch engage --reason "launch taken back"')
            says = f"permitted by {clean(wanted.actor)}: {clean(wanted.reason)}, epoch {outcome.epoch}"
        elif found not in (Stance.STAYS, Stance.DONE):
            raise LaunchStopped(f"the switch was changed meanwhile: {says}: {found.value}")
        status = control.status()
    phase.found |= {"created": created, "library": deployment.library}
    phase.found["after"] = {"state": status.switch.text, "epoch": status.switch.epoch}
    return f"library: {deployment.library}; switch: {says}"


def _prepare(deployment: Deployment, control: Controller, *, absent: bool) -> bool:
    """Initialises, as `killswitch init` does; whether that engaged, because there was no state.

    Looking and engaging are two steps, so somebody may engage between them. What lay under the stop tells; a stop that
    covers somebody's own is not opened again. A user who may not load the library needs it loaded already.
    """
    actor = deployment.asked.actor
    try:
        report = control.init(actor)
        absent, was = report.created, report.was
        if not deployment.library:
            deployment.library = "loaded again" if deployment.library_current else "loaded"
    except StoreRefused as refused:
        if not deployment.library_current or refused.code is not Code.REDIS_DENIED:
            raise
        deployment.library = "was loaded already, and this user may not load it"
        was = control.engage("initialised", actor).was if absent else ""
    if absent and was != findings.ABSENT:
        raise LaunchStopped(f"somebody wrote the switch at the same moment: {clean(was)}; it stays ENGAGED")
    return absent


def start(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
    """Phase 4: every engine on the queue once, and waited for."""
    asked = deployment.asked
    with _controller(deployment) as control, _roster(deployment) as roster:
        starting = Starting(asked.loaded.fleet.engine, roster, control, console)
        try:
            placed = starting.place()
            epoch = deployment.phases["initialise"].found["after"]["epoch"] if asked.permission else None
            text = starting.wait(asked.timeout_s, epoch)
        finally:
            console.status_line("")
            deployment.engines = starting.states
            names = [f"--engine {state.name}" for state in starting.states if state.placed]
            if names:
                deployment.undo.insert(0, f"killswitch down {' '.join(names)}")
        if starting.status is not None:
            deployment.warnings += standing.closed_gates(starting.states, starting.status)
    already = len(starting.states) - placed
    phase.found = {"placed": placed, "already_there": already}
    there = f", {already} there already" if already else ""
    return f"{count_of(placed, 'engine')} placed{there}; {text}"


RUN: Mapping[str, Callable[[Deployment, PhaseReport, Console], str]] = {
    "preflight": preflight,
    "rehearsal": rehearsal,
    "initialise": initialise,
    "start": start,
}
"""What each phase does; it returns its result in a line."""
