"""The commands against a real server: what they do, what they say, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from killswitch.core.lease import closed_by_ms
from tests.support.agents import FAST, hold_permit, open_epoch, release
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually


@pytest.mark.parametrize("words", [("engage",), ("engage", "--wait", "1"), ("reduce",)])
def test_a_stop_of_a_scope_that_nobody_follows_is_told(switch: Switch, shell: Shell, words: tuple[str, ...]) -> None:
    """A slip of the pen is read at once, with the scopes that somebody follows."""
    open_epoch(switch.agent(scopes=("symbol:EURUSD",)))
    done = shell.run(*words, "--reason", "slip", "--scope", "symbol:EURUDS")
    assert done.code == (3 if "--wait" in words else 0)
    told = " ".join((done.out + done.err).split())
    assert "no worker follows symbol:EURUDS, so this stopped nobody; followed are symbol:EURUSD" in told
    plain = shell.run(*words, "--reason", "meant", "--scope", "symbol:EURUSD")
    assert "no worker follows" not in plain.out + plain.err


def test_engage_stops_and_tells_epoch_and_durability(switch: Switch, shell: Shell) -> None:
    """The stop is in Redis and on record under the name that was given, and the command says how safe it is."""
    done = shell.run("engage", "--reason", "fat finger", "--actor", "alice")
    status = switch.control.status()
    assert done.code == 0
    assert status.switch.text == "ENGAGED fat finger"
    assert f"epoch {status.switch.epoch}" in done.out
    assert "by alice" in done.out
    assert "NOT durable: kept in memory only, no replica" in done.out
    assert done.err == ""
    entry = switch.control.audit(1)[0]
    assert (entry.actor, entry.via, entry.reason) == ("alice", "command", "fat finger")


def test_what_was_there_before_is_called_permitted_only_where_that_is_known(switch: Switch, shell: Shell) -> None:
    """Words that look like a permission for a while were a stop: they are shown and not explained."""
    switch.raw("SET", "killswitch:state", "SAFE (for 5 s)")
    assert "before: SAFE (for 5 s)\n" in shell.run("engage", "-r", "x").out
    listed = " ".join(shell.run("audit", "list").out.split())
    assert "SAFE 5s" not in listed
    epoch = switch.control.status().switch.epoch
    assert "SAFE: trading permitted for 8h" in shell.run("reset", "-r", "x", "--for", "8h", "--epoch", str(epoch)).out
    assert "before: SAFE (for 28" in shell.run("engage", "-r", "x").out


def test_engage_tells_that_it_is_on_disk(
    durable_switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where each write is on disk before it is acknowledged, the command says so."""
    done = Shell(durable_switch.url, tmp_path, monkeypatch, capsys).run("engage", "-r", "x", "--output", "json")
    assert done.json["durability"] == {
        "aof": "always",
        "replicas": 0,
        "acknowledged": 0,
        "durable": True,
        "text": "on disk (fsync always), no replica",
    }


def test_engage_with_wait_ends_with_0_when_all_are_quiet(switch: Switch, shell: Shell) -> None:
    """QUIET is said, and 0 returned, when every worker proved it; each is shown."""
    agents = [switch.agent(engine=f"engine-{n}", worker_id=f"w{n}") for n in range(3)]
    for agent in agents:
        open_epoch(agent)
    done = shell.run("engage", "--reason", "x", "--wait", "30")
    assert done.code == 0
    assert "QUIET  all 3 workers closed, no order in flight" in done.out
    for n in range(3):
        assert f"quiet  w{n} (engine-{n})" in done.out


def test_engage_with_wait_names_who_is_not_quiet(switch: Switch, shell: Shell) -> None:
    """An order in flight makes it UNCERTAIN and 3; worker, count and client order id are named, nothing is hidden."""
    agent = switch.agent(engine="eurusd", worker_id="w1")
    permit = hold_permit(agent, "c-17")
    try:
        eventually(lambda: switch.control.status().members[0].orders == ("c-17",), why="a beat tells of the order")
        done = shell.run("engage", "--reason", "x", "--wait", "2")
        told = shell.run("engage", "--reason", "x", "--wait", "2", "--output", "json")
    finally:
        release(permit)
    assert (done.code, told.code) == (3, 3)
    assert "UNCERTAIN  1 of 1 worker not proved quiet" in done.out
    assert "w1 (eurusd)" in done.out
    assert "1 order in flight" in done.out
    assert "client order ids: c-17" in done.out
    assert "QUIET" not in done.out
    assert told.json["verdict"] == "UNCERTAIN"
    assert [(m["worker_id"], m["in_flight"], m["orders"]) for m in told.json["pending"]] == [("w1", 1, ["c-17"])]
    assert told.json["exit_code"] == 3


