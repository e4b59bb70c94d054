"""`killswitch audit diff`: whether state, ledger, record and workers tell the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ops import options
from ops.console import console, plain
from ops.exit_codes import Exit
from ops.render import Cell, Column, Paint, clean, count_of, table, wrap

if TYPE_CHECKING:
    from killswitch import Disagreement

_SHOWN = 100


@click.command("diff")
@click.option(
    "--settle",
    "settle_s",
    type=options.SecondsType(0, 60),
    default=1.5,
    show_default=True,
    metavar="SECONDS",
    help="Look again after so long at what disagrees, and name what still does. 0: look once.",
)
@options.output
def command(settle_s: float) -> Exit:
    """Compare what the state keys, the ledger, the record and every worker tell, and name each disagreement.

    Ends with 0 when all agree and with 6 when something does not.

    \b
    killswitch audit diff
    killswitch audit diff --output json | jq '.disagreements[] | .difference'
    """
    from killswitch import Auditor, Settings

    found = Auditor(Settings()).compare(settle_s)
    console.say(*_lines(found, console.paint))
    code = Exit.VIOLATED if found else Exit.DONE
    shown = [{**plain(one), "remedy": one.difference.remedy} for one in found]
    console.result({"disagreements": shown, "exit_code": int(code)})
    return code


def _lines(found: tuple[Disagreement, ...], paint: Paint) -> list[str]:
    if not found:
        return [f"{paint('AGREED', 'go')}  state, ledger, record and workers tell the same"]
    columns = (
        Column("DIFFERENCE"),
        Column("WHERE", least=12, middle=True),
        Column("WHAT", least=40, wrap=True),
    )
    rows: list[tuple[Cell, ...]] = [
        ((str(one.difference), "stop"), clean(one.subject), clean(one.text)) for one in found[:_SHOWN]
    ]
    number = count_of(len(found), "disagreement")
    lines = [f"{paint('DISAGREED', 'alarm')}  {number}", "", *table(columns, rows, paint), ""]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more; --output json names them all")
    for difference in dict.fromkeys(one.difference for one in found):
        lines += wrap(f"{difference}: {difference.remedy}", indent="  ")
    return lines
