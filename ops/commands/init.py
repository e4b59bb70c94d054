"""`killswitch init`: makes Redis ready for the switch."""

from __future__ import annotations

import click

from ops import options
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.render import clean, wrap
from ops.screens import state_words


@click.command("init")
@options.actor
@options.output
def command(actor: str | None) -> Exit:
    """Load the function library into Redis. May be repeated at any time.

    Where there is no state yet it writes `ENGAGED initialised`: nothing trades until somebody permits it. A state that
    is there stays as it is. Puts on record for all what KILLSWITCH_ON_FAILOVER and KILLSWITCH_PERSONS say.

    \b
    killswitch init
    killswitch reset --reason "go live"
    """
    from killswitch import Controller, Settings

    control = Controller(Settings(), via="command")
    report = control.init(actor)
    paint = console.paint
    console.say(f"the function library, version {report.library_version}, is loaded into {clean(report.server)}")
    if report.created:
        console.say(f"there was no state: it is {paint('ENGAGED initialised', 'stop')} now, epoch {report.epoch}")
        console.say('permit trading with: killswitch reset --reason "..."')
    else:
        console.say(*wrap(f"the state was left as it is: {state_words(report.state)}, epoch {report.epoch}"))
    if report.on_failover != "halt":
        console.warn(
            f"KILLSWITCH_ON_FAILOVER={report.on_failover} is on record: after a restart or fail-over of Redis trading "
            "goes on, and an engagement that Redis lost may be undone by it"
        )
    if report.persons == 1 and control.settings.persons == 1:
        console.say("one person may permit")
    if report.persons > 1:
        console.say('a permission takes two persons: killswitch reset --reason "..." by one, then by another')
    console.result({**plain(report), "exit_code": int(Exit.DONE)})
    control.close()
    return Exit.DONE
