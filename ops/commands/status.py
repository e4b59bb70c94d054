"""`killswitch status`: everything at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ops import options
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.screens import status_lines

if TYPE_CHECKING:
    from killswitch import FleetStatus

__all__ = ["command", "status_object"]


def status_object(status: FleetStatus) -> dict[str, Any]:
    """A status as JSON has it; `trouble` says why a worker could not renew now."""
    trouble = status.trouble and {"code": str(status.trouble[0]), "reason": status.trouble[1]}
    members = [{**plain(member), "silent": member.silent} for member in status.members]
    return {**plain(status), "members": members, "trouble": trouble}


@click.command("status")
@options.output
def command() -> Exit:
    """Show the switch, the scopes and every worker.

    Ends with 0 whenever it could look, whatever it saw; scripts read the JSON object.

    \b
    killswitch status
    killswitch status --output json | jq -r .switch.mode
    killswitch status --output json | jq '.members[] | select(.closed | not) | .worker_id'
    """
    from killswitch import Controller, Settings, __version__

    status = Controller(Settings(), via="command").status()
    console.say(*status_lines(status, __version__, console.paint, console.columns))
    console.result({**status_object(status), "exit_code": int(Exit.DONE)})
    return Exit.DONE
