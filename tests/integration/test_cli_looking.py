"""The commands that look: status and the record, on a real server, also when somebody wrote nonsense there."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.agents import open_epoch
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually


def test_status_shows_every_worker(switch: Switch, shell: Shell) -> None:
    """Switch, scopes and each worker with engine, epoch, flight, lease, rung, version and beat; complete in JSON."""
    agent = switch.agent(["symbol:EURUSD"], engine="eurusd", worker_id="w1", rung="polling")
    epoch = open_epoch(agent)
    eventually(
        lambda: shell.run("status", "--output", "json").json["members"][0]["code"] == "open",
        timeout_s=20,
        why="a beat says so",
    )
    done = shell.run("status", "--output", "json")
    member = done.json["members"][0]
    assert done.json["switch"]["mode"] == "SAFE"
    assert done.json["trouble"] is None
    assert [scope["scope"] for scope in done.json["scopes"]] == ["symbol:EURUSD"]
    assert (member["worker_id"], member["engine"], member["epoch"], member["rung"]) == (
        "w1",
        "eurusd",
        epoch,
        "polling",
    )
    text = shell.run("status").out
    assert "SAFE: trading permitted" in text
    assert "w1" in text
    assert "polling" in text


def test_status_tells_what_a_worker_would_be_refused_with(switch: Switch, shell: Shell) -> None:
    """While Redis refuses renewals, SAFE is not shown as trading."""
    switch.server.config_set("min-replicas-to-write", "1")
    done = shell.run("status")
    assert done.code == 0
    assert "SAFE is written, but no gate can be open" in done.out
    assert "[redis_noreplicas]" in done.out
    assert shell.run("status", "--output", "json").json["trouble"]["code"] == "redis_noreplicas"


def test_hostile_contents_reach_no_terminal(switch: Switch, shell: Shell) -> None:
    """Escape sequences, line breaks and direction marks from Redis are shown as text, within 100 columns."""
    evil = "\x1b[2J\x1b]0;owned\x07\r\nSAFE\u202e\u2066" + "x" * 300
    agent = switch.agent([], engine=evil, worker_id=f"w{evil}")
    open_epoch(agent)
    switch.server.client().set(STATE, f"ENGAGED {evil}")
    switch.server.client().set(f"{STATE}:a:b", evil)
    for words in (("status",), ("audit", "list"), ("engage", "-r", "x", "--wait", "0.2")):
        done = shell.run(*words)
        assert not [char for char in done.out + done.err if not char.isprintable() and char != "\n"]
        assert max(map(len, done.out.splitlines())) <= 100, done.out
    json.loads(shell.run("status", "--output", "json").out)


@pytest.mark.parametrize("columns", [80, 160])
def test_a_table_is_as_wide_as_the_terminal(switch: Switch, shell: Shell, columns: int) -> None:
    """No line breaks the screen, and one that is wide enough has whole changes in one line each."""
    reason = "bad prices from the primary feed since the roll"
    shell.run("engage", "-r", reason, "-s", "symbol:EURUSD", "-a", "alice@desk")
    for words in (("audit", "list"), ("status",)):
        with shell.terminal(*words, columns=columns) as terminal:
            assert terminal.end() == 0
        lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", terminal.shown).split("\r\n")
        assert max(map(len, lines)) <= columns, terminal.shown
        assert "symbol:EURUSD" in terminal.shown
        whole = any("symbol:EURUSD" in line and reason in line for line in lines)
        assert whole is (columns == 160), terminal.shown


def test_the_reason_of_a_stop_without_a_text_is_in_status(switch: Switch, shell: Shell) -> None:
    """A stop by DEL has its note, and a permission that ran out says so, once a beat has recorded it."""
    agent = switch.agent(worker_id="w1")
    open_epoch(agent)
    switch.raw("SET", "killswitch:note", "root@vm: risk rule")
    switch.raw("DEL", STATE)
    eventually(lambda: switch.control.status().switch.recorded, timeout_s=20, why="a beat records it")
    text = shell.run("status").out
    assert "ENGAGED: there is no state key" in text
    assert "risk rule" in text
    switch.control.reset(switch.control.status().switch.epoch, "short", for_s=1)
    eventually(lambda: switch.control.status().switch.via == "expiry", timeout_s=20, why="a beat records the end")
    assert "why: the time-boxed permission ran out" in shell.run("status").out


def test_audit_lists_the_newest_changes(switch: Switch, shell: Shell) -> None:
    """Oldest first, as many as asked for; who changed by hand is marked."""
    shell.run("engage", "-r", "one", "-a", "alice")
    shell.run("engage", "-r", "two", "-a", "bob")
    switch.engage_raw()
    agent = switch.agent()
    eventually(lambda: switch.control.audit(1)[0].via == "raw", timeout_s=20, why="a beat records it")
    agent.close()
    text = shell.run("audit", "list").out
    assert text.index("alice") < text.index("bob") < text.index("unattributed")
    entries = shell.run("audit", "list", "-n", "2", "--output", "json").json["entries"]
    assert (entries[0]["actor"], entries[0]["reason"]) == ("bob", "two")
    assert len(entries) == 2
