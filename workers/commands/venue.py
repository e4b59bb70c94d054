"""`killswitch-worker venue`."""

from __future__ import annotations

from pathlib import Path

import click

from killswitch import InvalidInput, SinkAddress
from workers import logs
from workers.commands.common import EXIT_UNHEALTHY, worker_settings
from workers.shell import EXIT_USAGE, fail
from workers.venue.process import serve
from workers.venue.server import VenueError

__all__ = ["command"]


@click.command("venue")
@click.option("--listen", metavar="URL", help="unix:///path or tcp://host:port [WORKERS_VENUE_URL]; port 0: any.")
@click.option(
    "--events", type=click.Path(path_type=Path), help="Write every arrival and fence here, and remember them."
)
def command(listen: str | None, events: Path | None) -> None:
    """Run the paper venue that workers send to, until SIGTERM. Its name is WORKERS_VENUE_NAME.

    \b
      killswitch-worker venue --listen unix:///run/venue.sock --events /var/lib/venue/events.jsonl
    """
    config = worker_settings()
    logs.configure(config.log_level, process="venue")
    try:
        serve(SinkAddress.parse(listen or config.venue_url), config.venue_name, events)
    except InvalidInput as error:
        fail(f"--listen: {error}", EXIT_USAGE)
    except VenueError as error:
        fail(str(error), EXIT_UNHEALTHY)
