"""`killswitch reset`: permits trading again, if nothing changed since somebody looked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail

if TYPE_CHECKING:
    from killswitch import Controller, Scope


@click.command("reset")
@options.output
@options.reason
@options.scope
@options.actor
@options.epoch
@click.option(
    "--for", "for_s", type=options.SpanType(), metavar="TIME", help="Permit for so long only: 30s, 8h, 1h30m."
)
def command(reason: str, scope: Scope | None, actor: str | None, epoch: int | None, for_s: int | None) -> Exit:
    """Permit trading again.

    Conditional on the epoch that you looked at, so it never undoes a newer engagement. Without --epoch it shows what it
    would undo and asks, on a terminal; elsewhere it is refused. With --for the permission ends by itself. Where two
    persons have to permit the first only approves, and ends with 8; the second runs the same with a name of his own.

    \b
    killswitch reset --reason "position checked"
    killswitch reset --epoch 12 --reason "London session" --for 8h
    killswitch reset --epoch 13 --reason "feed is back" --scope symbol:EURUSD
    """
    from killswitch import Controller, EpochConflict, Settings
    from ops.changing import tell_changed, tell_conflict

    if epoch is None and (console.json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        return fail(
            Exit.USAGE,
            "usage",
            "reset needs --epoch where nobody can be asked",
            "`killswitch status` shows the epoch; name the one that you looked at.",
        )
    control = Controller(Settings(), via="command")
    if epoch is None:
        found = _ask(control, scope)
        if found is None or isinstance(found, Exit):
            return Exit.REFUSED
        epoch = found
    try:
        outcome = control.reset(epoch, reason, actor, scope, for_s)
    except EpochConflict as error:
        return tell_conflict(error, control, scope, "reset")
    with control:  # what is told is told; then the sealing is given its moment
        return tell_changed(outcome, control)


def _ask(control: Controller, scope: Scope | None) -> int | Exit | None:
    """Shows what would be undone and asks; the epoch that was shown, None for no, or how it ended before."""
    from ops.changing import show_state, state_of, tell_no_scope

    status = control.status()
    state = state_of(status, scope)
    if state is None and scope is not None and not status.left_out:
        return tell_no_scope(status, scope)
    show_state(status, scope)
    epoch = state.epoch if state else 0
    what = f"scope {scope}" if scope else "the whole fleet"
    asked = f"Permit trading again for {what}, undoing epoch {epoch}?"
    if status.persons > 1:
        asked = (
            f"Approve, as one of the two persons it takes, to permit trading again for {what}, undoing epoch {epoch}?"
        )
    if click.confirm(f"\n{asked}", default=False, err=True):
        return epoch
    console.tell("nothing was done")
    return None
