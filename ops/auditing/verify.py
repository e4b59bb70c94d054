"""`killswitch audit verify`: whether the record is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops import options
from ops.auditing.telling import count_of, progress, verification_lines
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import span

if TYPE_CHECKING:
    from killswitch import Verification


@click.command("verify")
@click.option("--seal", is_flag=True, help="First seal what nobody has sealed yet.")
@click.option(
    "--max-unsealed",
    "max_unsealed_s",
    type=options.SpanType(),
    metavar="TIME",
    help="End with 7 when a change has gone unsealed for longer: 30s, 10m, 1h.",
)
@options.output
def command(seal: bool, max_unsealed_s: int | None) -> Exit:
    """Look through the whole record and name everything that was altered since it was sealed.

    Found are entries that were edited, deleted, inserted or reordered, a front that was cut off, seals that were
    altered or taken, epochs that do not rise. An end that was cut off, and a chain that was built anew by somebody who
    can write to the record and to its seals, is found against an anchor only.

    \b
    killswitch audit verify
    killswitch audit verify --output json | jq .findings
    """
    from killswitch import Auditor, Settings

    auditor = Auditor(Settings())
    if seal:
        sealing = auditor.seal()
        if sealing.obstacle:
            console.warn(f"sealing can not go on: {sealing.obstacle}")
    with progress("verifying") as seen:
        found = auditor.verify(on_progress=seen)
    return _told(found, max_unsealed_s)


def _told(found: Verification, max_unsealed_s: int | None) -> Exit:
    if found.empty and found.intact:
        return fail(
            Exit.UNREACHABLE,
            "no_record",
            "there is no record to look through: nothing was ever changed here, or it was lost",
            "are KILLSWITCH_REDIS_URL and KILLSWITCH_PREFIX those of the fleet?",
        )
    console.say(*verification_lines(found, console.paint))
    code = _code(found, max_unsealed_s)
    if code is Exit.UNSEALED:
        console.warn(
            f"{count_of(found.unsealed, 'entry')} not sealed, the oldest for {span(found.unsealed_ms)}: is "
            "`killswitch audit seal` in cron?"
        )
    console.result({**plain(found), "intact": found.intact, "exit_code": int(code)})
    return code


def _code(found: Verification, max_unsealed_s: int | None) -> Exit:
    if not found.intact:
        return Exit.VIOLATED
    if found.unchecked:
        return Exit.UNREACHABLE
    if max_unsealed_s is not None and found.unsealed_ms > max_unsealed_s * 1000:
        return Exit.UNSEALED
    return Exit.DONE
