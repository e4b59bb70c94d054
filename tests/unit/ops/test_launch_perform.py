"""The order of a launch: the first phase that fails ends it, and what was done is told and written in any case."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from killswitch import Settings, StoreUnavailable
from killswitch.core.reasons import Code
from ops.console import Console
from ops.exit_codes import Exit
from ops.launching import phases
from ops.launching.deployment import PHASES, Deployment, EngineState, LaunchStopped, PhaseReport
from ops.launching.findings import Permission
from ops.launching.perform import launch
from ops.launching.report import page
from tests.unit.ops.launch_doubles import asked

Phase = Callable[[Deployment, PhaseReport, Console], str]
EVIL = "a|b\x1b[2J\n# heading <script> [x](y)"


def scripted(patch: pytest.MonkeyPatch, **failing: BaseException) -> list[str]:
    """Phases that do nothing but those that fail; the names of those that ran."""
    ran: list[str] = []

    def make(name: str) -> Phase:
        def run(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
            ran.append(name)
            if name == "start":
                deployment.engines = (EngineState("e1", "queued", True, "j1", why=EVIL),)
                deployment.undo.insert(0, "killswitch down --engine e1")
            if name in failing:
                raise failing[name]
            return f"{name} went well"

        return run

    for name in PHASES:
        patch.setitem(phases.RUN, name, make(name))
    return ran


@pytest.mark.parametrize("failing", PHASES)
def test_a_phase_that_fails_ends_the_launch_there(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing after it runs, the code is not 0, and what was done until then is told and in the report."""
    ran = scripted(monkeypatch, **{failing: LaunchStopped("it went wrong", details=["a detail"])})
    done = launch(asked(tmp_path, "e1"), Console())
    before = PHASES[: PHASES.index(failing)]
    assert ran == [*before, failing]
    assert done.exit_code is Exit.FAILED
    told = capsys.readouterr()
    assert "FAIL  it went wrong\n      a detail" in told.out
    assert f"done until then: {', '.join(before) or 'nothing'}" in told.err
    (written,) = tmp_path.glob("deployment-*.json")
    report = json.loads(written.read_text())
    assert report["ok"] is False
    outcomes = [phase["outcome"] for phase in report["phases"]]
    assert outcomes == ["done"] * len(before) + ["failed"] + ["not reached"] * (3 - len(before))
    assert (failing == "start") == ("killswitch down --engine e1" in told.out)


def test_a_launch_that_is_whole_ends_with_0_and_both_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All four phases in order; engines that wait are not called launched."""
    ran = scripted(monkeypatch)
    done = launch(asked(tmp_path, "e1", permission=Permission("alice", "go live")), Console())
    assert (ran, done.exit_code) == (list(PHASES), Exit.DONE)
    text = capsys.readouterr().out
    assert "The fleet is ready: 1 of 1 engine starts when trading is permitted." in text
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".json"}
    assert f"report: {tmp_path}" in text


@pytest.mark.parametrize(
    ("error", "code", "outcome"),
    [
        (StoreUnavailable(Code.UNREACHABLE, "gone"), Exit.UNREACHABLE, "failed"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (SystemExit(143), Exit.INTERRUPTED, "interrupted"),
    ],
)
def test_what_ends_a_phase_from_outside_is_told_as_that(
    error: BaseException, code: Exit, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that goes away and Ctrl-C each have their code, and the report is written all the same."""
    scripted(monkeypatch, initialise=error)
    done = launch(asked(tmp_path, "e1"), Console())
    assert (done.exit_code, done.phases["initialise"].outcome) == (code, outcome)
    assert len(list(tmp_path.iterdir())) == 2


def test_report_that_cannot_be_written_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fleet is up; a full disk does not make that a failure."""
    scripted(monkeypatch)
    done = launch(asked(tmp_path / "absent", "e1"), Console())
    assert done.exit_code is Exit.DONE
    assert "could not be written" in capsys.readouterr().err


def test_page_is_one_table_row_for_each_fact_whatever_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text from elsewhere begins no column, no heading, no link and no tag."""
    scripted(monkeypatch)
    done = launch(asked(tmp_path, "e1"), Console())
    text = page(done)
    row = next(line for line in text.splitlines() if line.startswith("| e1 |"))
    assert row.replace("\\|", "").count("|") == 9
    assert "a\\|b\\\\x1b" in row
    assert "\\<script\\>" in row
    assert "\\[x\\](y)" in row
    assert "\x1b" not in text
    assert not any(line.startswith("# heading") for line in text.splitlines())


def test_sentinels_are_left_out_where_a_bare_set_is_needed() -> None:
    """The rehearsal goes to the master that preflight reached, with the same credentials and other settings."""
    url = "redis+sentinel://bob:p%40ss@s1:26379,s2:26379/main/3"
    switch = Settings(redis_url=url, lease_ms=2000, prefix="ks")
    direct = phases._direct(switch, "Redis at 10.0.0.5:6379")
    place = direct.endpoint
    assert (place.scheme, place.hosts, place.db) == ("redis", (("10.0.0.5", 6379),), 3)
    assert (place.username, place.password) == ("bob", "p@ss")
    assert (direct.lease_ms, direct.prefix) == (2000, "ks")
    assert phases._direct(switch, "Redis at ::1:6379").endpoint.hosts == (("::1", 6379),)
    plain = Settings(redis_url="redis://h:1/0")
    assert phases._direct(plain, "Redis at h:1") is plain


def test_what_keeps_an_engine_from_trading_is_told_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fleet with a closed gate is launched with a warning: on the screen, in the JSON and on the page."""
    scripted(monkeypatch)

    def start(deployment: Deployment, phase: PhaseReport, console: Console) -> str:
        deployment.engines = (EngineState("e1", "running", True, "j1", gate="closed: engaged"),)
        deployment.warnings.append("engine e1 runs with a closed gate: its scope is engaged")
        return "1 running"

    monkeypatch.setitem(phases.RUN, "start", start)
    console = Console()
    done = launch(asked(tmp_path, "e1", permission=Permission("alice", "go live")), console)
    told = capsys.readouterr()
    assert done.exit_code is Exit.DONE
    assert "The fleet is launched, but 1 of 1 engine may not trade: see the warning." in told.out
    assert "warning: engine e1 runs with a closed gate" in told.err
    assert console.warnings == ["engine e1 runs with a closed gate: its scope is engaged"]
    (written,) = tmp_path.glob("deployment-*.json")
    assert json.loads(written.read_text())["warnings"] == console.warnings
    assert "## Warnings" in page(done)
