"""`killswitch demo`: a fleet is started, stopped by one SET in three scenarios, measured, and ended."""

from __future__ import annotations

from pathlib import Path

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import clean

__all__ = ["command"]

_FILE = click.Path(path_type=Path)


@click.command("demo")
@click.option("--workers", "-w", type=click.IntRange(1, 64), default=4, show_default=True, help="Worker processes.")
@click.option(
    "--ticks",
    "-t",
    type=_FILE,
    multiple=True,
    metavar="FILE...",
    help="Recorded ticks that every engine replays: Lean quote zips, Binance captures. Default: a synthetic market.",
)
@click.argument("more", nargs=-1, type=_FILE, metavar="")
@click.option("--speed", default="max", show_default=True, metavar="max|1|10", help="Times the recorded speed.")
@click.option("--seconds", type=click.FloatRange(1, 3600), metavar="S", help="Longest time of trading in a scenario.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the synthetic market.")
@click.option("--keep", type=_FILE, metavar="DIR", help="Keep the engines' evidence and the workers' logs there.")
@options.output
@click.pass_context
def command(
    context: click.Context,
    workers: int,
    ticks: tuple[Path, ...],
    more: tuple[Path, ...],
    speed: str,
    seconds: float | None,
    seed: int,
    keep: Path | None,
) -> None:
    """See one SET stop a fleet, and check that it did.

    Starts two servers and N workers, replays ticks through them, and plays normal operation, a bare
    `SET killswitch:state ENGAGED` in the middle of it, and a switch that was engaged from the start. Ends with 0 only
    if every figure that must hold does: no order sent after +OK, every check blocked, every worker proved quiet.

    With KILLSWITCH_REDIS_URL that server is used, under a prefix that is removed in the end.

    \b
    Examples:
      killswitch demo
      killswitch demo --workers 8 --ticks 20140508_quote.zip
      killswitch demo --ticks monday.zip tuesday.zip --speed 10 --seconds 20
      killswitch demo --output json | jq .ok
    """
    from ops.rehearsal.perform import perform
    from ops.rehearsal.plan import Plan, RehearsalError, markets_of
    from workers.feed import parse_speed

    try:
        plan = Plan(workers, markets_of((*ticks, *more)), parse_speed(speed), seconds, seed, keep)
        performance = perform(plan, console)
    except KeyboardInterrupt:
        context.exit(fail(Exit.INTERRUPTED, "interrupted", "interrupted; everything that was started is stopped"))
    except RehearsalError as error:
        if error.exit_code is Exit.USAGE:
            raise click.UsageError(str(error), context) from None
        kind = "unreachable" if error.exit_code is Exit.UNREACHABLE else "failed"
        code = fail(error.exit_code, kind, str(error), log=error.details)
        console.tell(*(f"    {line}" for line in error.details))
        context.exit(code)
    console.result(performance.as_json())
    for where, check in performance.failed:
        console.trouble("failed", f"{where}: {clean(check)}")
    if performance.failed:
        context.exit(Exit.REFUSED)
    console.say(console.paint("Every figure that must hold does.", "go"))
