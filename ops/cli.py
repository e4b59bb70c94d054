"""The command `killswitch`: finds the verb, runs it, and turns whatever happens into one line and an exit code.

Verbs are loaded when they run, so that `engage` is sent before anything it does not need is read from disk.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from ops.console import console
from ops.denied import command_of
from ops.exit_codes import Exit
from ops.failures import report

__all__ = ["COMMANDS", "cli", "main"]

_CHANGING = ("engage", "reduce", "reset", "deadman", "init", "drill", "launch", "down")

COMMANDS = {
    "engage": "Stop the fleet, or a part of it.",
    "reduce": "Permit only orders that reduce a position.",
    "reset": "Permit trading again.",
    "deadman": "Permit trading only while this goes on renewing it.",
    "status": "Show the switch, the scopes and every worker.",
    "watch": "Show the same, kept up to date.",
    "drill": "Test the line that a stop takes, without stopping anybody.",
    "audit": "Show the record of changes.",
    "exporter": "Serve metrics to Prometheus.",
    "server": "Run a Redis or Valkey on this machine to try things out.",
    "preflight": "Check the server, the settings and the fleet before they are trusted.",
    "launch": "Bring up a fleet: preflight, rehearsal, initialise, start.",
    "down": "Take the engines of a fleet down, in order.",
    "init": "Load the function library into Redis.",
    "acl": "Print the ACL rules of the roles.",
    "demo": "Run a fleet on this machine and stop it.",
    "bench": "Measure the switch on this machine.",
    "completion": "Print the completion script of a shell.",
}


class Verbs(click.Group):
    """A group whose commands live in one module each, loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, most urgent first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads the module of the verb and takes the command of its name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ops.commands.{cmd_name}")
        return next(v for v in vars(module).values() if isinstance(v, click.Command) and v.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """A usage error names the nearest verb."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            guess = f"did you mean `{near[0]}`?" if near else f"the commands are {', '.join(COMMANDS)}"
            ctx.fail(f"There is no command {args[0]!r}; {guess}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from killswitch import __version__

        console.say(f"killswitch {__version__}")
        ctx.exit(Exit.DONE)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings: KILLSWITCH_* variables, .env, secret files. KILLSWITCH_REDIS_URL says where Redis is.",
)
@click.option("--traceback", "full", is_flag=True, help="On an error, also show where in the program it came from.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli(full: bool) -> None:
    """A kill switch for a fleet of trading processes.

    \b
    killswitch engage --reason "fat finger" --wait     stop everything, and prove it
    killswitch status                                  look
    killswitch reset --reason "checked"                permit trading again

    Exit codes: 0 done (with --wait: proved quiet), 1 refused, 2 wrong usage or settings, 3 engaged but not proved
    quiet, 4 fenced, 5 a check failed, 6 the record was altered, 7 changes unsealed, 8 approved by the first of two
    persons, 69 Redis unreachable.
    """


def _wants_json(words: Sequence[str]) -> bool:
    """Whether errors are to be told as JSON, also one that is found before the option is read; the last one counts."""
    found = False
    for at, word in enumerate(words):
        if word == "--":
            break
        if word == "--output" and at + 1 < len(words):
            found = words[at + 1] == "json"
        elif word.startswith("--output="):
            found = word == "--output=json"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code. Never lets a traceback out."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    console.begin()
    console.json = _wants_json(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 is no reason to fail
    try:
        code = int(cli.main(words, prog_name="killswitch", standalone_mode=False) or Exit.DONE)
    except (Exception, KeyboardInterrupt) as error:
        return int(report(error, full="--traceback" in words[:1], command=command_of(words)))
    verb = next((word for word in words if not word.startswith("-")), "")
    return int(Exit.UNWRITTEN) if console.lost and code == Exit.DONE and verb not in _CHANGING else code


if __name__ == "__main__":
    sys.exit(main())
