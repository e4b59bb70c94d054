"""A Redis that somebody filled with what breaks terminals, logs and tables: it is shown as text, and stopping works."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import click
import pytest

from killswitch import Agent, Blocked, Code, Controller, Settings
from killswitch.store.keys import Keys
from ops.cli import cli
from ops.options import ScopeType
from ops.render import COLUMNS, width
from tests.support.agents import FAST, closes_with
from tests.support.hostile_text import CORPUS, faults, raw
from tests.support.server import RealServer
from tests.support.shell import Done, Shell

_NUMBER = itertools.count(1)
LOOKING = (
    ("status",),
    ("audit", "list", "--count", "200"),
    ("audit", "verify"),
    ("preflight",),
    ("reset", "--reason", "x"),
    ("init",),
)


class Plant:
    """One switch of a server, with hostile text wherever somebody can write any."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.keys = Keys(f"h{next(_NUMBER)}")
        self.client: Any = server.client()
        self.settings = Settings(redis_url=server.unix_url, prefix=self.keys.prefix, actor="tester", **FAST)
        Controller(self.settings).init()

    def everywhere(self, text: str) -> None:
        """In the state, the ledger, the record, its seals, the membership and a worker's row, and in all names."""
        said, keys, client = raw(text), self.keys, self.client
        now_ms = int(client.time()[0]) * 1000
        client.set(keys.state, b"ENGAGED " + said)
        client.set(keys.note, said)
        for scope in (said[:200] + b":" + said[:200], b"symbol:EURUSD"):
            client.set(keys.state.encode() + b":" + scope, said)
            fields = {b"token": said, b"actor": said, b"reason": said, b"via": said, b"text": said, b"at_ms": b"1"}
            client.hset(keys.ledger, mapping={scope + b":" + name: value for name, value in fields.items()})
        client.hset(keys.ledger, mapping={f"switch:{name}": said for name in ("actor", "reason", "via", "text")})
        for kind in (b"", b"outcome"):
            names = ("scope", "from", "to", "reason", "actor", "via", "op", "verdict", "pending")
            client.xadd(keys.audit, {**dict.fromkeys(names, said), "kind": kind, "epoch": b"3", "at_ms": b"1"})
        client.xadd(keys.seals, {"n": b"1", "content": said, "link": said, "by": said})
        for worker in (said[:300], b"w1"):
            client.zadd(keys.workers, {worker: now_ms})
            told = ("host", "version", "engine", "mode", "code", "rung", "scopes", "info", "orders", "instance")
            row: dict[str, Any] = dict.fromkeys(told, said)
            row |= {"orders": json.dumps([text]), "info": json.dumps({"sinks": text, text: text}), "in_flight": b"2"}
            client.hset(keys.worker("").encode() + worker, mapping=row)


@pytest.fixture
def plant(module_server: RealServer) -> Plant:
    """A fresh switch."""
    return Plant(module_server)


@pytest.fixture
def shell(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for it."""
    monkeypatch.setenv("KILLSWITCH_PREFIX", plant.keys.prefix)
    monkeypatch.setenv("WORKERS_QUEUE_URL", plant.server.url)
    return Shell(plant.server.unix_url, tmp_path, monkeypatch, capsys)


def assert_still(done: Done, why: object) -> None:
    """Nothing on either stream moves, hides or colours anything, and no line is longer than a screen."""
    assert done.code not in (70,), (why, done)
    assert faults(done.out) + faults(done.err) == [], why
    for line in (done.out + done.err).splitlines():
        assert width(line) <= COLUMNS or line.startswith("{"), (why, line)


def test_looking_at_it_shows_text_and_stopping_works(plant: Plant, shell: Shell) -> None:
    """Every command that looks, as text and as JSON; then one that stops, and waits for a proof that nobody gives."""
    for text in CORPUS:
        plant.everywhere(text)
    for command in LOOKING:
        assert_still(shell.run(*command), command)
        done = shell.run(*command, "--output", "json")
        assert faults(done.out) == []
        assert len(done.out.splitlines()) == 1
    for text in CORPUS:
        plant.client.set(plant.keys.state, b"ENGAGED " + raw(text))
        assert_still(shell.run("init"), text)
        assert_still(shell.run("engage", "--reason", text), text)
        assert plant.client.get(plant.keys.state).startswith(b"ENGAGED ")
    done = shell.run("engage", "--reason", CORPUS[0], "--wait", "0.1")
    assert_still(done, "engage")
    assert done.code == 3, done


def test_a_value_of_megabytes_is_shown_by_its_beginning(plant: Plant, shell: Shell) -> None:
    """The screens stay as long as screens are, and the stop does not wait for them."""
    plant.everywhere("\x1b[2J" + "x" * 1_000_000)
    for command in LOOKING[:2]:
        done = shell.run(*command)
        assert_still(done, command)
        assert len(done.out) + len(done.err) < 200_000
    assert shell.run("engage", "--reason", "x" * 1_000_000 + "\n").code == 0
    assert len(plant.client.get(plant.keys.state)) <= 256


def test_a_blocked_check_tells_it_in_one_line(plant: Plant) -> None:
    """What a trading program logs when it is blocked, under a state that was written to forge a log."""
    plant.client.set(plant.keys.state, b"ENGAGED " + raw("".join(CORPUS[:7])))
    with Agent(plant.settings) as agent:
        closes_with(agent, Code.ENGAGED)
        assert faults(agent.view.reason) == []
        with pytest.raises(Blocked) as caught:
            agent.gate.signal()
    assert faults(str(caught.value)) == []
    assert "\n" not in str(caught.value)


def test_completion_offers_only_what_is_a_scope(plant: Plant, shell: Shell) -> None:
    """A name that a worker made up is not put into the line that somebody is about to send off."""
    names = [b"a:b;reboot", b"a:$(reboot)", b"a:b\nreboot", b"symbol:EURUSD", b"a:`x`", b"A:b"]
    plant.client.zadd(plant.keys.workers, {"w1": 1})
    plant.client.hset(plant.keys.worker("w1"), mapping={"scopes": b",".join(names)})
    kind = ScopeType()
    offered = kind.shell_complete(click.Context(cli), click.Option(["--scope"], type=kind), "")
    assert [item.value for item in offered] == ["symbol:EURUSD"]
