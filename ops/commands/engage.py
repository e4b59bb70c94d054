"""`killswitch engage`: the red button. Sent first; everything else is loaded, checked and told afterwards."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit

if TYPE_CHECKING:
    from killswitch import Controller, Outcome, Scope
    from killswitch.quick import Press

DEFAULT_WAIT_S = 5.0
MOST_WAIT_S = 3600.0


@click.command("engage")
@options.output
@click.option("--reason", "-r", default="", metavar="TEXT", help="Why, for the record; a stop needs none.")
@options.scope
@options.actor
@click.option(
    "--wait",
    "-w",
    is_flag=False,
    flag_value=options.Wait(DEFAULT_WAIT_S),
    default=None,
    type=options.WaitType(DEFAULT_WAIT_S, MOST_WAIT_S),
    metavar="[SECONDS]",
    help=f"Wait for the proof that every worker is quiet, or fenced; 10, 30s, 5m. Alone: {DEFAULT_WAIT_S:g} seconds.",
)
def command(reason: str, scope: Scope | None, actor: str | None, wait: options.Wait | None) -> Exit:
    """Stop the fleet, or the part that --scope names. Unconditional; may be repeated.

    With --wait the command ends with 0 only when every worker has reported closed gates and no order in flight (QUIET);
    with 4 (FENCED) when some did not, but their leases have run out and every sink that they send to has confirmed that
    it refuses their old orders (KILLSWITCH_SINKS); otherwise with 3 (UNCERTAIN), and names who did not and what is
    missing.

    \b
    killswitch engage --reason "fat finger" --wait
    killswitch engage --reason "bad prices" --scope symbol:EURUSD --wait 10
    """
    from killswitch import StoreRefused, StoreUnavailable, quick
    from ops import pressing

    target = quick.read_target()
    pressed: list[Press] = []

    with pressing.Interruptible(waits=wait is not None) as ctrl_c:

        def engaged(press: Press) -> None:
            ctrl_c.engaged(press)
            pressed.append(press)
            pressing.tell_engaged(press)

        try:
            press = quick.engage(target, reason, actor, scope, engaged)
            pressing.tell_tidied(press, reason, actor)
            pressing.tell_durability(press)
            control, code = _afterwards(press, wait, target)
        except StoreUnavailable as error:
            return pressing.tell_unreachable(error, target, scope, reason)
        except StoreRefused as error:
            return pressing.tell_refused(error, target, scope, reason)
        except Exception as error:
            if not pressed:
                raise
            return pressing.tell_broken(pressed[0], error, waited=wait is not None)
    with contextlib.suppress(KeyboardInterrupt):  # everything is told: what is left is the record's business
        control.close()
    return code


def _afterwards(press: Press, wait: options.Wait | None, target: Any) -> tuple[Controller, Exit]:
    """What may take its time: the other settings, the proof, the JSON object, and the begin of the sealing."""
    from ops import proving
    from ops.loading import control_for

    control, violations = control_for(target)
    for text in target.warnings:
        console.warn(text)
    for text in violations:
        if text not in target.warnings:
            console.warn(f"engaged, but the settings are not valid: {text}")
    outcome = proving.as_outcome(press)
    if wait is None:
        if press.durability is not None and press.means == "function":  # else Redis fell silent, or has no record of it
            control.seal_soon()
        if outcome.scope != "switch":
            proving.warn_where_nobody_follows(control, outcome.scope)
        return control, _finish(outcome, Exit.DONE)
    if wait.remark:
        console.warn(wait.remark)
    outcome = proving.wait(control, outcome, press.engaged_ns, wait.seconds)
    code = {"QUIET": Exit.DONE, "FENCED": Exit.FENCED}.get(outcome.verdict, Exit.UNCERTAIN)
    return control, _finish(outcome, code)


def _finish(outcome: Outcome, code: Exit) -> Exit:
    from ops.proving import outcome_object

    console.result({**outcome_object(outcome), "exit_code": int(code)})
    return code
