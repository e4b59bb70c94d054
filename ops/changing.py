"""What `reduce` and `reset` share: telling what was done, and what stood in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail, report
from ops.pressing import durability_text
from ops.proving import outcome_object
from ops.render import clean, page, wrap
from ops.screens import state_words, status_lines

if TYPE_CHECKING:
    from killswitch import Controller, EpochConflict, FleetStatus, Outcome, Scope, SwitchState

__all__ = ["show_state", "state_of", "tell_changed", "tell_conflict", "tell_no_scope"]

_SCOPES_SHOWN = 20


def state_of(status: FleetStatus, scope: Scope | None) -> SwitchState | None:
    """The switch, or the scope; None for a scope that nobody follows and nobody has ever set."""
    if scope is None:
        return status.switch
    return next((state for state in status.scopes if state.scope == str(scope)), None)


def show_state(status: FleetStatus, scope: Scope | None) -> None:
    """What the operator decides about, on stderr."""
    from killswitch import __version__

    state = state_of(status, scope)
    lines = status_lines(status, __version__, console.error_paint, page.columns)
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


def tell_no_scope(status: FleetStatus, scope: Scope) -> Exit:
    """Nothing was done to a scope that nobody follows and nobody has ever set."""
    names = [clean(state.scope) for state in status.scopes]
    shown = ", ".join(names[:_SCOPES_SHOWN]) + (
        f" and {len(names) - _SCOPES_SHOWN} more" * (len(names) > _SCOPES_SHOWN)
    )
    known = f"the scopes are {shown}" if names else "there is none: workers declare them"
    text = f"there is no such scope on record: {scope}, and no worker follows it; nothing was done"
    return fail(Exit.REFUSED, "no_such_scope", text, known, scopes=names)


def tell_conflict(error: EpochConflict, control: Controller, scope: Scope | None, verb: str) -> Exit:
    """Nothing was done; shows what is so now."""
    from killswitch import KillSwitchError

    try:
        status = control.status()
    except KillSwitchError:
        return report(error)
    if scope is not None and state_of(status, scope) is None and not status.left_out:
        return tell_no_scope(status, scope)
    code = report(error)
    show_state(status, scope)
    part = f" --scope {scope}" if scope else ""
    console.tell(
        f'  nothing was done. If that is right now: killswitch {verb} --epoch {error.current}{part} --reason "..."'
    )
    return code
