"""`killswitch audit anchor`: copies the head of the chain to where nobody who can write to Redis can change it."""

from __future__ import annotations

from typing import Any

import click

from ops import options
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.failures import fail, report
from ops.render import clean, count_of


@click.command("anchor")
@click.option("--file", "files", multiple=True, metavar="PATH", help="Add a line to this file, and to the disk.")
@click.option(
    "--syslog",
    "syslogs",
    multiple=True,
    is_flag=False,
    flag_value="/dev/log",
    metavar="[PLACE]",
    help="Send a line to syslog: this host's, a socket's path, or HOST:PORT (UDP).",
)
@click.option("--redis", "servers", multiple=True, metavar="URL", help="Add it to a stream in another Redis.")
@options.actor
@options.output
def command(files: tuple[str, ...], syslogs: tuple[str, ...], servers: tuple[str, ...], actor: str | None) -> Exit:
    """Copy the head of the chain (how many entries are sealed, and the last link) to other places.

    A record that is cut at its end, or built anew from its beginning, can look whole in itself; it does not hold the
    heads that were copied before. Without options the places are those of KILLSWITCH_ANCHORS. A place that holds a head
    which the record of today does not have is left as it is, and the command ends with 6.

    \b
    killswitch audit anchor --file /var/lib/killswitch/anchors.jsonl --syslog
    killswitch audit verify --anchor /var/lib/killswitch/anchors.jsonl
    """
    from killswitch import AnchorPlace, Auditor, InvalidInput, Settings

    auditor = Auditor(Settings())
    if any("://" in path for path in files):
        raise InvalidInput(
            "--file takes the path of a file: give the URL of another Redis to --redis, a host to --syslog"
        )
    places = [AnchorPlace.file(path) for path in files]
    places += [AnchorPlace.parse(_syslog(text)) for text in syslogs]
    places += [AnchorPlace.parse(url) for url in servers]
    if any(place.endpoint is None for place in places[len(files) + len(syslogs) :]):
        raise InvalidInput("--redis takes the URL of another Redis: redis://host:port/db")
    places = places or list(auditor.settings.anchor_places)
    if not places:
        hint = "name a place: --file, --syslog or --redis, or KILLSWITCH_ANCHORS"
        return fail(Exit.USAGE, "usage", "nowhere to copy the head to", hint)
    done: list[dict[str, Any]] = []
    for place in places:
        try:
            head = auditor.anchor(place, actor)
        except Exception as error:
            if done:
                console.tell(f"  before that the head was copied to {', '.join(clean(one['place']) for one in done)}")
            return report(error)
        console.say(f"{clean(place)}: {count_of(head.count, 'entry')} sealed, the last with {clean(head.link[:16])}…")
        done.append({"place": str(place), "anchor": plain(head)})
    console.result({"anchored": done, "exit_code": int(Exit.DONE)})
    return Exit.DONE


def _syslog(text: str) -> str:
    """What AnchorPlace takes, of what people write behind --syslog."""
    return f"syslog:{text}" if text.startswith("/") else f"syslog://{text}"
