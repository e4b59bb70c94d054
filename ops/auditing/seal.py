"""`killswitch audit seal`: seals what has not been sealed yet."""

from __future__ import annotations

import click

from ops import options
from ops.auditing.telling import progress
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import clean, count_of


@click.command("seal")
@options.output
def command() -> Exit:
    """Seal every change that has no seal yet. For cron, every few minutes; may run several times at once.

    Whoever changes the switch with this tool or with the library seals afterwards. What was changed by hand, or where
    the sealing did not come about, is left to this command. A seal never changes; sealing twice changes nothing.

    \b
    killswitch audit seal
    killswitch audit verify --seal --max-unsealed 10m
    """
    from killswitch import Auditor, Settings

    with progress("sealing") as seen:
        done = Auditor(Settings()).seal(on_progress=seen)
    if done.obstacle:
        return fail(
            Exit.VIOLATED,
            "not_sealed",
            f"sealed {count_of(done.sealed, 'entry')}, and can not go on: {done.obstacle}",
            "`killswitch audit verify` tells what is wrong; docs/runbook.md how to go on from there.",
            sealing=plain(done),
        )
    head = f", the last with {clean(done.link[:16])}…" if done.position else ""
    console.say(f"sealed {count_of(done.sealed, 'entry')}; {count_of(done.position, 'entry')} sealed in all{head}")
    console.result({**plain(done), "exit_code": int(Exit.DONE)})
    return Exit.DONE