def test_engage_of_a_scope_stops_that_scope(switch: Switch, shell: Shell) -> None:
    """Only the scope is engaged, and only its followers are waited for."""
    follower = switch.agent(["symbol:EURUSD"], worker_id="follower")
    other = switch.agent(worker_id="other")
    open_epoch(follower)
    open_epoch(other)
    done = shell.run("engage", "-r", "bad prices", "-s", "symbol:EURUSD", "--wait", "30")
    assert done.code == 0
    assert "QUIET  the one worker closed" in done.out
    assert switch.server.cli("GET", STATE) == "SAFE"
    assert switch.server.cli("GET", f"{STATE}:symbol:EURUSD") == "ENGAGED bad prices"
    assert open_epoch(other)


def test_engage_with_nobody_there_says_so(shell: Shell) -> None:
    """Without a single worker nothing is proved: perhaps it was the wrong switch, perhaps the membership was lost."""
    done = shell.run("engage", "-r", "x", "--wait", "5")
    assert done.code == 3
    assert "no worker is registered" in done.out
    assert "KILLSWITCH_PREFIX" in done.err


def test_engage_without_library_stops_and_says_what_is_missing(switch: Switch, shell: Shell) -> None:
    """A missing function library does not keep a stop from being set."""
    switch.server.cli("FUNCTION", "FLUSH", "SYNC")
    done = shell.run("engage", "-r", "x", "--output", "json")
    assert done.code == 0
    assert done.json["epoch"] == 0
    assert "killswitch init" in done.json["warnings"][0]
    assert switch.server.cli("GET", STATE) == "ENGAGED x"


def test_engage_refused_by_redis_says_when_leases_have_closed_the_fleet(switch: Switch, shell: Shell) -> None:
    """Where Redis refuses writes it ends with 1, says by when every gate is closed, and for how long that holds."""
    switch.server.config_set("min-replicas-to-write", "1")
    done = shell.run("engage", "-r", "x")
    told = shell.run("engage", "-r", "x", "--output", "json")
    assert (done.code, told.code) == (1, 1)
    assert "NOT ENGAGED: Redis refuses writes: NOREPLICAS" in done.err
    assert "every gate that" in done.err
    assert "repeat this command" in done.err
    assert told.json["error"]["closed_within_ms"] == closed_by_ms(FAST["lease_ms"])
    assert told.json["error"]["code"] == "redis_noreplicas"
    assert switch.server.cli("GET", STATE) == "SAFE"


def test_engage_refused_by_password_promises_nothing(switch: Switch, shell: Shell) -> None:
    """A refusal that meets only this user says nothing about the workers' leases."""
    switch.server.config_set("requirepass", "right")
    done = shell.run("engage", "-r", "x", "--output", "json", redis_password="wrong")
    assert done.code == 1
    assert done.json["error"]["closed_by"] is None
    assert "may go on trading" in done.json["error"]["hints"][0]
    assert "a user that may (operator, launcher, engage-only)" in done.json["error"]["hints"][0]
    assert "NOT ENGAGED: Redis refused the user default" in done.json["error"]["message"]
    assert "wrong" not in done.out + done.err.replace("wrong user", "")
    assert shell.run("engage", "-r", "x", redis_password="right").code == 0


@pytest.mark.parametrize("verb", [("status",), ("reset", "--epoch", "1", "-r", "x"), ("init",), ("audit", "list")])
def test_wrong_password_is_refused_in_one_line(switch: Switch, shell: Shell, verb: tuple[str, ...]) -> None:
    """Every command ends with 1 and names the remedy."""
    switch.server.config_set("requirepass", "right")
    done = shell.run(*verb, redis_password="nonsense")
    assert done.code == 1
    told = " ".join(done.err.split())
    command = " ".join(verb[:2]) if verb[0] == "audit" else verb[0]
    assert told.startswith("error: Redis does not know the user default, or not with this password: ")
    assert f"`killswitch {command}` was not let in; nothing was done (WRONGPASS" in told
    assert "the roles that may are" in told
    assert "nonsense" not in done.err


@pytest.mark.parametrize(
    "broken",
    [
        {"lease_ms": "abc"},
        {"lease_ms": "1"},
        {"renew_ms": "90000"},
        {"rung": "x"},
        {"lease_msec": "5"},
        {"actor": "x" * 129},
    ],
)
def test_a_broken_other_setting_never_stops_an_engagement(switch: Switch, shell: Shell, broken: dict[str, str]) -> None:
    """It is sent first and proved with safe assumptions; the settings are reported afterwards, and only then."""
    agent = switch.agent(worker_id="w1")
    open_epoch(agent)
    done = shell.run("engage", "-r", "x", "--wait", "30", "--output", "json", **broken)
    assert done.code == 0
    assert done.json["verdict"] == "QUIET"
    assert any("KILLSWITCH_" in warning for warning in done.json["warnings"])
    assert switch.server.cli("GET", STATE) == "ENGAGED x"
    assert shell.run("status", **broken).code == 2


