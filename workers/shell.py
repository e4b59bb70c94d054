"""What `killswitch-worker` says when it cannot go on: one line with the value, the rule and the remedy, and a code."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import click

from killswitch import printable
from workers.spec import WrongSpec

__all__ = ["EXIT_REFUSED", "EXIT_USAGE", "Tool", "fail", "refused_words", "say"]

EXIT_REFUSED = 1
EXIT_USAGE = 2


def say(text: str) -> None:
    """On stderr, each line in printable text: a server's words or a worker's row may be anybody's."""
    click.echo("\n".join(printable(line) for line in f"killswitch-worker: {text}".split("\n")), err=True)


def fail(text: str, code: int) -> NoReturn:
    """Says why, and ends the process."""
    say(text)
    sys.exit(code)


def refused_words(error: WrongSpec, typed: Mapping[str, str]) -> str:
    """What is wrong with what somebody typed, by the word that it was typed with; `typed` has it by place."""
    parts = []
    for one in error.violations:
        name = next((str(word) for word in reversed(one.location) if isinstance(word, str)), error.what)
        parts.append(f"{typed.get(name, one.place)}: {one.text}")
    return "; ".join(parts)


class _Told(click.ClickException):
    """A usage error in our own words."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """One line, as everything else that goes wrong."""
        say(self.message)


class Tool(click.Group):
    """A group of commands whose usage errors are told like every other error."""

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
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            ctx.fail(f"there is no command {args[0]!r:.60}; " + (f"did you mean {near[0]}?" if near else _all(self)))
        return super().resolve_command(ctx, args)


def _all(group: click.Group) -> str:
    return f"the commands are {', '.join(group.commands)}"


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "killswitch-worker"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        text = f"{error.param.human_readable_name.upper()} is missing"
        if error.ctx and error.ctx.info_name == "place":
            text += f": name the engine, as in `{path} eurusd-1`"
    text = text if text[:2].isupper() else f"{text[:1].lower()}{text[1:]}"
    return f"{text}{'' if text.endswith('?') else ';'} `{path} --help` shows how it is used"
