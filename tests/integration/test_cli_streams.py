"""What becomes of the words: a closed stream or a full disk changes neither what a command does nor its exit code."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from functools import partial

import pytest

from killswitch import local
from tests.support.agents import hold_permit, open_epoch, release
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

SPOILT = ("2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full")


def start(shell: Shell, words: str, streams: str) -> subprocess.Popen[str]:
    """A command started by a shell that does this to its streams."""
    line = f"exec {shlex.quote(sys.executable)} -m ops.cli {words} {streams}"
    return subprocess.Popen(
        [*local.leash(), "sh", "-c", line],
        cwd=shell.folder,
        env={name: value for name, value in shell.environment().items() if not name.startswith("COVERAGE_")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(shell: Shell, words: str, streams: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the same."""
    process = start(shell, words, streams)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_stop_is_proved_and_told_by_its_code_whatever_the_streams(switch: Switch, shell: Shell, output: str) -> None:
    """0 says QUIET also where no word of it could be written: a script must not read a refusal of what was done."""
    open_epoch(switch.agent(worker_id="w1"))
    for number, streams in enumerate(SPOILT):
        code, _, err = ended(shell, f"engage -r {number} --wait 20 --output {output}", streams)
        assert (code, switch.server.cli("GET", STATE)) == (0, f"ENGAGED {number}"), (streams, err)
        assert "Traceback" not in err


def test_a_stop_that_is_not_proved_stays_uncertain_whatever_the_streams(switch: Switch, shell: Shell) -> None:
    """3 says that it was not proved, not 1: that would say that nothing was changed."""
    for streams in SPOILT:
        code, _, err = ended(shell, "engage -r x --wait 0.2", streams)
        assert code == 3, (streams, err)
    assert switch.server.cli("GET", STATE) == "ENGAGED x"


def test_a_permission_that_was_given_is_told_by_its_code(switch: Switch, shell: Shell) -> None:
    """Trading is permitted, and 0 says so."""
    for streams in (">&-", ">/dev/full"):
        epoch = switch.control.engage("x").epoch
        assert ended(shell, f"reset -r go --epoch {epoch}", streams)[0] == 0
        assert switch.server.cli("GET", STATE) == "SAFE"


@pytest.mark.parametrize("words", ["status", "status --output json", "audit export", "acl --role monitor"])
def test_a_result_that_is_lost_on_a_full_disk_is_no_success(switch: Switch, shell: Shell, words: str) -> None:
    """Who keeps the output of such a command has half of it at most: 74, and stderr says why."""
    switch.control.engage("x")
    code, _, err = ended(shell, words, ">/dev/full")
    assert code == 74
    assert "No space left on device" in err
    assert "Traceback" not in err


def test_ctrl_c_writes_nothing_into_a_connection_that_took_the_number_of_a_closed_stream(
    switch: Switch, shell: Shell
) -> None:
    """The last words go straight to descriptors 1 and 2: with both closed these must not be those of Redis."""
    permit = hold_permit(switch.agent(worker_id="w1"), "c-17")
    clients = partial(switch.server.cli, "CLIENT", "LIST")
    with start(shell, "engage -r x --wait 60 --output json", ">&- 2>&-") as process:
        try:
            eventually(lambda: switch.server.cli("GET", STATE) == "ENGAGED x", timeout_s=30, why="it is engaged")
            eventually(lambda: "name=killswitch-control" in clients(), timeout_s=30, why="it waits")
            process.send_signal(signal.SIGINT)
            process.wait(30)
        finally:
            process.kill()
            release(permit)
    assert process.returncode == 3
    assert "unknown command" not in switch.server.cli("INFO", "errorstats")
    assert "errorstat_ERR" not in switch.server.cli("INFO", "errorstats")
