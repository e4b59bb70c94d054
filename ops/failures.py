"""Every error as one clear paragraph, an exit code and a JSON object. No traceback reaches an operator."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ops.console import console
from ops.denied import denied
from ops.exit_codes import Exit
from ops.render import clean, wrap

__all__ = ["fail", "fail_each", "report"]

_LINE_WIDE = 96


def fail(exit_code: Exit, kind: str, message: str, *hints: str, **data: Any) -> Exit:
    """Says what went wrong, on stderr and, in JSON mode, as the object `error`; returns the code to end with."""
    console.trouble("error", clean(message))
    return _failed(exit_code, kind, message, hints, data)


def fail_each(exit_code: Exit, kind: str, head: str, violations: Sequence[str]) -> Exit:
    """The same for something that breaks several rules: people read each in a line of its own, to mend them one by one
    and to count what is left."""
    message = f"{head}: {'; '.join(violations)}"
    if len(violations) > 1:
        console.trouble("error", f"{head}:")
        for line in violations:
            first, *rest = wrap(clean(line), _LINE_WIDE) or [""]
            console.tell(f"  - {first}", *(f"    {more}" for more in rest))
    else:
        console.trouble("error", message)
    return _failed(exit_code, kind, message, (), {"violations": list(violations)})


def _failed(exit_code: Exit, kind: str, message: str, hints: Sequence[str], data: Mapping[str, Any]) -> Exit:
    for hint in hints:
        console.trouble("hint", clean(hint), "cyan")
    error = {"kind": kind, "message": message, "hints": list(hints), **data}
    console.result({"error": error, "exit_code": int(exit_code)})
    return exit_code


def _usage(error: click.UsageError) -> Exit:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        console.tell(*error.message.splitlines())
        return Exit.USAGE
    context = error.ctx
    path = context.command_path if context else "killswitch"
    message = error.format_message()
    return fail(Exit.USAGE, "usage", message[:1].lower() + message[1:], f"`{path} --help` shows how it is used.")


def _remedy(code: Any) -> str:
    text = str(getattr(code, "remedy", ""))
    return "" if text.startswith("None") else text


def _running() -> str:
    """The command that runs, as `audit seal`."""
    context = click.get_current_context(silent=True)
    return context.command_path.partition(" ")[2] if context else ""


def report(error: BaseException, *, full: bool = False, command: str = "") -> Exit:
    """The exit code of `error`, after it was explained. `full` adds where it came from; `command` is what was given."""
    if full:
        console.tell(*(clean(line) for line in "".join(traceback.format_exception(error)).splitlines()))
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        console.tell("")
        return fail(Exit.INTERRUPTED, "interrupted", "interrupted; `killswitch status` shows how things are.")
    if isinstance(error, click.ClickException):
        return fail(Exit.REFUSED, "refused", error.format_message())

    from killswitch import (
        AnchorUnavailable,
        ApprovalPending,
        EpochConflict,
        InvalidInput,
        NotAsAnchored,
        SettingsError,
        StoreRefused,
        StoreUnavailable,
    )

    if isinstance(error, InvalidInput):
        return fail(Exit.USAGE, "usage", str(error))
    if isinstance(error, SettingsError):
        return fail_each(Exit.USAGE, "settings", "settings are not valid", error.violations)
    if isinstance(error, EpochConflict):
        data = {"current_epoch": error.current, "given_epoch": error.given}
        return fail(Exit.REFUSED, "epoch_conflict", _conflict(error.current, error.given), **data)
    if isinstance(error, ApprovalPending):
        console.trouble("approved", error.reason, "warn")
        pending = {"epoch": error.epoch, "approved_by": error.who}
        hint = (
            "the second person gives the same command, with the same epoch and limits, under a name of his own: --actor"
        )
        return _failed(Exit.PENDING, "approval_pending", error.reason, (hint,), pending)
    if isinstance(error, AnchorUnavailable):
        return fail(Exit.UNREACHABLE, "anchor_unavailable", str(error), place=error.place)
    if isinstance(error, NotAsAnchored):
        hint = "nothing was added there. `killswitch audit verify --anchor PLACE` tells more."
        return fail(Exit.VIOLATED, "not_as_anchored", str(error), hint, place=error.place, count=error.count)
    if isinstance(error, StoreUnavailable):
        hints = [_remedy(error.code)] if _remedy(error.code) else []
        return fail(Exit.UNREACHABLE, "unreachable", error.reason, *hints, code=str(error.code))
    if isinstance(error, StoreRefused) and error.code == "redis_denied":
        message, hint = denied(command or _running(), error.reason)
        return fail(Exit.REFUSED, "refused", message, hint, code=str(error.code))
    if isinstance(error, StoreRefused):
        hints = [_remedy(error.code)] if _remedy(error.code) not in ("", *error.reason.split(": ")) else []
        return fail(Exit.REFUSED, "refused", error.reason, *hints, code=str(error.code))
    what = f"unexpected {type(error).__name__}: {str(error) or 'without a text'}"
    again = () if full else ("`killswitch --traceback ...` shows where it came from.",)
    return fail(Exit.INTERNAL, "internal", what, *again)


def _conflict(current: int, given: int | None) -> str:
    if given is None:
        return f"this loosens, so it needs the epoch that you looked at; it is {current} now"
    if given == current:  # given by this very call, so nobody can have looked at it
        return f"what lies there is on record, as epoch {current}, only since this call: look at it, then name it again"
    if given > current:
        return f"epoch {given} was never given here, it is {current} now: is it of another switch or scope?"
    return f"epoch {given} is not current, it is {current} now: somebody changed the switch since you looked"
