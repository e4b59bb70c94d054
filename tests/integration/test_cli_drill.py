"""`killswitch drill` in a shell: verdict and exit code, reports, history, and the drill that goes on for days."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.agents import CALM, open_epoch
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch


def old_worker(switch: Switch) -> None:
    """A member of a release that knew no drills."""
    switch.raw("FCALL", "ks_beat", 1, STATE, 1, "old", 0, 1, 0, 60000, 60000, "life", "rung", "bcast", "lease_ms", 300)


def test_drill_ends_with_zero_only_when_everybody_acknowledged(switch: Switch, shell: Shell) -> None:
    """Passed is 0; somebody missing is 5 and is named; another drill under way is 1. Each is kept, and can be shown."""
    agent = switch.agent(engine="eurusd", worker_id="w1", **CALM)
    epoch = open_epoch(agent)
    done = shell.run("drill", "--actor", "alice")
    assert (done.code, done.err) == (0, "")
    assert "DRILL PASSED  the only worker acknowledged" in done.out
    assert "w1" in done.out
    old_worker(switch)
    done = shell.run("drill", "--output", "json")
    assert (done.code, done.json["exit_code"], done.json["verdict"]) == (5, 5, "MISSED")
    assert (done.json["missing"], done.json["record"]["acknowledged"]) == (["old"], 1)
    assert "does not know drills" in done.err
    switch.raw("FCALL", "ks_drill", 1, f"{STATE}:drill:fleet", "begin", "00ff00ff", 60_000, "bob")
    done = shell.run("drill", "--output", "json")
    assert (done.code, done.json["error"]["kind"], done.json["error"]["actor"]) == (1, "busy", "bob")
    assert "a drill is under way, by bob" in shell.run("status").out
    found = shell.run("drill", "--history", "--output", "json").json["drills"]
    assert [(one["verdict"], one["actor"]) for one in found] == [("MISSED", "tester"), ("PASSED", "alice")]
    shown = shell.run("drill", "--history", "1").out
    assert ("MISSED" in shown, "PASSED" in shown, "not old" in shown) == (True, False, True)
    assert open_epoch(agent) == epoch


def test_a_report_is_written_or_nothing_is_announced(switch: Switch, shell: Shell) -> None:
    """Markdown and JSON by the name of the file, all workers on the screen for `-`; a bad name is usage, before."""
    open_epoch(switch.agent(worker_id="w1", **CALM))
    assert shell.run("drill", "--report", "drill.md").code == 0
    assert "| w1 |" in (shell.folder / "drill.md").read_text()
    assert shell.run("drill", "--report", "drill.json").code == 0
    assert json.loads((shell.folder / "drill.json").read_text())["verdict"] == "PASSED"
    assert "w1" in shell.run("drill", "--report", "-").out
    for bad in (("--report", "x.pdf"), ("--report", "no/x.md"), ("--every", "soon"), ("--history", "--every", "1m")):
        assert shell.run("drill", *bad).code == 2
    assert shell.run("drill", "--actor", "a\nb").code == 2
    assert len(switch.control.drills(10)) == 3


def test_without_its_library_a_drill_says_what_to_run(switch: Switch, shell: Shell) -> None:
    """As for every command; and nothing was announced."""
    switch.raw("FUNCTION", "FLUSH")
    done = shell.run("drill")
    assert done.code == 1
    assert "killswitch init" in done.err


@pytest.mark.faults
def test_a_drill_that_goes_on_survives_an_outage_and_ends_in_order(switch: Switch, shell: Shell) -> None:
    """One line each; while Redis does not answer it says so and goes on; SIGTERM ends it with a summary."""
    open_epoch(switch.agent(lease_ms=20_000, patience_ms=10_000, renew_ms=1000))
    shell.monkeypatch.setenv("KILLSWITCH_TIMEOUT_MS", "3000")  # a stall is no outage, and the outage is soon noticed
    process = shell.spawn("drill", "--every", "1s", "--output", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    lines = [json.loads(process.stdout.readline())]
    switch.server.sigstop()
    while "error" not in lines[-1]:
        lines.append(json.loads(process.stdout.readline()))
    switch.server.sigcont()
    while "drill" not in lines[-1]:
        lines.append(json.loads(process.stdout.readline()))
    process.send_signal(signal.SIGTERM)
    rest, told = process.communicate(timeout=60)
    end = json.loads(rest.splitlines()[-1])
    assert (lines[0]["drill"]["verdict"], lines[-1]["drill"]["verdict"]) == ("PASSED", "PASSED")
    assert end["ended"]["passed"] >= 2
    assert end["ended"]["not_made"] >= 1
    assert (process.returncode, end["exit_code"]) == (0, 0)
    assert "no drill: " in told
    assert "Traceback" not in told
    assert switch.control.status().drill is None


def test_a_drill_that_goes_on_does_not_begin_at_a_wrong_address(shell: Shell) -> None:
    """A mistake is no outage: it ends with 69 at once."""
    shell.monkeypatch.setenv("KILLSWITCH_REDIS_URL", "redis://127.0.0.1:1/0")
    assert shell.run("drill", "--every", "1h").code == 69
