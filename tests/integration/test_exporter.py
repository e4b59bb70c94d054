"""The exporter against a real server: what Prometheus gets, also from a user who may only read, and without Redis."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from killswitch import Blocked, Observer, Settings, clock
from killswitch.core.roles import ROLES, AclUser
from tests.support.agents import CALM, hold_permit, open_epoch, release
from tests.support.exporter import Exporter, ExporterProcess, fetch
from tests.support.scrapes import Scrape
from tests.support.shell import Shell
from tests.support.switch import Switch
from tests.support.waiting import Stopwatch, eventually

READ_ONLY = ("on", "nopass", "resetkeys", "%R~killswitch:*", "nocommands", "+@read", "+@connection", "+info", "+time")
SLACK = "killswitch_worker_lease_slack_seconds"
"""What a worker tells of once it has renewed its lease."""


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`."""
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(switch.url, folder, monkeypatch, capsys)


def exporter_of(switch: Switch, **changes: Any) -> Exporter:
    """An exporter for `switch`, with other settings than usual."""
    return Exporter(Observer(Settings(**{**switch.settings().model_dump(), **changes})).look)


@pytest.fixture
def exporter(switch: Switch) -> Iterator[Exporter]:
    """An exporter for `switch` in this process."""
    with exporter_of(switch) as made:
        yield made


def until(exporter: Exporter, name: str, value: float, beside: str = "killswitch_up") -> Scrape:
    """The first scrape in which `name` has `value`, and in which there is something of `beside`."""

    def found() -> Scrape | None:
        scrape = exporter.scrape()
        samples = scrape.of(name)
        return scrape if samples and samples[0].value == value and scrape.has(beside) else None

    scrape = eventually(found, timeout_s=20, why=f"{name} is {value}")
    assert scrape is not None
    return scrape


def test_a_stop_is_seen_from_the_first_worker_to_the_proof(switch: Switch, exporter: Exporter) -> None:
    """Open, stopped with an order in flight, quiet: with the reason, counts of refused checks, and no lease left."""
    agent = switch.agent(["strategy:x"], engine="e1", worker_id="w1", **CALM)
    open_epoch(agent)
    until(exporter, "killswitch_worker_state{worker=w1,state=open}", 1)
    found = until(exporter, "killswitch_workers_by_rung{rung=bcast}", 1)
    assert found["killswitch_mode{scope=switch,mode=SAFE}"] == 1
    assert found["killswitch_worker_lease_left_seconds"] > 0
    eventually(lambda: exporter.scrape().has(SLACK), timeout_s=20, why="a renewal")
    permit = hold_permit(agent, "c-1")
    epoch = switch.control.engage("fat finger", "alice").epoch
    found = until(exporter, "killswitch_worker_orders_in_flight{worker=w1}", 1)
    assert found["killswitch_mode{scope=switch,mode=ENGAGED}"] == 1
    assert found["killswitch_epoch{scope=switch}"] == epoch
    (change,) = found.of("killswitch_change_info{scope=switch}")
    assert (change.labels["actor"], change.labels["reason"]) == ("alice", "fat finger")
    assert found["killswitch_followers_not_quiet{scope=switch}"] == 1
    with pytest.raises(Blocked):
        agent.gate.signal()
    release(permit)
    found = until(exporter, "killswitch_worker_state{worker=w1,state=quiet}", 1)
    assert found["killswitch_followers_not_quiet{scope=switch}"] == 0
    assert found["killswitch_worker_lease_left_seconds{worker=w1}"] == 0
    until(exporter, "killswitch_worker_blocked_checks_total{worker=w1,gate=1,code=engaged}", 1)
    assert found["killswitch_changes_total{via=library,mode=ENGAGED}"] == 2, "initialised, and now"
    assert found["killswitch_left_out{what=same}"] == 0


def test_a_user_who_may_only_read_is_enough(switch: Switch) -> None:
    """Mode, epoch, workers, record and incarnation are read plainly; whether renewals are refused stays untold."""
    agent = switch.agent(worker_id="w1", **CALM)
    open_epoch(agent)
    switch.raw("ACL", "SETUSER", "monitor", *READ_ONLY)
    switch.control.engage("scoped", scope="a:1")
    with exporter_of(switch, redis_url=switch.server.url.replace("redis://", "redis://monitor:any@")) as exporter:
        found = until(exporter, "killswitch_worker_state{worker=w1,state=open}", 1)
    with exporter_of(switch) as exporter:
        full = until(exporter, "killswitch_worker_state{worker=w1,state=open}", 1)
    assert found["killswitch_up"] == 1
    for name in ("mode", "epoch", "recorded", "confirmed", "change_info", "record_entries", "changes_total", "workers"):
        assert found.of(f"killswitch_{name}") == full.of(f"killswitch_{name}"), name
    assert not found.has("killswitch_renewals_refused")
    assert full.has("killswitch_renewals_refused")


