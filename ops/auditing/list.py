"""`killswitch audit list`: the newest changes on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from killswitch.clock import wall_text
from ops import options
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.render import Cell, Column, brief, clean, table
from ops.screens import LIMITED

if TYPE_CHECKING:
    from killswitch import AuditEntry

_STYLES = {"SAFE": "go", "REDUCING": "warn", "ENGAGED": "stop"}


def _mode(text: str) -> str:
    limited = LIMITED.fullmatch(text)
    if limited:
        return f"SAFE {brief(int(limited[1]))}"
    return "ENGAGED" if text.startswith("ENGAGED ") else clean(text)


def _row(entry: AuditEntry) -> tuple[Cell, ...]:
    after = _mode(entry.after)
    reason = entry.reason
    if entry.after.startswith("ENGAGED ") and entry.after[8:] != reason:
        reason = f"{entry.after[8:]} [{reason}]"
    return (
        wall_text(entry.at_ms)[:-5] if entry.at_ms >= 0 else "",
        str(entry.epoch) if entry.epoch >= 0 else "?",
        clean(entry.scope),
        _mode(entry.before),
        (after, _STYLES.get(after.split()[0] if after else "", "stop")),
        clean(entry.actor),
        clean(entry.via),
        clean(reason),
    )


@click.command("list")
@click.option("--count", "-n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@options.output
def command(count: int) -> Exit:
    """Show the newest changes, oldest first. Times are UTC, by the server's clock.

    \b
    killswitch audit list
    killswitch audit list --count 500 --output json | jq '.entries[] | select(.via == "raw")'
    """
    from killswitch import Controller, Settings

    entries = Controller(Settings(), via="command").audit(count)
    columns = (
        Column("TIME (UTC)"),
        Column("EPOCH", right=True),
        Column("SCOPE", least=8),
        Column("FROM", least=8),
        Column("TO", least=8),
        Column("BY", least=8),
        Column("VIA", least=6),
        Column("REASON", least=20, wrap=True),
    )
    console.say(*(table(columns, map(_row, entries), console.paint) if entries else ["nothing is on record yet"]))
    console.result({"entries": plain(entries), "exit_code": int(Exit.DONE)})
    return Exit.DONE
