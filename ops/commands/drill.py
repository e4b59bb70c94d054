"""`killswitch drill`: is the line sound that a stop would take? Measured on the live fleet, without stopping
anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ops import options
from ops.console import console, plain
from ops.drilling.repeat import ended_by_signals, repeat
from ops.drilling.report import drill_object, unwritable, write
from ops.drilling.telling import drill_lines, history_lines
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import count_of

if TYPE_CHECKING:
    from killswitch import Controller, Drill

_SUFFIXES = (".md", ".json")
_TO_SCREEN = "-"


class ReportType(click.ParamType[Any]):
    """A file for the report, or `-` for the whole of it on the screen."""

    name = "report"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, or `-`; a usage error where it cannot be written, before anything is sent."""
        if isinstance(value, Path) or value == _TO_SCREEN:
            return value
        path = Path(value)
        if path.suffix not in _SUFFIXES:
            self.fail(f"{value!r:.80} ends in neither .md nor .json: name such a file, or - for the screen", param, ctx)
        if trouble := unwritable(path):
            self.fail(f"{value!r:.80} cannot be written: {trouble}", param, ctx)
        return path


@click.command("drill")
@options.output
@options.actor
@click.option(
    "--every", type=options.SpanType(), metavar="10m", help="Drill again and again, one line each, until Ctrl-C."
)
@click.option(
    "--report",
    type=ReportType(),
    metavar="FILE.md|FILE.json|-",
    help="Write the report there; -: all of it on the screen.",
)
@click.option(
    "--history",
    is_flag=False,
    flag_value=20,
    default=None,
    type=click.IntRange(1, 1000),
    metavar="[N]",
    help="Make no drill; show the newest N that were made.",
)
def command(actor: str | None, every: int | None, report: Path | str | None, history: int | None) -> Exit:
    """Test the line that a stop takes, on the live fleet, without stopping anybody.

    A change of nothing is announced as a stop would be. Every worker closes its gate, asks what was changed, and goes
    on a round trip later; engines lose no signal and no order by it. Ends with 0 when every worker has acknowledged
    within the bound of its lease; with 5 when one did not (it is named, with the reason), or when somebody really
    changed the switch meanwhile, which comes first.

    \b
    killswitch drill
    killswitch drill --every 10m --output json >> drills.jsonl
    killswitch drill --report drill.md
    killswitch drill --history
    """
    from killswitch import Controller, DrillBusy, Settings

    if history is not None and (every is not None or report is not None):
        raise click.UsageError("--history makes no drill: leave --every and --report out")
    control = Controller(Settings(), via="command")
    if history is not None:
        return _show_history(control, history)

    def drill() -> Drill:
        done = control.drill(actor, _progress)
        console.status_line("")
        _write(report, done)
        return done

    if every is not None:
        return repeat(drill, every)
    try:
        with ended_by_signals():
            done = drill()
    except DrillBusy as busy:
        return fail(Exit.REFUSED, "busy", str(busy), actor=busy.actor)
    return _tell(done, everybody=report == _TO_SCREEN)


def _progress(_worker: str, _us: int, heard: int, awaited: int) -> None:
    console.status_line(console.paint(f"  {heard} of {count_of(awaited, 'worker')} acknowledged", "dim"))


def _tell(done: Drill, *, everybody: bool) -> Exit:
    console.say(*drill_lines(done, console.paint, console.columns, everybody=everybody))
    if not done.kept:
        console.warn("the result could not be kept in the history: this user may not, or Redis did not answer")
    code = Exit.DONE if done.verdict == "PASSED" else Exit.FAILED
    console.result({**drill_object(done), "exit_code": int(code)})
    return code


def _write(report: Path | str | None, done: Drill) -> None:
    if not isinstance(report, Path):
        return
    try:
        write(report, done)
    except OSError as error:
        console.warn(f"the drill was made, but its report could not be written to {report}: {error.strerror}")


def _show_history(control: Controller, count: int) -> Exit:
    records = control.drills(count)
    console.say(*history_lines(records[::-1], console.paint, console.columns))
    console.result({"drills": plain(records), "exit_code": int(Exit.DONE)})
    return Exit.DONE
