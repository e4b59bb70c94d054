"""A launch from its first look to its report. Whatever ends it, what was done until then is told and written down."""

from __future__ import annotations

from killswitch.clock import now_ns, wall_ms
from ops.console import Console
from ops.exit_codes import Exit
from ops.launching.deployment import PHASES, Asked, Deployment, LaunchStopped, PhaseReport
from ops.launching.phases import RUN, reaching
from ops.launching.report import engine_lines, write_reports
from ops.rehearsal.processes import ended_by_signals
from ops.render import Paint, clean, count_of, wrap

__all__ = ["launch"]

_TITLES = {
    "preflight": "Preflight: nothing is changed",
    "rehearsal": "Rehearsal: three scenarios under a scratch prefix",
    "initialise": "Initialise",
    "start": "Start",
}


def launch(asked: Asked, console: Console) -> Deployment:
    """Runs the phases in order and stops at the first that fails. Raises nothing that a phase may meet. A signal ends
    it as Ctrl-C does: with what was started for a rehearsal ended, and the report written."""
    deployment = Deployment(asked, wall_ms())
    with ended_by_signals():
        for number, name in enumerate(PHASES, 1):
            phase = deployment.phases[name]
            console.say("", console.paint(f"{number}/{len(PHASES)}  {_TITLES[name]}", "bold"))
            if not _run(deployment, phase, console):
                break
    deployment.ended_ms = wall_ms()
    if deployment.ok:
        deployment.exit_code = Exit.DONE
    if deployment.engines:
        console.say("", *engine_lines(deployment.engines, console.paint))
    _tell_end(deployment, console)
    return deployment


def _run(deployment: Deployment, phase: PhaseReport, console: Console) -> bool:
    begun_ns = now_ns()
    phase.outcome = "under way"
    try:
        with reaching():
            phase.text = RUN[phase.name](deployment, phase, console)
        phase.outcome = "done"
        console.say(*_line("ok", "go", phase.text, console))
    except LaunchStopped as stopped:
        phase.outcome, phase.text = "failed", str(stopped)
        phase.found["details"] = list(stopped.details)
        deployment.exit_code = stopped.exit_code
        console.say(*_line("FAIL", "stop", phase.text, console))
        for line in stopped.details:
            console.say(*wrap(clean(line), indent="      "))
    except (KeyboardInterrupt, SystemExit):
        phase.outcome, phase.text = "interrupted", "interrupted"
        deployment.exit_code = Exit.INTERRUPTED
        console.say(*_line("FAIL", "stop", "interrupted", console))
    finally:
        phase.took_s = (now_ns() - begun_ns) / 1e9
    return phase.outcome == "done"


def _line(mark: str, style: str, text: str, console: Console) -> list[str]:
    first, *rest = wrap(clean(text), 94) or [""]
    return [f"{console.paint(f'{mark:<4}', style)}  {first}", *(f"      {line}" for line in rest)]


def _tell_end(deployment: Deployment, console: Console) -> None:
    """The verdict, the report, and how to take back what was done."""
    console.say("")
    if deployment.ok:
        for text in deployment.warnings:
            console.warn(text)
        console.say(_verdict(deployment, console.paint))
    else:
        done = [name for name, phase in deployment.phases.items() if phase.outcome == "done"]
        console.trouble("stopped", f"done until then: {', '.join(done) or 'nothing'}")
    if deployment.undo:
        console.say("to take it back:", *(f"  {line}" for line in deployment.undo))
    for path in write_reports(deployment, console):
        console.say(f"report: {clean(path)}")


def _verdict(deployment: Deployment, paint: Paint) -> str:
    everyone = count_of(len(deployment.engines), "engine")
    if queued := sum(one.state == "queued" for one in deployment.engines):
        starts = "start" if queued != 1 else "starts"
        return paint(f"The fleet is ready: {queued} of {everyone} {starts} when trading is permitted.", "go")
    if kept := len(deployment.warnings):
        return paint(f"The fleet is launched, but {kept} of {everyone} may not trade: see the warning.", "warn")
    return paint("The fleet is launched.", "go")