@pytest.mark.parametrize("where", [".env", "secrets/killswitch_actor"])
def test_a_file_in_another_encoding_never_stops_an_engagement(switch: Switch, shell: Shell, where: str) -> None:
    """It is sent first and proved with safe assumptions; afterwards the file is named, in one line and no traceback."""
    agent = switch.agent(worker_id="w1")
    open_epoch(agent)
    (shell.folder / "secrets").mkdir()
    (shell.folder / where).write_bytes(b"# M\xfcller\n")
    shell.monkeypatch.setenv("KILLSWITCH_SECRETS_DIR", str(shell.folder / "secrets"))
    done = shell.run("engage", "-r", "x", "--wait", "30", "--output", "json")
    assert (done.code, done.json["verdict"]) == (0, "QUIET")
    assert len([line for line in done.json["warnings"] if f"{where} cannot be read" in line]) == 1
    refused = shell.run("status")
    assert (refused.code, refused.out) == (2, "")
    assert "cannot be read: line 1 is not UTF-8" in " ".join(refused.err.split())


def test_reset_permits_at_the_epoch_that_was_looked_at(switch: Switch, shell: Shell) -> None:
    """With the current epoch it permits; with an older one it ends with 1 and shows what is so now."""
    shell.run("engage", "-r", "first")
    seen = str(switch.control.status().switch.epoch)
    shell.run("engage", "-r", "second", "-a", "bob")
    refused = shell.run("reset", "--epoch", seen, "-r", "ok")
    assert refused.code == 1
    assert "ENGAGED: second" in refused.err
    assert "by bob" in refused.err
    current = str(switch.control.status().switch.epoch)
    assert f"--epoch {current}" in refused.err
    done = shell.run("reset", "--epoch", current, "-r", "ok")
    assert done.code == 0
    assert "SAFE: trading permitted" in done.out


def test_reset_for_a_while_limits_the_permission(switch: Switch, shell: Shell) -> None:
    """`--for` becomes the life of the state key, and status tells its end."""
    epoch = str(switch.control.status().switch.epoch)
    done = shell.run("reset", "--epoch", epoch, "-r", "session", "--for", "1h30m", "--output", "json")
    assert done.code == 0
    assert 5_390_000 < int(switch.server.cli("PTTL", STATE)) <= 5_400_000
    assert "the permission ends in 1 h 29 min" in shell.run("status").out


def test_reset_without_epoch_is_refused_where_nobody_can_be_asked(switch: Switch, shell: Shell) -> None:
    """In a pipe it is a usage error, and nothing is sent."""
    shell.run("engage", "-r", "x")
    done = shell.run("reset", "-r", "ok")
    assert done.code == 2
    assert "--epoch" in done.err
    assert switch.server.cli("GET", STATE) == "ENGAGED x"


def test_reset_of_a_scope_says_that_the_switch_still_stops(switch: Switch, shell: Shell) -> None:
    """The strictest wins, and the operator is told so."""
    shell.run("engage", "-r", "all")
    shell.run("engage", "-r", "part", "-s", "account:7")
    epoch = shell.run("status", "--output", "json").json["scopes"][0]["epoch"]
    done = shell.run("reset", "--epoch", str(epoch), "-r", "ok", "-s", "account:7")
    assert done.code == 0
    assert "nothing opens by this" in done.err


@pytest.mark.parametrize("verb", ["reset", "reduce"])
def test_loosening_without_library_is_refused(switch: Switch, shell: Shell, verb: str) -> None:
    """The answer names the command that loads the library."""
    switch.server.cli("FUNCTION", "FLUSH", "SYNC")
    done = shell.run(verb, "--epoch", "1", "-r", "x")
    assert done.code == 1
    assert "killswitch init" in done.err


def test_reduce_tightens_without_and_loosens_with_an_epoch(switch: Switch, shell: Shell) -> None:
    """From SAFE none is needed; from ENGAGED it must be the current one."""
    assert shell.run("reduce", "-r", "close is near").code == 0
    assert switch.server.cli("GET", STATE) == "REDUCING"
    shell.run("engage", "-r", "x")
    refused = shell.run("reduce", "-r", "flatten")
    assert refused.code == 1
    assert "needs the epoch" in refused.err
    epoch = str(switch.control.status().switch.epoch)
    done = shell.run("reduce", "-r", "flatten", "--epoch", epoch, "--output", "json")
    assert (done.code, done.json["state"]) == (0, "REDUCING")


def test_init_loads_and_leaves_what_is_there(switch: Switch, shell: Shell) -> None:
    """It may be repeated; on an empty server it engages."""
    assert "left as it is: SAFE: trading permitted" in shell.run("init").out
    switch.server.cli("FLUSHALL")
    switch.server.cli("FUNCTION", "FLUSH", "SYNC")
    done = shell.run("init", "--output", "json")
    assert done.code == 0
    assert (done.json["created"], done.json["state"]) == (True, "ENGAGED initialised")
