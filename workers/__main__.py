"""`killswitch-worker`: one engine worker process. `python -m workers` is the same.

Exit codes: 0 ended as asked (or, with `health`, healthy), 1 not healthy (or, with `place`, there already), 2 wrong
settings or usage, 69 the queue's Redis cannot be reached, 75 ended with orders still in flight.
"""

from __future__ import annotations

import importlib

import click

from workers.shell import Tool

__all__ = ["main"]


@click.group(cls=Tool, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--queues", "queue_names", metavar="NAMES", help="Queues to serve, in this order [WORKERS_QUEUES].")
@click.option("--ungated", metavar="NAMES", help="Queues served also while engaged [WORKERS_UNGATED_QUEUES].")
@click.option("--burst", is_flag=True, help="Run what can be run now, then exit.")
@click.pass_context
def main(context: click.Context, queue_names: str | None, ungated: str | None, burst: bool) -> None:
    """Run one engine worker under the kill switch. Settings: WORKERS_* (the fleet) and KILLSWITCH_* (the switch).

    \b
    Examples:
      killswitch-worker                             serve cleanup,engines until SIGTERM
      killswitch-worker --queues cleanup            only cancel, flatten, reconcile
      killswitch-worker --burst                     run what is queued, then exit
      killswitch-worker place eurusd-1              put an engine on the queue
      killswitch-worker health                      is the worker of this host alive? (WORKERS_ID_FILE)
    """
    if context.invoked_subcommand is None:
        importlib.import_module("workers.commands.serve").serve(queue_names, ungated, burst)


if __name__ == "__main__":
    main(prog_name="killswitch-worker")
