"""`killswitch reduce`: positions may get smaller, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops import options
from ops.exit_codes import Exit

if TYPE_CHECKING:
    from killswitch import Scope


@click.command("reduce")
@options.output
@options.reason
@options.scope
@options.actor
@options.epoch
def command(reason: str, scope: Scope | None, actor: str | None, epoch: int | None) -> Exit:
    """Permit only orders that reduce a position.

    From SAFE this tightens and needs no epoch. From ENGAGED it loosens, so it needs the epoch that you looked at and is
    refused when somebody changed the switch since. A permission with an end keeps it, and nobody renews it any more.

    \b
    killswitch reduce --reason "wind down before the close"
    killswitch reduce --epoch 12 --reason "flatten by hand" --scope account:7
    """
    from killswitch import Controller, EpochConflict, Settings
    from ops.changing import tell_changed, tell_conflict

    control = Controller(Settings(), via="command")
    try:
        outcome = control.reduce(reason, actor, scope, epoch)
    except EpochConflict as error:
        return tell_conflict(error, control, scope, "reduce")
    with control:  # what is told is told; then the sealing is given its moment
        return tell_changed(outcome, control)
