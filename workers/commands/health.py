"""`killswitch-worker health`."""

from __future__ import annotations

from pathlib import Path

import click

from killswitch import KillSwitchError, printable
from workers import health
from workers.commands.common import EXIT_UNHEALTHY, settings_of_both
from workers.shell import EXIT_USAGE, fail

__all__ = ["command"]


@click.command("health")
@click.option("--id-file", type=click.Path(path_type=Path), help="File with the worker's id [WORKERS_ID_FILE].")
def command(id_file: Path | None) -> None:
    """Exit 0 only if the worker of this host is alive: its own beat in the switch's Redis is young."""
    config, switch = settings_of_both({})
    path = id_file or config.id_file
    if path is None:
        fail("which worker? Set WORKERS_ID_FILE for the worker and here, or give --id-file", EXIT_USAGE)
    try:
        click.echo(printable(health.check(switch, path)))
    except KillSwitchError as error:
        fail(str(error), EXIT_UNHEALTHY)
