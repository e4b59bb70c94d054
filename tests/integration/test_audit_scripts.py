"""The scripts for cron: silent while all is well, the code and the findings when it is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.server import RealServer, binary
from tests.support.shell import Shell
from tests.support.switch import Switch
from tests.support.tampering import AUDIT, SEALS, Tamper

SCRIPTS = ROOT / "ops" / "audit"


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """A switch on whatever server there is: the scripts know none."""
    program = binary("redis") or binary("valkey")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no server")
    server = RealServer(program)
    made = Switch(server, tmp_path)
    try:
        made.permit()
        yield made
    finally:
        made.close()
        server.stop()


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch` whose heads are copied to a file."""
    folder = tmp_path / "shell"
    folder.mkdir()
    monkeypatch.setenv("KILLSWITCH_ANCHORS", str(tmp_path / "anchors.jsonl"))
    switch.control.engage("stop")
    switch.control.engage("stop more")
    switch.settled()
    switch.raw("DEL", SEALS)
    return Shell(switch.url, folder, monkeypatch, capsys)


def script(shell: Shell, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One run, as cron would."""
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    environment = {**shell.environment(), "PATH": path}
    command = [str(SCRIPTS / name), *words]
    return subprocess.run(command, cwd=shell.folder, env=environment, capture_output=True, text=True, timeout=60)


def test_check_is_silent_while_all_is_well_and_alarms_when_it_is_not(shell: Shell, switch: Switch) -> None:
    """It seals, looks and copies the head; a change by hand is sealed; a cut end ends with 6 and nothing is copied."""
    anchors = Path(os.environ["KILLSWITCH_ANCHORS"])
    missing = script(shell, "check")
    assert (missing.returncode, "not compared" in missing.stderr) == (69, True), missing
    assert Tamper(switch.server).entries(SEALS) == [], "nothing is sealed over what could not be compared"
    assert not anchors.exists()
    begun = script(shell, "check", "--begin")
    assert (begun.returncode, begun.stdout + begun.stderr) == (0, "")
    switch.raw("FCALL", "ks_engage", 1, "killswitch:state", "by hand")
    done = script(shell, "check", "--max-unsealed", "1h")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert len(anchors.read_text().splitlines()) == 2
    tamper = Tamper(switch.server)
    tamper.write(tamper.entries()[:-1])
    tamper.write(tamper.entries(SEALS)[:-1], SEALS)
    cut = script(shell, "check")
    assert cut.returncode == 6
    assert cut.stdout == ""
    assert "killswitch audit verify ended with 6" in cut.stderr
    assert "an anchor knows more" in " ".join(cut.stderr.split())
    assert len(anchors.read_text().splitlines()) == 2
    assert script(shell, "check", "--nonsense").returncode == 2


def test_check_finds_a_ledger_that_was_forged(shell: Shell, switch: Switch) -> None:
    """The record is as it was sealed, so only the comparison of the two tells; it is sealed and copied all the same."""
    assert script(shell, "check", "--begin").returncode == 0
    switch.raw("HSET", "killswitch:ledger", "switch:actor", "mallory")
    found = script(shell, "check", "--max-unsealed", "1h")
    assert (found.returncode, found.stdout) == (6, "")
    assert "killswitch audit diff ended with 6" in found.stderr
    assert "other-entry" in found.stderr
    assert len(Path(os.environ["KILLSWITCH_ANCHORS"]).read_text().splitlines()) >= 1


def test_archive_keeps_a_verified_copy_of_the_record(shell: Shell, switch: Switch) -> None:
    """Read-only, whole, checked without Redis; a record that was altered is kept as evidence and reported."""
    shell.run("audit", "seal")
    shell.run("audit", "anchor")
    done = script(shell, "archive", ".")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    (copy,) = shell.folder.glob("record-*.jsonl")
    tamper = Tamper(switch.server)
    assert len(copy.read_text().splitlines()) == len(tamper.entries())
    assert copy.stat().st_mode & 0o777 == 0o440
    copy.rename(shell.folder / "kept")
    tamper.client.xdel(AUDIT, tamper.entries()[1][0])
    tamper.client.xdel(SEALS, tamper.entries(SEALS)[1][0])
    bad = script(shell, "archive", ".")
    assert bad.returncode == 6
    assert "seals-missing" in bad.stderr
    assert len(list(shell.folder.glob("record-*.jsonl"))) == 1
    assert script(shell, "archive", "nowhere").returncode == 2
