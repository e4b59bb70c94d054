"""What `reduce` and `reset` share: telling what was done, and what stood in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.console import console
from ops.exit_codes import Exit
from ops.failures import report
from ops.pressing import durability_text
from ops.proving import outcome_object
from ops.render import clean, wrap
from ops.screens import state_words, status_lines

if TYPE_CHECKING:
    from killswitch import Controller, EpochConflict, FleetStatus, Outcome, Scope, SwitchState

__all__ = ["show_state", "state_of", "tell_changed", "tell_conflict"]


def state_of(status: FleetStatus, scope: Scope | None) -> SwitchState | None:
    """The switch, or the scope; None for a scope that nobody follows and nobody has ever set."""
    if scope is None:
        return status.switch
    return next((state for state in status.scopes if state.scope == str(scope)), None)


def show_state(status: FleetStatus, scope: Scope | None) -> None:
    """What the operator decides about, on stderr."""
    from killswitch import __version__

    state = state_of(status, scope)
    lines = status_lines(status, __version__, console.error_paint)
    console.tell(*lines[: lines.index("")])
    if scope is not None and state is not None:
        text = "follows the switch" if state.text == "(absent)" else state_words(state.text)
        by = f", by {clean(state.actor)}: {clean(state.why)}" if state.actor else ""
        console.tell(*wrap(f"scope {scope}: {text}, epoch {state.epoch}{by}"))


def tell_changed(outcome: Outcome, control: Controller) -> Exit:
    """The new state; for a scope also whether the switch lets it matter."""
    from killswitch import KillSwitchError

    paint = console.paint
    where = "" if outcome.scope == "switch" else f"{outcome.scope} "
    style = {"SAFE": "go", "REDUCING": "warn"}.get(outcome.state.split(" ")[0], "stop")
    state = state_words(outcome.state, "command")
    console.say(f"{where}{paint(state, style)}, epoch {outcome.epoch}, by {clean(outcome.actor)}")
    console.say(*wrap(f"why: {clean(outcome.reason)}", indent="  "))
    console.say(*wrap(f"before: {state_words(outcome.was)}", indent="  "))
    text, durable = durability_text(outcome.durability)
    console.say(f"  {'durable: ' * durable}{paint(text, '' if durable else 'yellow')}")
    if outcome.scope != "switch":
        try:
            status = control.status()
        except KillSwitchError:
            status = None
        if status is not None and status.switch.mode != "SAFE":
            console.warn(f"the switch itself is {status.switch.mode}, and the strictest wins: nothing opens by this")
        tightened = outcome.state.split(" ")[0] != "SAFE"
        if status is not None and tightened and (text := status.nobody_there(outcome.scope)):
            console.warn(text)
    console.result({**outcome_object(outcome), "exit_code": int(Exit.DONE)})
    return Exit.DONE


def tell_conflict(error: EpochConflict, control: Controller, scope: Scope | None, verb: str) -> Exit:
    """Nothing was done; shows what is so now."""
    from killswitch import KillSwitchError

    code = report(error)
    try:
        show_state(control.status(), scope)
    except KillSwitchError:
        return code
    part = f" --scope {scope}" if scope else ""
    console.tell(
        f'  nothing was done. If that is right now: killswitch {verb} --epoch {error.current}{part} --reason "..."'
    )
    return code
