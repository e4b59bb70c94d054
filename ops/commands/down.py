"""`killswitch down`: engines are taken down in order."""

from __future__ import annotations

from pathlib import Path

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail_each


@click.command("down")
@click.argument("fleet", required=False, metavar="[FLEET]", type=click.Path(path_type=Path))
@click.option("--engine", "engines", multiple=True, metavar="NAME", help="Only this engine; may be repeated.")
@click.option("--queue", metavar="NAME", help="The queue that the engines are on. Default: that of FLEET, or engines.")
@click.option("--engage", is_flag=True, help="Engage the switch first; needs --reason.")
@click.option("--reason", "-r", metavar="TEXT", help="Why the switch is engaged, for the record.")
@options.actor
@click.option(
    "--timeout",
    type=options.SecondsType(1, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for each engine.",
)
@options.output
def command(
    fleet: Path | None,
    engines: tuple[str, ...],
    queue: str | None,
    engage: bool,
    reason: str | None,
    actor: str | None,
    timeout: float,
) -> Exit:
    """Take engines down: all of them, those of the file FLEET, or those that --engine names.

    An engine that waits is taken off its queue. One that runs is told to stop: it cancels its working orders, leaves
    the registry and ends. It is looked for until it is nowhere any more. The switch stays as it is, unless --engage
    stops trading first. Workers go on and serve what comes next. Ends with 5 if an engine is still
    there, and with 69 if nobody can know, because the switch's registry could not be read.

    \b
    killswitch down
    killswitch down --engine eurusd-1
    killswitch down examples/fleet.toml --engage --reason "end of day"
    """
    from killswitch import SettingsError
    from ops.checking import both_settings
    from ops.launching.down import Down, take_down
    from ops.launching.fleet_file import FleetFileError, load_fleet

    if engage != (reason is not None):
        raise click.UsageError("--engage and --reason belong together: the switch stays as it is without them")
    try:
        loaded = load_fleet(fleet).fleet if fleet else None
    except FleetFileError as error:
        return fail_each(Exit.USAGE, "fleet", error.head, error.violations)
    switch, workers, violations = both_settings()
    if workers is None:
        raise SettingsError(violations)
    named = engines or (tuple(engine.name for engine in loaded.engine) if loaded else ())
    on = queue or (loaded.queue if loaded else None)
    return take_down(Down(switch, workers, on, named, engines, reason, actor, timeout), console)
