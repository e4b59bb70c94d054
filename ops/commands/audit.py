"""`killswitch audit`: the record of changes. Its commands are loaded when they run."""

from __future__ import annotations

import importlib

import click

__all__ = ["AUDITING", "command"]

AUDITING = ("list", "verify", "diff", "export", "seal", "anchor")


class Auditing(click.Group):
    """A group whose commands live in one module each of `ops.auditing`, loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, most used first."""
        return list(AUDITING)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads the module of the command and takes the command of its name."""
        if cmd_name not in AUDITING:
            return None
        module = importlib.import_module(f"ops.auditing.{cmd_name}")
        return next(v for v in vars(module).values() if isinstance(v, click.Command) and v.name == cmd_name)


@click.group("audit", cls=Auditing)
def command() -> None:
    """The record of changes: who stopped and permitted what, when and why, and whether anybody altered it since."""
