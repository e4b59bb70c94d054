"""What stands in the way of a launch: engines that run with other settings, scopes that keep gates closed."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import FleetStatus, Grade
from ops.console import Console
from ops.launching import start
from ops.launching.deployment import EngineState, LaunchStopped
from ops.launching.findings import Permission
from ops.launching.fleet_file import Engine
from ops.launching.standing import already, closed_gates, other_settings, scopes
from ops.launching.start import Starting
from tests.unit.ops.launch_doubles import Control, Queue
from tests.unit.ops.pictures import engaged, state, status
from workers.roster import Place, Placed

ALICE = Permission("alice", "go live")
FILE: dict[str, Any] = {
    "name": "eurusd-1",
    "symbol": "EURUSD",
    "scopes": ["strategy:meanrev", "symbol:EURUSD"],
    "feed": {"kind": "synthetic", "seed": 1, "speed": 10, "lead": 2000},
}
REPLAY = {"kind": "replay", "files": ["/data/t.zip"]}


def engine(**changes: Any) -> Engine:
    """The engine as the file has it."""
    return Engine.model_validate({**FILE, **changes})


def placed(place: Place = Place.RUNNING, **changes: Any) -> Placed:
    """The engine as its job has it."""
    return Placed("eurusd-1", "job-1", place, spec={**FILE, **changes})


def test_an_engine_that_runs_with_other_settings_is_a_failure_before_anything_is_changed() -> None:
    """Preflight names the engine, each setting that differs with both values, and what to do about it."""
    found = already((engine(scopes=["symbol:EURUSD"]),), (placed(scopes=[]),))
    assert found.verdict is Grade.FAIL
    assert found.found == (
        "engine eurusd-1 runs already with other settings than the file (scopes: none, the file says symbol:EURUSD)"
    )
    assert "`killswitch down FLEET --engine eurusd-1`" in found.remedy
    assert "write what runs into the file" in found.remedy


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"symbol": "GBPUSD"}, "symbol: GBPUSD, the file says EURUSD"),
        ({"broker": "lmax"}, "broker: lmax, the file says none"),
        ({"quantity": 2000}, "quantity: 2000, the file says 1000; max_position: 10000, the file says 5000"),
        ({"max_position": 7000}, "max_position: 7000, the file says 5000"),
        ({"events": "/tmp/e.jsonl"}, "events: /tmp/e.jsonl, the file says none"),
        ({"feed": {**FILE["feed"], "seed": 2}}, "feed.seed: 2, the file says 1"),
        ({"feed": {**FILE["feed"], "speed": "max"}}, "feed.speed: max, the file says 10.0"),
        ({"feed": REPLAY}, "feed.kind: replay, the file says synthetic"),
        ({"feed": REPLAY}, "feed.files: /data/t.zip, the file says none"),
        ({"symbol": "EUR\x1b[2J"}, "settings that this release cannot read"),
        ({"colour": "red"}, "settings that this release cannot read"),
    ],
)
def test_every_setting_of_an_engine_is_compared(changes: dict[str, Any], told: str) -> None:
    """Whatever decides what an engine does must be as the file says, or the difference is told."""
    text = other_settings(engine(), placed(**changes))
    assert told in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scopes": ["symbol:EURUSD", "strategy:meanrev"]},
        {"max_position": 5000, "quantity": 1000, "strategy": "mean-reversion"},
        {"feed": {**FILE["feed"], "speed": "10"}},
    ],
)
def test_the_same_settings_written_otherwise_are_the_same(changes: dict[str, Any]) -> None:
    """An engine is not refused for a default that was written out, or for the order of its scopes."""
    assert other_settings(engine(), placed(**changes)) == ""
    found = already((engine(), engine(name="b")), (placed(**changes), Placed("other", "j", Place.RUNNING)))
    assert (found.verdict, found.found) == (Grade.OK, "1 of 2 are there already, with the settings of the file")


def test_an_engine_that_waits_with_other_settings_is_a_failure_as_well() -> None:
    """It would run with them as soon as a worker is free, also where a second job of it has those of the file."""
    found = already((engine(),), (placed(), placed(Place.WAITING, symbol="GBPUSD")))
    assert found.verdict is Grade.FAIL
    assert found.found.startswith("engine eurusd-1 waits in its queue already with other settings")


def test_an_engine_placed_with_other_settings_after_preflight_ends_the_launch() -> None:
    """Between the look and the placing there is a rehearsal, so what is there is compared once more."""
    queue = Queue(**{"eurusd-1": Place.RUNNING})
    queue.specs["eurusd-1"] = {**FILE, "scopes": []}
    starting = Starting((engine(),), queue.roster, Control().controller, Console())
    with pytest.raises(LaunchStopped, match=r"runs already with other settings.*it was placed meanwhile") as caught:
        starting.place()
    assert "killswitch down" in caught.value.details[0]


def stopped(*names: str, **changes: Any) -> FleetStatus:
    """A switch that permits, beside scopes that are engaged."""
    return status(scopes=tuple(engaged("bad prices", scope=name) for name in names), **changes)


def test_a_permission_with_an_engaged_scope_is_a_warning_of_preflight() -> None:
    """Who permits learns before anything starts which engine will not trade, why, and how that is opened."""
    found = scopes((engine(),), stopped("symbol:EURUSD", "symbol:GBPUSD"), ALICE)
    assert found.verdict is Grade.WARN
    assert found.found == "engine eurusd-1: its scope symbol:EURUSD is ENGAGED bad prices by alice"
    assert "`killswitch reset --scope symbol:EURUSD --epoch 8 --reason TEXT`" in found.remedy
    assert scopes((engine(),), stopped("symbol:EURUSD"), None).verdict is Grade.OK
    assert scopes((engine(),), stopped("symbol:GBPUSD"), ALICE).verdict is Grade.OK
    assert scopes((engine(),), status(scopes=(state(scope="symbol:EURUSD"),)), ALICE).verdict is Grade.OK


def test_an_engine_that_runs_and_may_not_trade_is_a_warning_at_the_end() -> None:
    """It names the engine, what keeps its gate closed, and the command that opens it."""
    runs = EngineState("e1", "running", True, "j", gate="closed: scope_engaged", scopes=("symbol:EURUSD",))
    (text,) = closed_gates((runs,), stopped("symbol:EURUSD"))
    assert text.startswith("engine e1 runs with a closed gate: its scope symbol:EURUSD is ENGAGED bad prices by alice;")
    assert text.endswith("open it with `killswitch reset --scope symbol:EURUSD --epoch 8 --reason TEXT`")
    (text,) = closed_gates((runs,), stopped(switch=engaged()))
    assert "the switch is ENGAGED fat finger by alice; `killswitch reset --reason" in text
    (text,) = closed_gates((EngineState("e1", "running", True, "j", gate="closed: clock"),), stopped())
    assert "closed: clock; `killswitch status` shows more" in text
    fine = (EngineState("e1", "running", True, "j", gate="open"), EngineState("e2", "queued", True, "j"))
    assert closed_gates(fine, stopped("symbol:EURUSD")) == ()


def test_scopes_of_an_engine_are_those_that_its_worker_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may follow more than the file says, and that may be what keeps the gate closed."""
    monkeypatch.setattr(start, "sleep", lambda _seconds: None)
    control = Control()
    control.runs("a", code="scope_engaged", closed=True, scopes=("desk:x",))
    made = Starting(
        (engine(name="a"),), Queue(lambda q: q.places.update(a=Place.RUNNING)).roster, control.controller, Console()
    )
    made.place()
    assert made.wait(60, 7) == "1 running, 1 of them with a closed gate"
    assert made.states[0].scopes == ("desk:x",)
