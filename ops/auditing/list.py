"""`killswitch audit list`: the newest changes on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from killswitch import read_told
from killswitch.clock import wall_text
from ops import options
from ops.console import console, plain
from ops.dated import dated
from ops.exit_codes import Exit
from ops.render import COLUMNS, Cell, Column, Paint, brief, clean, quoted, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from killswitch import AuditEntry

_PROOFS = {"QUIET": "go", "FENCED": "warn"}
_ATTEMPTS = ("refused", "approved")
_STYLES = {"SAFE": "go", "REDUCING": "warn", "ENGAGED": "stop"}


def _mode(text: str, via: str = "") -> tuple[str, str]:
    """A state as it is told, short, and the style of what it permits."""
    told = read_told(text, via)
    style = "warn" if told.maybe else _STYLES[told.mode]
    if told.limit_s is not None:
        return f"{told.mode} {brief(told.limit_s)}", style
    if told.renewed_s is not None:
        return f"{told.mode} renewed", style
    return "ENGAGED" if text.startswith("ENGAGED ") else quoted(text), style


def _reason(entry: AuditEntry) -> str:
    """Why; what the key said besides, and who was not quiet, in brackets. Nothing twice."""
    said = entry.after[8:] if entry.after.startswith("ENGAGED ") else ""
    reason = entry.reason
    if said and said not in reason:
        reason = said if reason in said else f"{said} [{reason}]"
    if entry.attempt:
        reason = f"{reason} [{entry.attempt}]"
    if entry.outcome is not None and entry.outcome.pending:
        reason += f" [not quiet: {entry.outcome.pending}]"
    return reason


def _proof(entry: AuditEntry) -> Cell:
    """How the wait for the workers ended, and after how long if it brought a proof; empty where nobody waited."""
    if entry.outcome is None:
        return ""
    verdict, after = entry.outcome.verdict, ""
    if verdict in _PROOFS and entry.outcome.waited_ms >= 0:
        after = f" {span(entry.outcome.waited_ms)}"
    return clean(f"{verdict}{after}"), _PROOFS.get(verdict, "stop")


def _row(entry: AuditEntry) -> tuple[Cell, ...]:
    return (
        wall_text(entry.at_ms)[:-5] if entry.at_ms >= 0 else "",
        str(entry.epoch) if entry.epoch >= 0 else "?",
        clean(entry.scope),
        _mode(entry.before)[0] if entry.kind not in _ATTEMPTS else "",
        _mode(entry.after, entry.via) if entry.kind not in _ATTEMPTS else (entry.kind, "warn"),
        _proof(entry),
        clean(entry.actor),
        clean(entry.via),
        clean(_reason(entry)),
    )


def entry_lines(entries: Iterable[AuditEntry], paint: Paint, limit: int = COLUMNS) -> list[str]:
    """The table of changes, oldest first."""
    columns = (
        Column("TIME (UTC)", least=8),
        Column("EPOCH", least=5, right=True),
        Column("SCOPE", least=12, middle=True),
        Column("FROM", least=4, first=True),
        Column("TO", least=8),
        Column("PROOF", least=12),
        Column("BY", least=8),
        Column("VIA", least=3, first=True),
        Column("REASON", least=14, wrap=True),
    )
    rows = [_row(entry) for entry in entries]
    return dated(columns, rows, paint, limit) if rows else ["nothing is on record yet"]


@click.command("list")
@click.option("--count", "-n", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.option("--attempts", is_flag=True, help="Also permissions that were tried and not given.")
@options.output
def command(count: int, attempts: bool) -> Exit:
    """Show the newest changes, oldest first. Times are UTC, by the server's clock.

    A change by hand (VIA raw) has the time at which a worker or a command found it, and nobody's name.

    PROOF says how the wait for the workers ended, where somebody waited: QUIET and after how long, or who was not.
    With --attempts, TO is "refused" where an epoch was not current, "approved" where the first of two persons asked.

    \b
    killswitch audit list
    killswitch audit list --count 500 --output json | jq '.entries[] | select(.via == "raw")'
    """
    from killswitch import Controller, Settings

    entries = Controller(Settings(), via="command").audit(count, attempts)
    console.say(*entry_lines(entries, console.paint, console.columns))
    console.result({"entries": plain(entries), "exit_code": int(Exit.DONE)})
    return Exit.DONE
