"""Children from the nursery are processes like any other: streams, arguments, exit codes, signals, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.fledglings import Running, spawn
from tests.support.waiting import eventually

MODULE = "json.tool"
"""Reads JSON on stdin until its end, and writes it; what is none ends it with 1 and a line on stderr."""


@pytest.fixture
def errors(tmp_path: Path) -> Path:
    """Where its stderr goes."""
    return tmp_path / "stderr"


def start(errors: Path, *words: str) -> Running:
    """One child with pipes."""
    with errors.open("wb") as log:
        return spawn(MODULE, words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)


def say(child: Running, text: bytes) -> bytes:
    """What it answers to all of its input."""
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin as fed, child.stdout as heard:
        fed.write(text)
        fed.close()
        return heard.read()


def test_streams_arguments_and_exit_codes_are_its_own(errors: Path) -> None:
    """What goes in comes out as the arguments say; an error is on its stderr and in its code, also beside another."""
    good, bad = start(errors, "--compact"), start(errors.with_name("other"))
    assert say(bad, b"{") == b""
    assert say(good, b'{"a": 1}') == b'{"a":1}\n'
    assert (good.wait(20), bad.wait(20)) == (0, 1)
    assert errors.read_text() == ""
    assert "Expecting property name" in errors.with_name("other").read_text()


def test_it_is_a_child_of_this_process_and_dies_of_signals(errors: Path) -> None:
    """Its parent is the test run, which can wait for it and sees which signal ended it."""
    child = start(errors)
    try:
        assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM
    finally:
        child.kill()
        say(child, b"")


def test_it_ends_with_whoever_started_it(tmp_path: Path, errors: Path) -> None:
    """A test run that is killed leaves nobody behind."""
    told = tmp_path / "pid"
    middle = os.fork()
    if middle == 0:
        told.write_text(str(start(errors).pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(middle, 0)
    place = Path("/proc", told.read_text())
    eventually(lambda: not place.exists() or ") Z " in (place / "stat").read_text(), why="the child is gone")