def test_the_role_of_a_monitor_sees_everything(switch: Switch) -> None:
    """`killswitch acl --role monitor` is the user for it: the same samples as for one who may do everything."""
    agent = switch.agent(worker_id="w1", **CALM)
    open_epoch(agent)
    switch.raw("ACL", "SETUSER", "monitor", *AclUser(ROLES["monitor"], "monitor", "killswitch").words, "nopass")
    with exporter_of(switch, redis_url=switch.server.url.replace("redis://", "redis://monitor:any@")) as exporter:
        found = until(exporter, "killswitch_worker_state{worker=w1,state=open}", 1, SLACK)
    with exporter_of(switch) as exporter:
        full = until(exporter, "killswitch_worker_state{worker=w1,state=open}", 1, SLACK)
    assert found["killswitch_record_unsealed"] >= 0
    assert sum(sample.value for sample in found.of("killswitch_renewals_refused")) == 0
    assert found.families == full.families


def failures(scrape: Scrape, code: str = "") -> float:
    """How many scrapes of this exporter got no picture, for this reason or for whatever reason."""
    found = scrape.of("killswitch_scrape_failures_total")
    return sum(sample.value for sample in found if code in ("", sample.labels["code"]))


def test_without_redis_a_scrape_succeeds_in_time_and_shows_nothing_old(switch: Switch) -> None:
    """Frozen, then back: `up` says so, within the limit that Prometheus named, and the process itself is healthy."""
    with exporter_of(switch) as exporter:
        before = until(exporter, "killswitch_up", 1)
        switch.server.sigstop()
        try:
            began_ns, watch = clock.now_ns(), Stopwatch()
            found = exporter.scrape(X_Prometheus_Scrape_Timeout_Seconds="0.5")
            took_s = watch.took_s
            in_line_s = (clock.now_ns() - began_ns) / 1e9 - took_s
            assert found["killswitch_up"] == 0
            assert not found.has("killswitch_mode")
            assert failures(found) == failures(before) + 1
            assert failures(found, "no_answer") == failures(before, "no_answer") + 1
            assert took_s < 0.5
            assert found["killswitch_scrape_duration_seconds"] - in_line_s < 0.5
            assert fetch(f"{exporter.url}/healthz") == "ok\n"
        finally:
            switch.server.sigcont()
        assert until(exporter, "killswitch_up", 1).has("killswitch_mode")
        switch.server.kill9()
        assert exporter.scrape()["killswitch_scrape_failures_total{code=unreachable}"] >= 1


def test_hostile_rows_do_not_break_the_scrape(switch: Switch, exporter: Exporter) -> None:
    """Monstrous fields, escapes, nonsense in every field and another type under the record: still a readable scrape."""
    evil = 'w"} 1\nkillswitch_up 0\n\x1b]0;x\x07'
    now_ms = switch.control.status().at_ms
    fields = {"host": evil, "engine": evil, "scopes": evil * 50, "info": json.dumps({"latency": evil}), "refused": "{["}
    for name, row in ((evil, fields), ("monster", {"host": "x" * 5_000_000}), ("empty", {})):
        switch.raw("ZADD", "killswitch:workers", now_ms, name)
        for field, value in row.items():
            switch.raw("HSET", f"killswitch:worker:{name}", field, value)
    switch.raw("DEL", "killswitch:audit")
    switch.raw("SET", "killswitch:audit", evil)
    found = exporter.scrape()
    assert found["killswitch_up"] == 1
    assert found["killswitch_record_readable"] == 0
    states = {item.labels["worker"]: item.labels["state"] for item in found.of("killswitch_worker_state")}
    assert {states["monster"], states["empty"]} == {"unknown"}
    assert len(states) == 3
    assert len(found.text) < 100_000


def test_command_serves_and_ends_in_order(switch: Switch, shell: Shell) -> None:
    """A scrape that is under way when it is told to end is answered first; the address can be used again at once."""
    made = ExporterProcess(shell, "--listen", "127.0.0.1:0", "--limit", "4")  # a stall is no silence
    try:
        assert made.scrape()["killswitch_up"] == 1
        switch.server.sigstop()
        answers: list[Scrape] = []
        reader = threading.Thread(target=lambda: answers.append(made.scrape()))
        place = f"/proc/{made.process.pid}/task" if sys.platform == "linux" else ""
        if place:
            eventually(lambda: len(list(Path(place).iterdir())) == 1, timeout_s=20, why="the first scrape is over")
        reader.start()
        if place:
            eventually(lambda: len(list(Path(place).iterdir())) > 1, timeout_s=20, why="a scrape is under way")
        code, said = made.end()
        reader.join(30)
        assert (code, said) == (0, "stopped\n")
        assert [item["killswitch_up"] for item in answers] == ([0.0] if place else answers)
    finally:
        switch.server.sigcont()
        made.kill()
