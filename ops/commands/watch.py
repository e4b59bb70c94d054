"""`killswitch watch`: the status screen kept up to date, or one line for each change in a pipe."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, Any

import click

from killswitch.clock import now_ns, sleep, wall_ms, wall_text
from ops import changes, options
from ops.console import console
from ops.exit_codes import Exit
from ops.render import Paint, clean, wrap
from ops.screens import status_lines

if TYPE_CHECKING:
    from killswitch import Controller, FleetStatus

__all__ = ["command", "screen"]

_SLICE_S = 0.05
_WIDEST = 200
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


@click.command("watch")
@click.option(
    "--every",
    type=options.SecondsType(0.1, 60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
def command(every: float) -> Exit:
    """Show the switch, the scopes and every worker, kept up to date. Ctrl-C ends it.

    In a pipe it prints one line for each change: of the switch, of a scope, and workers that join, turn quiet, open,
    fall silent or leave. When Redis does not answer, from the beginning or later, it says so and goes on looking.

    \b
    killswitch watch
    killswitch watch --every 2 >> fleet.log
    """
    from killswitch import Controller, Settings, StoreUnavailable

    status: FleetStatus | None
    control = Controller(Settings(), via="command")
    try:
        status, trouble = control.status(), ""
    except StoreUnavailable as error:  # an outage is when this is wanted; a refusal is somebody's mistake
        status, trouble = None, error.reason
    try:
        with _Ending() as ending:
            if console.live:
                _repaint(control, status, trouble, every, ending)
            else:
                _report(control, status, trouble, every, ending)
    except KeyboardInterrupt:
        pass
    return Exit.DONE


class _Ending:
    """SIGINT and SIGTERM end the watch at its next pause, so that the terminal is given back as it was. A second one
    does not wait for the pause."""

    def __init__(self) -> None:
        self.asked = False

    def _note(self, _number: int, _frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> _Ending:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pause(self, seconds: float) -> bool:
        """Waits; returns whether to go on."""
        until_ns = now_ns() + int(seconds * 1e9)
        while not (self.asked or console.gone) and (left_ns := until_ns - now_ns()) > 0:
            sleep(min(left_ns / 1e9, _SLICE_S))
        return not (self.asked or console.gone)


def _look(control: Controller) -> tuple[FleetStatus | None, str]:
    from killswitch import StoreRefused, StoreUnavailable

    try:
        return control.status(), ""
    except (StoreUnavailable, StoreRefused) as error:
        return None, error.reason


def _report(control: Controller, last: FleetStatus | None, failure: str, every: float, ending: _Ending) -> None:
    """Plain lines, for pipes and files."""
    lines = changes.opening(last) if last else [f"Redis does not answer: {clean(failure)}"]
    console.say(*map(_stamped, lines))
    while ending.pause(every):
        found, trouble = _look(control)
        if trouble and trouble != failure:
            console.say(_stamped(f"Redis does not answer: {clean(trouble)}"))
        elif found is not None:
            again = ["Redis answers again"] if failure else []
            news = changes.between(last, found) if last else changes.opening(found)
            console.say(*map(_stamped, [*again, *news]))
            last = found
        failure = trouble


def _stamped(line: str) -> str:
    return f"{wall_text(wall_ms())} {line}"


def _repaint(control: Controller, status: FleetStatus | None, failure: str, every: float, ending: _Ending) -> None:
    """The alternate screen, given back at the end whatever happens."""
    failed_ms = wall_ms() if failure else 0
    console.write(_ENTER)
    try:
        while True:
            size = shutil.get_terminal_size()
            lines = screen(status, failure, failed_ms, console.paint, size.columns, size.lines)
            console.write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
            if not ending.pause(every):
                break
            found, trouble = _look(control)
            failed_ms = (failed_ms or wall_ms()) if trouble else 0
            status, failure = found or status, trouble
    finally:
        console.write(_LEAVE)


def screen(
    status: FleetStatus | None, failure: str, failed_ms: int, paint: Paint, columns: int, rows: int
) -> list[str]:
    """What fits on a terminal of this size; while Redis does not answer, its last picture under a clear mark."""
    from killswitch import __version__

    limit = min(_WIDEST, columns - 1)
    lines = []
    if failure:
        text = f"Redis has not answered since {wall_text(failed_ms)}: {clean(failure)}"
        lines = [paint(line, "alarm") for line in wrap(text, limit)]
        seen = "what follows is the last that was seen" if status else "nothing was seen yet; it goes on looking"
        lines += [paint(seen, "warn"), ""]
    lines += status_lines(status, __version__, paint, limit) if status else [""]
    lines[-1] += paint("   Ctrl-C ends", "dim")
    if len(lines) > rows:
        hidden = len(lines) - rows + 1
        lines = [*lines[: rows - 2], paint(f"... {hidden} more lines: the window is too small", "dim"), lines[-1]]
    return lines
