"""`killswitch-worker gateway`."""

from __future__ import annotations

import sys

import click

from killswitch import InvalidInput, Scope
from workers import logs
from workers.commands.common import EXIT_IN_FLIGHT, new_name, settings_of_both
from workers.commands.reach import reach
from workers.gateway.process import GatewayOptions, serve
from workers.shell import EXIT_USAGE, fail

__all__ = ["command"]


@click.command("gateway")
@click.option("--journal", metavar="NAME", help="The journal to serve [WORKERS_ADMISSION_JOURNAL].")
@click.option("--scope", "scopes", multiple=True, help="Serve only orders that follow exactly these; without, all.")
@click.option("--max-age-ms", default=5000, show_default=True, type=click.IntRange(50), help="Older ones are not sent.")
def command(journal: str | None, scopes: tuple[str, ...], max_age_ms: int) -> None:
    """Forward admitted orders of a journal to the venue, under gates of its own, until SIGTERM.

    One process serves a journal at a time; others wait to take its place.

    \b
      killswitch-worker gateway --journal orders
    """
    config, switch = settings_of_both({})
    name = journal or config.admission_journal
    if not name or not config.venue_url:
        fail("a gateway needs --journal (or WORKERS_ADMISSION_JOURNAL) and WORKERS_VENUE_URL", EXIT_USAGE)
    reach(config.queue_address)
    process = new_name()
    logs.configure(config.log_level, worker=process)
    try:
        followed = tuple(str(Scope.parse(scope)) for scope in scopes) or None
        drained = serve(config, switch, process, GatewayOptions(name, followed, max_age_ms))
    except InvalidInput as error:
        fail(str(error), EXIT_USAGE)
    sys.exit(0 if drained else EXIT_IN_FLIGHT)
