"""`killswitch preflight`: looks before anybody trades."""

from __future__ import annotations

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit


@click.command("preflight")
@click.option("--only", multiple=True, metavar="NAME", help="Only this check; may be repeated.")
@click.option("--skip", multiple=True, metavar="NAME", help="Without this check; may be repeated.")
@click.option("--strict", is_flag=True, help="A warning fails as well.")
@options.output
def command(only: tuple[str, ...], skip: tuple[str, ...], strict: bool) -> Exit:
    """Check the server, the settings and the fleet before they are trusted.

    Asks the switch's Redis and the queue's, measures the line to it on a key of its own (`<prefix>:preflight:...`, gone
    in the end), and tells what it found, why that matters and what to do. What this user may not look at is a
    warning, never ok. Ends with 5 if a check failed. Run it on each host that trades, with the user that trades.

    \b
    killswitch preflight
    killswitch preflight --only tracking --only clock
    killswitch preflight --strict --output json | jq -r '.findings[] | select(.verdict == "warn") | .name'
    """
    from ops.checking import both_settings, check, count_line, finding_lines, preflight_json

    switch, config, violations = both_settings()
    report = check(switch, config, violations, console, only=only, skip=skip)
    console.say(*finding_lines(report.findings, console.paint), "")
    console.say(count_line(report, console.paint, strict=strict))
    code = Exit.DONE if report.passed(strict=strict) else Exit.FAILED
    console.result({**preflight_json(report, strict=strict), "exit_code": int(code)})
    return code
