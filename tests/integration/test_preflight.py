"""`killswitch preflight` on real servers: what it finds, what it may not see, and that no gate hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import PREFLIGHT_CHECKS, View, __version__
from killswitch._build import gate_build
from killswitch.control import preflight
from killswitch.store import probe
from tests.support.agents import CALM, open_epoch
from tests.support.shell import Done, Shell
from tests.support.switch import Switch
from tests.support.waiting import eventually


@pytest.fixture
def shell(shell: Shell, switch: Switch, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The queue is another database of the same server."""
    monkeypatch.setenv("WORKERS_QUEUE_URL", switch.server.url.replace("/0", "/1"))
    return shell


def findings(done: Done) -> dict[str, dict[str, Any]]:
    """The findings by name."""
    return {finding["name"]: finding for finding in done.json["findings"]}


def undisturbed(shell: Shell) -> Done | None:
    """A preflight that passed in every point; None for one that only could not measure clock or line well enough."""
    done = shell.run("preflight", "--output", "json", lease_ms="20000", renew_ms="5000", patience_ms="10000")
    found = findings(done)
    assert [found[name]["verdict"] for name in ("library", "writes", "tracking")] == ["ok"] * 3, done
    assert found["tracking"]["found"].startswith("rung bcast: 300 changes, each announced before its +OK")
    return done if done.code == 0 and {found[name]["verdict"] for name in ("clock", "round-trip")} == {"ok"} else None


def test_a_switch_that_is_well_passes_and_no_gate_hears_of_it(
    switch: Switch, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every check is told, the announcements are in time, an open gate stays open, and no key is left behind."""
    monkeypatch.setattr(probe, "_LOST_S", 20.0)  # as long as this process may stand still
    monkeypatch.setattr(preflight, "_PUSHES_S", 60.0)
    agent = switch.agent(worker_id="w1", **CALM)
    epoch = open_epoch(agent)
    closings: list[View] = []
    agent.on_close(closings.append)
    before = set(switch.server.client().keys())
    done = eventually(lambda: undisturbed(shell), timeout_s=60, why="a look that no stall of the machine disturbed")
    assert done is not None
    found = findings(done)
    assert list(found) == list(PREFLIGHT_CHECKS)
    assert found["versions"]["found"] == f"1 worker of version {__version__} (build {gate_build()})"
    assert "another database" in found["queue"]["found"]
    assert done.json["ok"] is True
    assert (closings, agent.gate.signal()) == ([], epoch)
    assert set(switch.server.client().keys()) == before
    assert shell.run("preflight", "--only", "queue", "--strict").code == 5


def test_what_this_user_may_not_look_at_is_a_warning(switch: Switch, shell: Shell) -> None:
    """With the rights of a mere reader nothing is called ok that could not be looked at."""
    switch.raw("ACL", "SETUSER", "bob", "on", ">hunter2", "resetkeys", "-@all", "+hello", "+ping", "+time", "+select")
    done = shell.run("preflight", "--output", "json", redis_url=switch.url.replace("unix://", "unix://bob:hunter2@"))
    found = findings(done)
    blind = {"server", "library", "writes", "persistence", "acl", "exposure", "tracking", "io-threads", "members"}
    seen = {name: (found[name]["verdict"], found[name]["found"][:14]) for name in blind}
    assert seen == dict.fromkeys(blind, ("warn", "could not look"))
    assert found["clock"]["verdict"] == "ok"
    assert "hunter2" not in done.out + done.err


def test_a_server_that_is_set_up_wrongly_fails(switch: Switch, shell: Shell) -> None:
    """The check names what is wrong and how to mend it, and the exit code says so."""
    switch.server.config_set("maxmemory", "100mb")
    for name, config, text in (
        ("timeouts", ("timeout", "100"), "closed after 100 s"),
        ("eviction", ("maxmemory-policy", "allkeys-lru"), "allkeys-lru"),
        ("writes", ("min-replicas-to-write", "1"), "[redis_noreplicas]"),
    ):
        switch.server.config_set(*config)
        done = shell.run("preflight", "--only", name)
        assert done.code == 5
        assert f"FAIL  {name}" in done.out
        assert text in done.out
        assert "do: " in done.out
        assert shell.run("preflight", "--skip", name, "--only", name).code == 0


def test_a_library_that_somebody_changed_is_not_ours(switch: Switch, shell: Shell) -> None:
    """The version alone does not make it this release's."""
    listed = switch.server.client().execute_command("FUNCTION", "LIST", "LIBRARYNAME", "killswitch", "WITHCODE")[0]
    pairs = listed if isinstance(listed, dict) else dict(zip(listed[::2], listed[1::2], strict=True))
    switch.raw("FUNCTION", "LOAD", "REPLACE", pairs[b"library_code"] + b"\n-- harmless\n")
    done = shell.run("preflight", "--only", "library")
    assert (done.code, "not the one of this release" in done.out) == (5, True)


def test_wrong_input_is_told_before_anything_is_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown check, settings of both kinds, and a server that is not there: one message and its exit code each."""
    assert (shell.run("preflight", "--only", "trackin").code, shell.run("preflight", "--skip", "x").code) == (2, 2)
    assert shell.run("preflight", redis_url="redis://127.0.0.1:1/0").code == 69
    monkeypatch.setenv("WORKERS_POLL_MS", "1")
    done = shell.run("preflight", "--output", "json", lease_ms="1")
    assert done.code == 2
    assert {text.partition(":")[0].partition("=")[0] for text in done.json["error"]["violations"]} >= {
        "KILLSWITCH_LEASE_MS",
        "WORKERS_POLL_MS",
    }
    assert (
        "WORKERS_POLL_MS"
        in findings(shell.run("preflight", "--output", "json", "--only", "settings"))["settings"]["found"]
    )
