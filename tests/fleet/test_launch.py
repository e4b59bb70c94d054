"""`killswitch launch` and `killswitch down` for real, with the example that is shipped: one server, one worker."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from killswitch import Controller
from ops.launching import phases
from tests.fleet.world import ENDLESS, SOON, Fleet, Worker, start_server
from tests.support.launching import launched
from tests.support.processes import ROOT, Children
from tests.support.server import RealServer
from tests.support.shell import Shell
from workers import queues
from workers.roster import Place, Roster

pytestmark = [pytest.mark.fleet, pytest.mark.real, pytest.mark.timeout(120)]

EXAMPLE = ROOT / "examples" / "fleet.toml"
ENGINE = "eurusd-1"


@pytest.fixture
def server() -> Iterator[RealServer]:
    """One server for switch and queue, as `killswitch server` starts it."""
    made = start_server()
    yield made
    made.stop()


@pytest.fixture
def variables(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of worker and operator."""
    found = {
        "KILLSWITCH_REDIS_URL": server.url,
        "WORKERS_QUEUE_URL": server.url.replace("/0", "/1"),
        "KILLSWITCH_BEAT_MS": "200",
        "WORKERS_POLL_MS": "20",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def unchanged(deployment: Any, phase: Any, console: Any) -> str:
    """In place of a rehearsal that was played a moment ago."""
    return "played before"


def test_the_shipped_example_is_launched_once_and_taken_down(
    server: RealServer,
    variables: dict[str, str],
    children: Children,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Engaged it waits in its queue; permitted it runs; launched again it is not placed twice; down, it is gone."""
    worker = Worker(children.worker(env=variables))
    worker.saw("worker_started")
    shell = Shell(server.url, tmp_path, monkeypatch, capsys)
    queue = server.client(db=1)
    roster = Roster(queue)
    shutil.copy(EXAMPLE, tmp_path / "fleet.toml")

    first = launched(shell, "launch", "fleet.toml")
    assert [phase["outcome"] for phase in first.json["phases"]] == ["done"] * 4
    scenarios = first.json["phases"][1]["found"]["scenarios"]
    assert [one["name"] for one in scenarios] == ["normal", "mid-stream", "from-the-start"]
    assert all(check["holds"] for one in scenarios for check in one["checks"])
    assert scenarios[0]["total"]["orders"] > 0
    assert [(one["name"], one["state"]) for one in first.json["engines"]] == [(ENGINE, "queued")]
    assert Controller().status().switch.text == "ENGAGED initialised"
    assert [key for key in server.client().scan_iter() if b"rehearsal" in key or b"preflight" in key] == []
    assert [key for key in queue.scan_iter() if b"demo" in key] == []
    (placed,) = roster.look()

    monkeypatch.setitem(phases.RUN, "rehearsal", unchanged)
    again = launched(shell, "launch", "fleet.toml", "--permit", "--actor", "alice", "--reason", "go live")
    (engine,) = again.json["engines"]
    assert (engine["state"], engine["job"], engine["placed"]) == ("running", placed.job_id, False)
    assert engine["worker"] == worker.name
    (running,) = roster.look()
    assert (running.job_id, running.place) == (placed.job_id, Place.RUNNING)
    assert (Controller().status().switch.text, Controller().status().switch.actor) == ("SAFE", "alice")
    reports = sorted(tmp_path.glob("deployment-*"))
    assert {path.suffix for path in reports} == {".json", ".md"}
    assert json.loads(reports[0].read_text())["fleet"]["sha256"]

    refused = shell.run("launch", "fleet.toml")
    assert (refused.code, "engines would trade at once" in refused.out) == (5, True)

    down = shell.run("down", "--output", "json")
    assert down.code == 0, down
    (ended,) = down.json["engines"]
    assert (ended["engine"], ended["how"], ended["down"]) == (ENGINE, "stopped", True)
    assert ended["ticks"] > 0
    assert roster.look() == ()
    assert Controller().status().switch.text == "SAFE"
    worker.saw("engine_end", ending="stopped")
    assert shell.run("down").code == 0
    assert shell.run("down", "--engine", ENGINE).code == 0
    mistyped = shell.run("down", "--engine", "eurusd-2")
    assert (mistyped.code, "nothing was stopped" in " ".join(mistyped.err.split())) == (5, True)


def test_an_engine_placed_by_hand_and_an_engaged_scope_are_told(
    server: RealServer,
    variables: dict[str, str],
    children: Children,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An engine that trades with other settings ends the launch before the switch is touched; one of the file whose
    scope is engaged is launched with a warning that names both, and how to open it."""
    monkeypatch.setitem(phases.RUN, "rehearsal", unchanged)
    Controller().init()
    Controller().engage("bad prices", "bob", "symbol:EURUSD")
    Controller().reset(Controller().status().switch.epoch, "go live", "alice")
    worker = Worker(children.worker(env=variables))
    worker.saw("worker_started")
    queue = server.client(db=1)
    job = queues.place_engine(queue, {**ENDLESS, "name": ENGINE, "scopes": []})
    worker.saw("job_started")
    before = Controller().status().switch.epoch
    shell = Shell(server.url, tmp_path, monkeypatch, capsys)
    shutil.copy(EXAMPLE, tmp_path / "fleet.toml")
    permit = ("launch", "fleet.toml", "--permit", "--actor", "alice", "--reason", "London", "--epoch", str(before))

    refused = shell.run(*permit)
    said = " ".join(refused.out.split())
    assert refused.code == 5
    assert f"engine {ENGINE} runs already with other settings than the file (" in said
    assert "scopes: none, the file says strategy:meanrev, symbol:EURUSD" in said
    assert f"`killswitch down FLEET --engine {ENGINE}` with this file" in said
    assert "FAIL preflight: engines nothing was changed" in said
    assert Controller().status().switch.epoch == before
    assert [placed.job_id for placed in Roster(queue).look()] == [job.id]

    assert shell.run("down", "fleet.toml", "--engine", ENGINE).code == 0
    done = launched(shell, *permit)
    assert done.json["engines"][0]["gate"] == "closed: scope_engaged"
    (warning,) = done.json["warnings"]
    assert f"engine {ENGINE} runs with a closed gate: its scope symbol:EURUSD is ENGAGED bad prices by bob" in warning
    assert "killswitch reset --scope symbol:EURUSD --epoch 2 --reason TEXT" in warning
    assert "but 1 of 1 engine may not trade" in done.err
    findings = {one["name"]: one["verdict"] for one in done.json["phases"][0]["found"]["findings"]}
    assert (findings["scopes"], findings["engines"]) == ("warn", "ok")


def test_interrupt_in_the_rehearsal_leaves_nothing_behind(
    server: RealServer, variables: dict[str, str], children: Children, tmp_path: Path
) -> None:
    """Ctrl-C: code 130, a report that says so, no process, no key of the scratch prefix, and the switch as it was: the
    dry run wrote and removed nothing of the fleet's."""
    Controller().init()
    worker = Worker(children.worker(env=variables))
    worker.saw("worker_started")
    child = children.python(
        "-m", "ops.cli", "launch", str(EXAMPLE), "--report", str(tmp_path), env={**variables, "TMPDIR": str(tmp_path)}
    )
    child.wait_for("ok    Normal operation", timeout_s=60)
    child.send(signal.SIGINT)
    assert child.wait(30) == 130
    assert "Traceback" not in child.output
    assert "done until then: preflight" in child.output
    (written,) = tmp_path.glob("deployment-*.json")
    outcomes = [phase["outcome"] for phase in json.loads(written.read_text())["phases"]]
    assert outcomes == ["done", "interrupted", "not reached", "not reached"]
    assert [key for key in server.client().scan_iter() if b"rehearsal" in key] == []
    assert [key for key in server.client(db=1).scan_iter() if b"demo" in key] == []
    assert list(tmp_path.glob("ks-demo-*")) == []
    status = Controller().status()
    assert (status.switch.text, status.switch.epoch, len(Controller().audit())) == ("ENGAGED initialised", 1, 1)
    assert [member.worker_id for member in status.members] == [worker.name]
    assert Roster(server.client(db=1)).look() == ()


def test_down_withdraws_what_a_dead_worker_left_and_stops_what_runs(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing comes back: not from the queue, not from a worker that was killed, not from one that was set free."""
    shell = Shell(fleet.switch.unix_url, tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("WORKERS_QUEUE_URL", fleet.queue_server.unix_url)
    dead = fleet.worker("--queues", "engines", **SOON)
    fleet.place(ENDLESS, name="left")
    dead.saw("job_started")
    dead.child.process.kill()
    dead.child.process.wait()
    roster = Roster(fleet.queue)
    assert [one.place for one in roster.of("left")] == [Place.RUNNING]
    fleet.place(ENDLESS, name="waits")
    done = shell.run("down", "--engine", "left", "--engine", "waits", "--timeout", "20", "--output", "json")
    assert {one["engine"]: one["how"] for one in done.json["engines"]} == {"left": "withdrawn", "waits": "withdrawn"}
    assert roster.look() == ()
    assert fleet.waiting() == []
    assert fleet.control.status().switch.text == "SAFE"
