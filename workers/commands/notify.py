"""`killswitch-worker notify`."""

from __future__ import annotations

import sys

import click

from workers.commands.common import EXIT_UNHEALTHY, settings_of_both
from workers.notices.process import try_out
from workers.shell import EXIT_USAGE, fail

__all__ = ["command"]


@click.command("notify")
@click.option("--to", "only", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
def command(only: tuple[str, ...]) -> None:
    """Send a test notice to every webhook of WORKERS_WEBHOOKS, from here and now, and say what they answered.

    Changes are told by workers that serve the cleanup queue. Where all are busy with engines, run one more that serves
    nothing else: killswitch-worker --queues cleanup
    """
    config, switch = settings_of_both({})
    webhooks = config.webhooks_by_name
    if not webhooks or set(only) - set(webhooks):
        fail(f"WORKERS_WEBHOOKS names {', '.join(webhooks) or 'nobody'}", EXIT_USAGE)
    chosen = {name: webhook for name, webhook in webhooks.items() if not only or name in only}
    sys.exit(0 if try_out(chosen, switch.prefix, click.echo) else EXIT_UNHEALTHY)
