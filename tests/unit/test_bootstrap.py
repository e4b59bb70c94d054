"""The set-up on a fresh machine: when it is done, when it is done again, and what a person is told when it fails."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bootstrap import REQUIREMENTS, BootstrapError, Environment, main
from tests.architecture.checks import ROOT


def _environment(folder: Path, *, level: str = "") -> Environment:
    environment = Environment(folder)
    for name in ("pyproject.toml", *REQUIREMENTS.values()):
        (folder / name).write_text("")
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    if level:
        environment.stamp.write_text(json.dumps({"level": level, "sum": environment.wanted()}))
    return environment


@pytest.mark.parametrize(
    ("held", "wanted", "ready"),
    [
        ("", "runtime", False),
        ("runtime", "runtime", True),
        ("runtime", "dev", False),
        ("dev", "runtime", True),
        ("dev", "dev", True),
    ],
)
def test_what_was_set_up_serves_what_it_includes(tmp_path: Path, held: str, wanted: str, ready: bool) -> None:
    """The tests' packages include the demonstration's, not the other way round."""
    assert _environment(tmp_path, level=held).ready(wanted) is ready


@pytest.mark.parametrize("name", ["pyproject.toml", *REQUIREMENTS.values()])
def test_a_changed_requirement_calls_for_another_set_up(tmp_path: Path, name: str) -> None:
    """Nothing is run with yesterday's packages."""
    environment = _environment(tmp_path, level="dev")
    (tmp_path / name).write_text("changed")
    assert not environment.ready("runtime")


@pytest.mark.parametrize("stamp", ["", "{", "[]", '"x"', "{}", '{"level": "dev", "sum": 1}'])
def test_a_stamp_that_cannot_be_read_is_none(tmp_path: Path, stamp: str) -> None:
    """A half-written stamp means that the set-up was not finished."""
    environment = _environment(tmp_path, level="dev")
    environment.stamp.write_text(stamp)
    assert not environment.ready("dev")


def test_an_environment_without_its_python_is_not_ready(tmp_path: Path) -> None:
    """A Python that was removed from the machine calls for another set-up."""
    environment = _environment(tmp_path, level="dev")
    environment.python.unlink()
    assert not environment.ready("dev")


def test_a_ready_environment_is_left_alone(tmp_path: Path) -> None:
    """The usual run takes no lock and writes nothing."""
    environment = _environment(tmp_path, level="dev")
    environment.prepare("runtime")
    assert not (tmp_path / ".venv.lock").exists()


def test_a_second_run_waits_for_the_first_and_finds_the_work_done(tmp_path: Path) -> None:
    """Two set-ups at once do the work once; the lock is the kernel's, so a killed run leaves none behind."""
    environment = _environment(tmp_path)
    code = (
        "import pathlib, sys; from ops import bootstrap as b; b.Environment(pathlib.Path(sys.argv[1])).prepare('dev')"
    )
    with (tmp_path / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        assert "waiting for it" in second.stderr.readline()
        environment.stamp.write_text(json.dumps({"level": "dev", "sum": environment.wanted()}))
    _, rest = second.communicate(timeout=20)
    assert (second.returncode, rest) == (0, "")


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES from the file", "differs from the one that was pinned"),
        ("ERROR: No space left on device", "the disk is full"),
        ("WARNING: Retrying\nERROR: No matching distribution found for x", "PIP_INDEX_URL"),
    ],
)
def test_a_failed_step_says_what_failed_and_what_to_do(tmp_path: Path, output: str, says: str) -> None:
    """One message: the step, the cause in plain words, and pip's own error lines below it."""
    command = [sys.executable, "-c", f"import sys; print({output!r}); sys.exit(1)"]
    with pytest.raises(BootstrapError, match="installing x failed: ") as caught:
        Environment(tmp_path)._run(command, "installing x")
    assert says in str(caught.value)
    assert output.splitlines()[-1] in str(caught.value)
    assert "WARNING" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A read-only tree gets a message, not a traceback."""
    environment = _environment(tmp_path)
    (tmp_path / ".venv.lock").mkdir()
    with pytest.raises(BootstrapError, match=f"cannot write in {tmp_path}"):
        environment.prepare("dev")


def test_another_argument_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The executables pass one of two words."""
    assert main([]) == main(["all"]) == 2
    assert "runtime|dev" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo is Python 3.9", "fake is Python 3.9"),
        ("echo 'has no venv (on Debian: apt install python3-venv)'", "python3-venv"),
    ],
)
def test_without_a_python_that_fits_the_message_names_what_was_found(tmp_path: Path, script: str, says: str) -> None:
    """Who has only an old Python learns which one was found and what is needed."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname"):
        (tools / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    (tools / "fake").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "fake").chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "ops/demo")], env={"PATH": str(tools), "PYTHON": "fake"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11, 3.12 or 3.13 with venv and pip is needed" in done.stderr
    assert says in done.stderr
