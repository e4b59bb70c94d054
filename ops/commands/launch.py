"""`killswitch launch`: a fleet brought up in four phases."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail_each

_PATH = click.Path(path_type=Path)


@click.command("launch")
@click.argument("fleet", type=_PATH)
@click.option("--permit", is_flag=True, help="Permit trading; needs --actor and --reason.")
@options.actor
@click.option("--reason", "-r", metavar="TEXT", help="Why trading is permitted, for the record.")
@options.epoch
@click.option("--strict", is_flag=True, help="A warning of preflight stops the launch as well.")
@click.option(
    "--timeout", type=options.SecondsType(1, 3600), metavar="SECONDS", help="Longest wait for the engines to run."
)
@click.option(
    "--report", "folder", type=_PATH, default=Path(), metavar="DIR", help="Write the report there; default: here."
)
@options.output
def command(
    fleet: Path,
    permit: bool,
    actor: str | None,
    reason: str | None,
    epoch: int | None,
    strict: bool,
    timeout: float | None,
    folder: Path,
) -> Exit:
    """Bring up the fleet that the file FLEET describes, in four phases.

    \b
    1 preflight    looks at server, settings and fleet; changes nothing
    2 rehearsal    plays normal operation, a stop, and a stop from the start, under a scratch prefix
    3 initialise   loads the library; the switch stays ENGAGED unless --permit says who permits and why
    4 start        puts each engine on the queue once, and waits until it runs

    The first phase that fails ends it, with what was done and how to take it back. Run it again at any time: an engine
    that is there is not placed twice, and must have the settings of the file. --permit opens a switch that was just
    initialised; over somebody's engagement it needs the epoch that you looked at. An engine whose scope is engaged is
    launched with a closed gate, and a warning. A report is written in any case.

    \b
    killswitch launch examples/fleet.toml
    killswitch launch fleet.toml --permit --actor alice --reason "London session"
    killswitch launch fleet.toml --strict --report /var/log/deployments --output json | jq .engines
    """
    from killswitch import SettingsError
    from ops.checking import both_settings
    from ops.launching.deployment import Asked
    from ops.launching.findings import permission_from
    from ops.launching.fleet_file import FleetFileError, load_fleet
    from ops.launching.perform import launch
    from ops.launching.report import deployment_json

    try:
        loaded = load_fleet(fleet)
    except FleetFileError as error:
        return fail_each(Exit.USAGE, "fleet", error.head, error.violations)
    wanted = permission_from(permit, actor, reason, epoch)
    switch, workers, violations = both_settings()
    if workers is None:
        raise SettingsError(violations)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise click.UsageError(f"--report {str(folder)!r} is no folder that can be written: make one, or name another")
    limit_s = timeout or loaded.fleet.timeout_s
    deployment = launch(Asked(loaded, switch, workers, wanted, strict, limit_s, folder), console)
    console.result(deployment_json(deployment))
    return deployment.exit_code
