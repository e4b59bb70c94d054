"""`killswitch audit verify`: whether the record is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops import options
from ops.auditing.telling import progress, verification_lines
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.failures import fail
from ops.render import count_of, span

if TYPE_CHECKING:
    from killswitch import Anchor, Auditor, Verification


@click.command("verify")
@click.option("--seal", is_flag=True, help="First seal what nobody has sealed yet.")
@click.option(
    "--max-unsealed",
    "max_unsealed_s",
    type=options.SpanType(),
    metavar="TIME",
    help="End with 7 when a change has gone unsealed for longer: 30s, 10m, 1h.",
)
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="PLACE",
    help="Compare with the heads copied here: a path, or the URL of another Redis. Default: KILLSWITCH_ANCHORS.",
)
@click.option(
    "--export",
    "export",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Look through an export of the whole record (JSON lines) instead, without Redis.",
)
@options.output
def command(seal: bool, max_unsealed_s: int | None, anchors: tuple[str, ...], export: str | None) -> Exit:
    """Look through the whole record and name everything that was altered since it was sealed.

    Found are entries that were edited, deleted, inserted or reordered, a front that was cut off, seals that were
    altered or taken, epochs that do not rise. An end that was cut off, and a chain that was built anew by somebody who
    can write to the record and to its seals, is found against an anchor only.

    Ends with 0 when all is well, 6 when something is wrong, 7 when changes have gone unsealed for too long, and 69 when
    it could not look, or not at all of it. Nothing is changed, unless with --seal.

    \b
    killswitch audit verify --anchor /var/lib/killswitch/anchors.jsonl --max-unsealed 10m
    killswitch audit verify --output json | jq '.findings[] | .kind'
    """
    from killswitch import Auditor, Settings

    auditor = Auditor(Settings())
    if export is not None and (seal or max_unsealed_s is not None):
        return fail(Exit.USAGE, "usage", "an export can be neither sealed nor asked how long something is unsealed")
    if seal:
        sealing = auditor.seal()
        if sealing.obstacle:
            console.warn(f"sealing can not go on: {sealing.obstacle}")
    known, missing = _known(auditor, anchors)
    with progress("verifying") as seen:
        if export is None:
            found = auditor.verify(known, on_progress=seen)
        else:
            with open(export, encoding="utf-8", errors="replace") as lines:
                found = auditor.verify_export(lines, known)
    return _told(found, max_unsealed_s, missing)


def _known(auditor: Auditor, given: tuple[str, ...]) -> tuple[list[Anchor], list[str]]:
    """The anchors to compare with, and why some of them are not to be had."""
    from killswitch import AnchorPlace, AnchorUnavailable

    places = [AnchorPlace.parse(text) for text in given]
    places = places or [place for place in auditor.settings.anchor_places if place.can_be_read]
    known: list[Anchor] = []
    missing = []
    for place in places:
        try:
            book = auditor.anchors(place)
        except AnchorUnavailable as error:
            missing.append(str(error))
            continue
        known += book.anchors
        if book.unreadable:
            lines = count_of(book.unreadable, "line")
            console.warn(f"{lines} of the anchors at {place} cannot be read: cut off in writing, or altered")
    return known, missing


def _told(found: Verification, max_unsealed_s: int | None, missing: list[str]) -> Exit:
    if found.empty and found.intact:
        return fail(
            Exit.UNREACHABLE,
            "no_record",
            "there is no record to look through: nothing was ever changed here, or it was lost",
            "are KILLSWITCH_REDIS_URL and KILLSWITCH_PREFIX those of the fleet?",
        )
    console.say(*verification_lines(found, console.paint))
    for text in missing:
        console.trouble("error", f"not compared: {text}")
    code = _code(found, max_unsealed_s, bool(missing))
    if code is Exit.UNSEALED:
        console.warn(
            f"{count_of(found.unsealed, 'entry')} not sealed, the oldest for {span(found.unsealed_ms)}: is "
            "`killswitch audit seal` in cron?"
        )
    console.result({**plain(found), "intact": found.intact, "not_compared": missing, "exit_code": int(code)})
    return code


def _code(found: Verification, max_unsealed_s: int | None, missing: bool) -> Exit:
    if not found.intact:
        return Exit.VIOLATED
    if found.unchecked or missing:
        return Exit.UNREACHABLE
    if max_unsealed_s is not None and found.unsealed_ms > max_unsealed_s * 1000:
        return Exit.UNSEALED
    return Exit.DONE
