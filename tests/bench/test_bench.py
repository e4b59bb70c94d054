"""The benchmark as a program: what must hold of it on every machine. No time is asserted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from killswitch import Controller, Settings
from killswitch.clock import now_ns
from ops.bench import late, probe, report, rounds, suite
from ops.bench.figures import Row, quantile
from ops.bench.scene import Stage, open_scene
from ops.commands.bench import _NAMES
from tests.support.server import RealServer

_FIELDS = {"name", "title", "unit", "p50", "p99", "runs", "target", "reached", "note"}
_MACHINE = {"cpu": "a processor", "cores": 2, "system": "s", "load": [0.1], "python": "p", "server": "r", "origin": "o"}


def _settings(server: RealServer) -> Settings:
    settings = Settings(_env_file=None, redis_url=server.url)
    Controller(settings).init(actor="tests")
    return settings


def _bench(server: RealServer, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops", "bench", "--quick", *words]
    env = {**os.environ, "KILLSWITCH_REDIS_URL": server.url}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL)


def _keys(server: RealServer) -> dict[object, object]:
    client = server.client()
    return {key: client.dump(key) for key in client.keys("*")}


def test_no_check_that_starts_after_ok_passes(real_server: RealServer) -> None:
    """Late passes of a busy worker are zero, and checks were looked at."""
    with open_scene(_settings(real_server), True, lambda _text: None) as scene:
        (row,) = late.measure(scene)
    assert row.p50 == 0
    assert row.runs == 200
    assert row.reached


def test_a_late_pass_is_counted() -> None:
    """The account of a round counts exactly the passes that started after +OK, so a zero means something."""
    slots = memoryview(array("q", bytes(8 * 64)))
    slots[probe.OK_NS], slots[probe.ASK] = 1000, 3
    judge = probe._Judge(slots)
    judge.passed += [900, 1000, 1001, 5000]
    judge.settle()
    assert slots[probe.LATE] == 2
    assert slots[probe.WORST_NS] == 4000
    assert slots[probe.CHECKS] == 4
    assert slots[probe.DONE] == 3
    assert judge.passed == []


class _Played:
    """A worker, its operator's line and its children in one: a gate that is closed already when the first SET comes, of
    which a check passed after its +OK; and one that closes with the second."""

    def __init__(self) -> None:
        self.slots = memoryview(array("q", bytes(8 * 64)))
        self.sets = 0

    def set(self, _key: str, value: str) -> tuple[int, int]:
        slots, sent_ns = self.slots, now_ns()
        if value == "SAFE":
            slots[probe.OPEN], slots[probe.OPENED_NS] = slots[probe.ROUND], sent_ns
        else:
            self.sets += 1
            slots[probe.SHOWN_NS] = sent_ns if self.sets == 1 else sent_ns + 1
            slots[probe.CLOSED], slots[probe.CLOSED_NS] = slots[probe.SENT], sent_ns + 1
        return sent_ns, sent_ns + 2

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        if self.slots[probe.ASK] != self.slots[probe.DONE]:
            self.slots[probe.DONE] = self.slots[probe.ASK]
            self.slots[probe.LATE] += self.sets == 1
        assert condition(), what


def test_a_round_whose_gate_was_closed_already_is_played_again_and_its_late_pass_counted() -> None:
    """What the SET did not close tells no time; a pass after +OK is none the less for it."""
    worker = _Played()
    stage = SimpleNamespace(board=worker, children=worker, line=worker, state_key="state")
    (only,) = rounds.play(cast(Stage, stage), 1, busy=True, with_bare=False)
    assert worker.sets == 2
    assert (only.closed_ns, only.shown_ns, only.ok_ns, only.late) == (1, 1, 2, 1)


def test_json_has_the_documented_shape(real_server: RealServer) -> None:
    """One object on stdout, every row with the same fields, nothing on stderr in a pipe but the text for people."""
    _settings(real_server)
    done = _bench(real_server, "--only", "calls", "--output", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["quick"] is True
    assert found["exit_code"] == 0
    assert set(found["machine"]) == set(_MACHINE)
    assert set(found["rows"]) == {"clock", "gate1", "gate2", "get", "gate1_per_clock", "get_per_gate1"}
    for name, row in found["rows"].items():
        assert set(row) == _FIELDS
        assert row["name"] == name
        assert row["p50"] > 0


def test_a_given_server_keeps_its_keys(real_server: RealServer, server_kind: str) -> None:
    """The scratch prefix is gone afterwards and nothing else was touched; the longest measurement is run once."""
    _settings(real_server)
    real_server.client().set("somebody:else", "kept")
    before = _keys(real_server)
    done = _bench(real_server, "--only", "calls", "--only", "quiet" if server_kind == "valkey" else "late")
    assert done.returncode == 0, done.stderr
    assert _keys(real_server) == before


def test_a_given_server_without_the_library_is_left_alone(real_server: RealServer) -> None:
    """The benchmark does not load functions into a server that is not its own; it says what to run."""
    done = _bench(real_server, "--only", "calls")
    assert done.returncode == 1
    assert "killswitch init" in done.stderr
    assert _keys(real_server) == {}
    assert real_server.client().function_list() == []


def test_names_are_those_of_the_measurements() -> None:
    """`--only` offers every measurement, in the order of the table."""
    assert tuple(suite.MEASUREMENTS) == _NAMES


@pytest.mark.parametrize(("late_passes", "fine"), [(0, True), (1, False)])
def test_only_a_late_pass_makes_a_run_fail(late_passes: int, fine: bool) -> None:
    """A missed figure is shown; a late pass is an error."""
    rows = [Row("gate1", "gate 1", "ns", 9e9, 9e9, 1, "p99 < 1 us", False), Row("late", "late", "count", late_passes)]
    assert report.ok(rows) is fine
    assert report.as_json(_MACHINE, rows, False)["ok"] is fine


def test_the_table_fits_a_hundred_columns() -> None:
    """Long titles, large values and long notes do not break the table."""
    rows = [Row("x", "t" * 80, unit, 123_456.0, 1e5, 1_000_000, "p99 < 100 us", False, "n " * 200)
            for unit in ("ns", "us", "ms", "x", "%", "count", "ticks/s")]  # fmt: skip
    assert max(len(line) for line in report.as_text(_MACHINE, rows, True).splitlines()) <= 100


def test_quantiles_are_by_nearest_rank() -> None:
    """The 99th percentile of a hundred values is the 99th of them."""
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile(range(1, 101), 0.5) == 50
    assert quantile([7], 0.01) == 7
    with pytest.raises(ValueError, match="no samples"):
        quantile([], 0.5)
