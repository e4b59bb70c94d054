"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from ops.console import console

__all__ = [
    "EpochType",
    "ScopeType",
    "SecondsType",
    "SpanType",
    "Wait",
    "WaitType",
    "actor",
    "epoch",
    "output",
    "parse_span",
    "reason",
    "scope",
]

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:[0-9]{1,6}[dhms])+")


def parse_span(text: str) -> int | None:
    """Seconds in `30s`, `10m`, `8h`, `1h30m`, `2d`; None for anything else."""
    if not _SPAN.fullmatch(text):
        return None
    parts = re.findall(r"(\d+)([dhms])", text)
    order = [unit for _, unit in parts]
    if order != sorted(set(order), key="dhms".index):
        return None
    return sum(int(count) * _UNITS[unit] for count, unit in parts)


class EpochType(click.IntRange):
    """A whole number that an epoch can be."""

    name = "epoch (a whole number)"


class SecondsType(click.FloatRange):
    """A number of seconds; "not a number" is none."""

    name = "number of seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything else, or out of range."""
        found = float(super().convert(value, param, ctx))
        if found != found:
            self.fail(f"{value!r:.40} is not a number of seconds", param, ctx)
        return found


class SpanType(click.ParamType[int]):
    """A length of time such as `8h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds; a usage error for any other form, or zero."""
        if isinstance(value, int):
            return value
        seconds = parse_span(str(value))
        if not seconds:
            self.fail(f"{value!r:.40} is no length of time: write for example 30s, 10m, 8h or 1h30m", param, ctx)
        return seconds


class Wait(NamedTuple):
    """How long to wait for a proof, and what was odd about the word that said so."""

    seconds: float
    remark: str = ""


class WaitType(click.ParamType[Wait]):
    """Seconds or a length of time. None is refused: how long to wait must not decide whether the fleet is stopped."""

    name = "time to wait"

    def __init__(self, default_s: float, most_s: float) -> None:
        self._default_s, self._most_s = default_s, most_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wait:
        """The nearest wait that can be had."""
        if isinstance(value, Wait):
            return value
        text = str(value)
        span = parse_span(text)
        try:
            found = float(text) if span is None else float(span)
        except ValueError:
            found = math.nan
        if math.isnan(found):
            return Wait(self._default_s, f"--wait {text!r:.40} is no time: waited at most {self._default_s:g} s")
        nearest = min(max(found, 0.0), self._most_s)
        return Wait(nearest, "" if nearest == found else f"--wait {text:.40}: waited at most {nearest:g} s")


class ScopeType(click.ParamType[Any]):
    """`dimension:name`; completes what the fleet declares."""

    name = "scope"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The scope; a usage error for any other form."""
        from killswitch import InvalidInput, Scope

        try:
            return Scope.parse(value)
        except InvalidInput as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Scopes that workers follow or the record knows; none when Redis does not answer at once."""
        from click.shell_completion import CompletionItem

        from killswitch import Controller, Settings

        try:
            known = Controller(Settings(timeout_ms=300)).status().scopes
        except Exception:  # a completion has no place to report to
            return []
        # Anybody who beats may have written these, and a shell takes them into the line that is typed.
        names = (state.scope for state in known if _is_scope(state.scope))
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _is_scope(text: str) -> bool:
    from killswitch import InvalidInput, Scope

    try:
        Scope.parse(text)
    except InvalidInput:
        return False
    return True


def _set_output(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    console.json = value == "json"
    return value


def output(command: F) -> F:
    """`--output text|json`, read before every other option, so that errors of those come out the same way."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        is_eager=True,
        expose_value=False,
        callback=_set_output,
        help="json: one object on stdout, text for people on stderr.",
    )(command)


def reason(command: F) -> F:
    """`--reason`, required."""
    return click.option("--reason", "-r", required=True, metavar="TEXT", help="Why, for the record.")(command)


def actor(command: F) -> F:
    """`--actor`."""
    text = "Who, for the record. Default: KILLSWITCH_ACTOR, else user@host."
    return click.option("--actor", "-a", metavar="NAME", help=text)(command)


def scope(command: F) -> F:
    """`--scope`."""
    text = "Only this part of the fleet, such as symbol:EURUSD. Default: all of it."
    return click.option("--scope", "-s", type=ScopeType(), metavar="DIM:NAME", help=text)(command)


def epoch(command: F) -> F:
    """`--epoch`."""
    text = "The epoch that you looked at (`killswitch status`)."
    return click.option("--epoch", "-e", type=EpochType(0, 2**53 - 1), metavar="N", help=text)(command)
