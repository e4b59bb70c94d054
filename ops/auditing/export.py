"""`killswitch audit export`: the record for other programs, streamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TextIO

import click

from ops import options
from ops.auditing.telling import progress
from ops.auditing.times import MomentType
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import clean, count_of

_BATCH = 200
_MODE = 0o640


@click.command("export")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--since", type=MomentType(), metavar="MOMENT", help="From here on: 2026-01-31, 2026-01-31T12:00Z, 24h.")
@click.option("--until", type=MomentType(), metavar="MOMENT", help="Before this.")
@click.option("--scope", metavar="DIM:NAME", help="Only this part; `switch` is the switch itself.")
@click.option("--output-file", "path", type=click.Path(dir_okay=False), help="Write here, whole or not at all.")
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@options.output
def command(form: str, since: int | None, until: int | None, scope: str | None, path: str | None, force: bool) -> Exit:
    """Write every entry of the record with its seal, oldest first: a JSON line each, or rows for a spreadsheet.

    The record is read in portions, so neither Redis nor memory is ever full of it. JSON lines of the whole record can
    be verified later without Redis: `killswitch audit verify --export FILE`. In CSV nothing can become a formula.

    \b
    killswitch audit export --since 24h | jq -r 'select(.via == "raw") | .time'
    killswitch audit export --format csv --output-file record.csv
    """
    from killswitch import Auditor, Settings

    if scope is not None and scope != "switch":
        scope = str(options.ScopeType().convert(scope, None, click.get_current_context()))
    if console.json and path is None:
        return fail(Exit.USAGE, "usage", "--output json tells the result on stdout, so the entries need --output-file")
    lines = Auditor(Settings()).export("csv" if form == "csv" else "jsonl", since, until, scope)
    header = int(form == "csv")
    if path is None:
        if _write(lines, console.write, lambda: console.gone) == header:
            console.tell("no entry is on record there")
        return Exit.DONE
    if os.path.exists(path) and not force:
        return fail(Exit.USAGE, "usage", f"{path} is there already", "another name, or --force to replace it")
    try:
        with _whole_file(path) as file, progress("exporting") as seen:
            count = _write(_counted(lines, seen), file.write, lambda: False) - header
    except OSError as error:
        return fail(Exit.REFUSED, "not_written", f"{path}: {error.strerror or error}")
    size = os.path.getsize(path)
    console.say(f"{clean(path)}: {count_of(count, 'entry')}, {size:,} bytes")
    console.result({"path": path, "format": form, "entries": count, "bytes": size, "exit_code": int(Exit.DONE)})
    return Exit.DONE


def _counted(lines: Iterator[str], seen: Callable[[int], None]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        seen(number)
        yield line


def _write(lines: Iterator[str], write: Callable[[str], object], is_gone: Callable[[], bool]) -> int:
    """Writes in batches as lines come; how many. Ends where the reader went away."""
    batch: list[str] = []
    count = 0
    for line in lines:
        count += 1
        batch.append(line + "\n")
        if len(batch) == _BATCH:
            write("".join(batch))
            batch.clear()
            if is_gone():
                break
    write("".join(batch))
    return count


@contextlib.contextmanager
def _whole_file(path: str) -> Iterator[TextIO]:
    """A file that gets its name only when everything is in it and on the disk."""
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)}.", suffix=".part")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.chmod(part, _MODE)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
