"""`killswitch bench`: the figures of this machine."""

from __future__ import annotations

import click

from ops import options
from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail

__all__ = ["command"]

# Names only: the measurements themselves are imported when they run, so that `--help` stays quick.
_NAMES = ("calls", "loop", "observe", "late", "quiet", "fleet")


@click.command("bench")
@click.option("--quick", is_flag=True, help="Few repetitions: half a minute, rough figures.")
@click.option("--only", "names", multiple=True, type=click.Choice(_NAMES), help="Only this one; may be repeated.")
@options.output
def command(quick: bool, names: tuple[str, ...]) -> Exit:
    """Measure the switch on this machine; two minutes.

    Starts a server of its own, unless KILLSWITCH_REDIS_URL names one: then it works under a scratch prefix there and
    touches no other key. With KILLSWITCH_TEST_DATA, a folder of recorded quotes, the engine runs on real ticks.

    \b
    calls    a clock read, gate 1, gate 2, one redis-py GET
    loop     the engine's loop with gates, without, and with a GET before every tick
    observe  SET until the gate is closed, idle and busy, beside a bare socket reader
    late     checks that pass after the operator's +OK: there must be none
    quiet    SET until 1, 4 and 8 worker processes have proved that they are quiet
    fleet    1,000 agents on one Redis

    Ends with 1 when a late pass was seen. Speed is shown and never judged: it depends on the machine.

    \b
    Examples:
      killswitch bench --quick
      killswitch bench --only late --only quiet --output json
    """
    from killswitch import Settings
    from ops.bench import report, suite
    from ops.bench.errors import BenchError, NoServer

    try:
        result = suite.run(Settings(), only=names, quick=quick, say=console.status_line)
    except BenchError as error:
        code = Exit.UNREACHABLE if isinstance(error, NoServer) else Exit.REFUSED
        return fail(code, "bench", str(error))
    finally:
        console.status_line("")
    console.say(report.as_text(result.machine, result.rows, quick))
    ended = Exit.DONE if report.ok(result.rows) else Exit.REFUSED
    console.result({**report.as_json(result.machine, result.rows, quick), "exit_code": int(ended)})
    return ended
