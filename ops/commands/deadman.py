"""`killswitch deadman`: trading is permitted only while this command goes on renewing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail, report
from ops.render import brief, clean, wrap

if TYPE_CHECKING:
    from killswitch import Controller, FleetStatus, Outcome, PermissionEnded, Renewer, StoreUnavailable
    from ops.keeping import Kept

_REASON_MAX = 200


@click.command("deadman")
@options.output
@options.reason
@options.actor
@options.epoch
@click.option(
    "--every",
    "every_s",
    type=options.SpanType(),
    default="20s",
    show_default=True,
    metavar="TIME",
    help="Renew so often.",
)
@click.option(
    "--grace",
    "grace_s",
    type=options.SpanType(),
    metavar="TIME",
    help="How late a renewal may be. Default: three times --every.",
)
@click.option("--take-over", is_flag=True, help="Also from another that renews it; needs --epoch.")
@click.option("--engage-on-exit", is_flag=True, help="Ctrl-C and SIGTERM engage at once; else it is left to run out.")
def command(
    reason: str,
    actor: str | None,
    epoch: int | None,
    every_s: int,
    grace_s: int | None,
    take_over: bool,
    engage_on_exit: bool,
) -> Exit:
    """Renew the permission to trade; without renewals it ends by itself.

    Takes the permission that is in force (`killswitch reset` gives one) and renews it until Ctrl-C. When this process,
    its host or its network dies, every gate is closed --every plus --grace after the last renewal. It never permits
    anything: once somebody changed the switch, or the permission ran out, it ends with 1. Trading is not disturbed by a
    renewal.

    \b
    killswitch deadman --reason "London session, alice at the desk"
    killswitch deadman --every 20s --grace 60s --reason "alice" --epoch 12
    killswitch deadman --reason "bob takes the desk" --epoch 13 --take-over
    """
    from killswitch import Controller, Renewer, Settings
    from ops.keeping import Asked, Kept, asked_by_signal, keep

    if take_over and epoch is None:
        hint = "`killswitch status` shows the epoch and who renews it; name the epoch that you looked at."
        return fail(Exit.USAGE, "usage", "--take-over prolongs what somebody else renews, so it needs --epoch", hint)
    control = Controller(Settings(), via="command")
    renewer = Renewer(control.settings, every_s=every_s, grace_s=grace_s or 3 * every_s, via="command")
    if epoch is None:
        epoch = control.status().switch.epoch
    kept = Kept()
    try:
        with asked_by_signal():
            taken = _take(control, renewer, lambda: renewer.take(epoch, reason, actor, take_over=take_over))
            if isinstance(taken, Exit):
                return taken
            _begin(renewer, taken)
            keep(renewer, kept)
    except Asked as asked:
        console.status_line("")
        return _asked(asked.name, control, renewer, kept, (reason, actor) if engage_on_exit else None)
    return _over(control, renewer, kept)


def _take(control: Controller, renewer: Renewer, take: Callable[[], Outcome]) -> Outcome | Exit:
    """The permission, or how the command ends without it."""
    from killswitch import EpochConflict, PermissionEnded, StoreUnavailable
    from ops.changing import tell_conflict

    try:
        return take()
    except EpochConflict as error:
        return tell_conflict(error, control, None, "deadman")
    except PermissionEnded as error:
        return _not_taken(error, control)
    except StoreUnavailable as error:
        return _unknown(error, renewer)


def _begin(renewer: Renewer, taken: Outcome) -> None:
    every, life = (brief(ms // 1000) for ms in (renewer.renewal.every_ms, renewer.renewal.life_ms))
    console.say(f"{console.paint('SAFE while renewed', 'go')}, epoch {taken.epoch}, by {clean(taken.actor)}")
    console.say(*wrap(f"why: {clean(taken.reason)}", indent="  "))
    console.say(f"  renewed every {every}; every gate is closed {life} after the last renewal, at the latest")
    console.say('  Ctrl-C ends this; `killswitch reset --reason "..."` makes the permission last without it')


def _status(control: Controller) -> FleetStatus | None:
    """The switch as it is now, shown; None where it cannot be had."""
    from killswitch import KillSwitchError
    from ops.changing import show_state

    try:
        status = control.status()
    except KillSwitchError:
        return None
    show_state(status, None)
    return status


def _unknown(error: StoreUnavailable, renewer: Renewer) -> Exit:
    code = report(error)
    if str(error.code) != "unreachable":
        life = brief(renewer.renewal.life_ms // 1000)
        console.tell(f"  should it have been taken all the same, nobody renews it, and it ends within {life}")
    return code


def _not_taken(error: PermissionEnded, control: Controller) -> Exit:
    code = fail(Exit.REFUSED, "ended", f"not taken: {error.reason}", current_epoch=error.epoch)
    status = _status(control)
    if status is None:
        return code
    if status.deadman is not None:
        console.tell(f'  to renew it in its place: killswitch deadman --take-over --epoch {error.epoch} --reason "..."')
    elif status.switch.mode != "SAFE":
        console.tell(
            f'  permit first, if that is right now: killswitch reset --epoch {status.switch.epoch} --reason "..."'
        )
    return code


def _object(renewer: Renewer, kept: Kept, ended: str) -> dict[str, Any]:
    from killswitch.clock import now_ns

    renewal = renewer.renewal
    return {
        "ended": ended,
        "epoch": renewer.epoch,
        "every_ms": renewal.every_ms,
        "life_ms": renewal.life_ms,
        "renewals": kept.renewals,
        "ends_at_ms": renewal.over_at_ms,
        "left_ms": renewal.over_in_ms(now_ns()),
    }


def _asked(
    name: str, control: Controller, renewer: Renewer, kept: Kept, engage_as: tuple[str, str | None] | None
) -> Exit:
    """Ends because of a signal: engages for the reason and as the one in `engage_as`, or leaves the permission to run
    out and says until when."""
    from ops.keeping import over_text

    if engage_as is not None:
        return _engage(name, control, renewer, kept, *engage_as)
    if renewer.epoch:
        console.say(
            *wrap(f"{name}: nothing renews the permission any more; every gate is closed by {over_text(renewer)}")
        )
        console.say('  to stop at once: killswitch engage --reason "..."')
    else:
        console.say(
            f"{name}: ended before the permission was confirmed; `killswitch status` shows whether it was taken"
        )
    console.result({**_object(renewer, kept, "asked"), "exit_code": int(Exit.DONE)})
    return Exit.DONE


def _engage(name: str, control: Controller, renewer: Renewer, kept: Kept, reason: str, actor: str | None) -> Exit:
    from killswitch import KillSwitchError
    from ops.keeping import over_text

    try:
        outcome = control.engage(f"dead man's switch ended by {name}: {reason}"[:_REASON_MAX], actor)
    except KillSwitchError as error:
        code = report(error)
        console.trouble("not engaged", f"every gate is closed by {over_text(renewer)}, for want of a renewal")
        return code
    console.say(f"{console.paint(clean(outcome.state), 'stop')}, epoch {outcome.epoch}")
    found = {**_object(renewer, kept, "engaged"), "epoch": outcome.epoch, "left_ms": 0}
    console.result({**found, "exit_code": int(Exit.DONE)})
    return Exit.DONE


def _over(control: Controller, renewer: Renewer, kept: Kept) -> Exit:
    """The permission is not there any more."""
    if not kept.heard:
        return fail(
            Exit.UNREACHABLE,
            "unreachable",
            f"the permission of epoch {renewer.epoch} has run out for want of an answer: {kept.reason}",
            'every gate is closed; `killswitch status` once Redis answers, then `killswitch reset --reason "..."`.',
            **_object(renewer, kept, "unheard"),
        )
    code = fail(
        Exit.REFUSED,
        "ended",
        f"the permission of epoch {renewer.epoch} is not renewed any more: {kept.reason}",
        **_object(renewer, kept, "over"),
    )
    _status(control)
    return code
