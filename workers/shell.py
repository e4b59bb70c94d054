"""What `killswitch-worker` says when it cannot go on: one line with the value, the rule and the remedy, and a code."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import IO, Any, NoReturn

import click

from killswitch import printable

__all__ = ["EXIT_REFUSED", "EXIT_USAGE", "Tool", "fail", "say"]

EXIT_REFUSED = 1
EXIT_USAGE = 2

VERBS = {
    "health": "Is the worker of this host alive?",
    "place": "Put an engine on the queue.",
    "venue": "Run the paper venue that workers send to.",
    "gateway": "Forward admitted orders of a journal to the venue.",
    "notify": "Send a test notice to every webhook.",
}
_ALL = f"the commands are {', '.join(VERBS)}"


def say(text: str) -> None:
    """On stderr, each line in printable text: a server's words or a worker's row may be anybody's."""
    click.echo("\n".join(printable(line) for line in f"killswitch-worker: {text}".split("\n")), err=True)


def fail(text: str, code: int) -> NoReturn:
    """Says why, and ends the process."""
    say(text)
    sys.exit(code)


class _Told(click.ClickException):
    """A usage error in our own words."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """One line, as everything else that goes wrong."""
        say(self.message)


class Tool(click.Group):
    """A group of commands, each loaded when it is asked for, whose usage errors are told like every other error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads the module of one."""
        if cmd_name not in VERBS:
            return None
        found: click.Command = importlib.import_module(f"workers.commands.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their list, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Reads the words before the command."""
        try:
            return super().make_context(*args, **extra)
        except click.UsageError as error:
            raise _Told(_usage(error)) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Finds the command, reads its words, and runs it."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _Told(_usage(error)) from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """A command that there is not is told with the nearest, or all."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"there is no command {args[0]!r:.60}; " + (f"did you mean {near[0]}?" if near else _ALL))
        return super().resolve_command(ctx, args)


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "killswitch-worker"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        text = f"{error.param.human_readable_name.upper()} is missing"
        if error.ctx and error.ctx.info_name == "place":
            text += f": name the engine, as in `{path} eurusd-1`"
    text = text if text[:2].isupper() else f"{text[:1].lower()}{text[1:]}"
    return f"{text}{'' if text.endswith('?') else ';'} `{path} --help` shows how it is used"
