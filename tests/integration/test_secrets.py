"""Passwords and keys stay where they are: a canary is looked for in everything that anybody can read."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from killswitch import Agent, Controller, Settings, StoreRefused, StoreUnavailable, local, quick
from killswitch.store.wire import connect
from tests.support.processes import ROOT
from tests.support.server import RealServer, binary
from tests.support.shell import Done, Shell
from tests.support.waiting import eventually
from workers import queues
from workers import settings as worker_settings

CANARY = "c4n4ry-7f3a"
COMMANDS = (
    ("status",),
    ("engage", "--reason", "x"),
    ("reduce", "--reason", "x"),
    ("reset", "--reason", "x"),
    ("reset", "--reason", "x", "--epoch", "1"),
    ("audit", "list"),
    ("audit", "verify"),
    ("audit", "seal"),
    ("preflight",),
    ("init",),
    ("acl",),
    ("down", "e1", "--reason", "x"),
    ("exporter", "--listen", "nowhere"),
    ("demo", "--workers", "1"),
    ("bench", "--quick", "--only", "calls"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    """A server where everybody needs the canary; of one make, because what is looked at is not the server."""
    program = binary("redis") or binary("valkey")
    if program is None:
        pytest.skip("there is no server")
    made = RealServer(program)
    made.cli("CONFIG", "SET", "requirepass", CANARY)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell whose settings the tests give."""
    return Shell("redis://127.0.0.1:1/0", tmp_path, monkeypatch, capsys)


def url_of(server: RealServer, scheme: str = "redis", password: str = CANARY, port: int = 0) -> str:
    """The address of the server with a password in it."""
    return f"{scheme}://:{password}@127.0.0.1:{port or server.port}/0"


def mishaps(server: RealServer) -> dict[str, dict[str, str]]:
    """Settings that hold the canary and do not work, each in another way."""
    good = {"KILLSWITCH_REDIS_URL": url_of(server)}
    told = {
        "refused": url_of(server, password=f"{CANARY}-wrong"),
        "unreachable": url_of(server, port=1),
        "no TLS there": url_of(server, "rediss"),
        "no host": f"redis://user:{CANARY}/0",
        "bad port": f"redis://user:{CANARY}@host:port/0",
        "slash in it": f"redis://user:{CANARY}/x@host/0",
        "hash in it": f"redis://user:{CANARY}#x@host/0",
        "one slash": f"redis:/user:{CANARY}@host/0",
        "no scheme": f"user:{CANARY}@host/0",
        "another scheme": f"http://user:{CANARY}@host/0",
        "bracket": f"redis://user:{CANARY}]@[host/0",
        "sentinel": f"redis+sentinel://:{CANARY}@127.0.0.1:1/desk",
        "options": f"redis://:{CANARY}@h?ssl_cert_reqs={CANARY}",
        "unix": f"unix://:{CANARY}@/nowhere.sock",
    }
    found = {name: {"KILLSWITCH_REDIS_URL": url} for name, url in told.items()}
    places = (f"rediss+sentinel://:{CANARY}/0", f"syslog://user:{CANARY}@host:abc", f"https://logs.example/{CANARY}")
    found |= {f"anchors {place[:6]}": {**good, "KILLSWITCH_ANCHORS": place} for place in places}
    found["anchors away"] = {**good, "KILLSWITCH_ANCHORS": f"rediss+sentinel://:{CANARY}@127.0.0.1:1/m/0"}
    found["short key"] = {**good, "KILLSWITCH_AUDIT_KEY": CANARY[:8]}
    found["sink"] = {**good, "KILLSWITCH_SINKS": f"venue=tcp://user:{CANARY}@host:1"}
    found["misspelt"] = {**good, "KILLSWITCH_REDIS_PASWORD": CANARY}
    found["queue"] = {**good, "WORKERS_QUEUE_URL": f"redis://user:{CANARY}/0"}
    found["queue refused"] = {**good, "WORKERS_QUEUE_URL": url_of(server, password=f"{CANARY}-wrong")}
    found["queue option"] = {**good, "WORKERS_QUEUE_URL": f"redis://h?password={CANARY}"}
    return found


def assert_silent(done: Done, why: object) -> None:
    """Nothing of it on either stream; the beginning of the canary counts as well."""
    for text in (done.out, done.err):
        assert CANARY[:8] not in text, (why, text)


def test_no_command_tells_a_secret_however_it_fails(server: RealServer, shell: Shell) -> None:
    """Every command with a password that is refused and a URL that cannot be read, and the three that read most in
    every way that settings can be wrong; as text with the traceback, or as JSON."""
    shell.monkeypatch.setenv("KILLSWITCH_TIMEOUT_MS", "100")
    for name, variables in mishaps(server).items():
        with shell.monkeypatch.context() as patch:
            for variable, value in variables.items():
                patch.setenv(variable, value)
            few = (*COMMANDS[:2], ("preflight",), *([("audit", "anchor")] if name.startswith("anchors") else []))
            for command in COMMANDS if name in ("refused", "no host") else few:
                assert_silent(shell.run("--traceback", *command), (name, command))
                if command[0] in ("status", "engage", "preflight"):
                    assert_silent(shell.run(*command, "--output", "json"), (name, command))


@pytest.mark.parametrize("source", ["url", "variable", "secret file", "env file"])
def test_a_password_is_found_in_every_source_and_told_from_none(server: RealServer, shell: Shell, source: str) -> None:
    """In the URL, on its own, in a secret file and in `.env`: it works, for both kinds of connection."""
    bare = f"redis://127.0.0.1:{server.port}"
    values = {"KILLSWITCH_REDIS_URL": f"{bare}/0", "WORKERS_QUEUE_URL": f"{bare}/1"}
    passwords = {"KILLSWITCH_REDIS_PASSWORD": CANARY, "WORKERS_QUEUE_PASSWORD": CANARY}
    secrets = shell.folder / "secrets"
    secrets.mkdir()
    if source == "url":
        values = {"KILLSWITCH_REDIS_URL": url_of(server), "WORKERS_QUEUE_URL": url_of(server)[:-1] + "1"}
    elif source == "variable":
        values |= passwords
    elif source == "secret file":
        for name, value in passwords.items():
            (secrets / name.lower()).write_text(f"{value}\n")
    else:
        (shell.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in passwords.items()))
    for name, value in values.items():
        shell.monkeypatch.setenv(name, value)
    for command in (("init",), ("engage", "--reason", "x"), ("status",), ("preflight", "--only", "queue")):
        done = shell.run(*command)
        assert done.code == 0, done
        assert_silent(done, command)
    with closing(queues.connect(worker_settings.load().queue_address)) as client:
        assert client.ping()


def test_nothing_that_holds_a_secret_shows_it(server: RealServer, shell: Shell) -> None:
    """What a debugger, a log line or a test report prints of an object."""
    for name in ("KILLSWITCH_REDIS_URL", "WORKERS_QUEUE_URL"):
        shell.monkeypatch.setenv(name, url_of(server))
    for name in ("KILLSWITCH_REDIS_PASSWORD", "WORKERS_QUEUE_PASSWORD", "KILLSWITCH_AUDIT_KEY"):
        shell.monkeypatch.setenv(name, f"{CANARY}-{'x' * 40}")
    settings, workers, target = Settings(), worker_settings.load(), quick.read_target()
    with closing(connect(settings.endpoint, 5.0)) as wire:
        things = [settings, workers, target, settings.endpoint, wire, Controller(settings), Agent(settings)]
    wrong = Settings(redis_url=url_of(server, password=f"{CANARY}-wrong"))
    for attempt in (wrong, Settings(redis_url=url_of(server, port=1))):
        with pytest.raises((StoreRefused, StoreUnavailable)) as caught:
            Controller(attempt).status()
        things.append(caught.value)
        assert CANARY.encode() not in pickle.dumps(caught.value)
    for thing in things:
        assert CANARY not in repr(thing) + str(thing), type(thing)


def test_a_worker_tells_no_secret_to_log_process_list_or_redis(server: RealServer, tmp_path: Path) -> None:
    """Its log, its arguments, and everything that it and RQ write into either Redis."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KILLSWITCH_REDIS_URL": url_of(server),
        "WORKERS_QUEUE_URL": url_of(server)[:-1] + "1",
        "KILLSWITCH_AUDIT_KEY": f"{CANARY}-{'x' * 40}",
        "WORKERS_LOG_LEVEL": "debug",
    }
    root = Settings(redis_url=url_of(server), actor="root")
    Controller(root).init()
    log = tmp_path / "log"
    with log.open("wb") as out:
        command = [*local.leash(), sys.executable, "-m", "workers"]
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
    try:
        eventually(lambda: Controller(root).status().members, timeout_s=60, why="the worker is a member")
        with closing(redis.Redis(port=server.port, password=CANARY, db=1)) as queue:
            eventually(lambda: queue.keys("rq:worker:*"), timeout_s=60, why="the worker is on the queue")
        server_lines = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert CANARY.encode() not in Path(f"/proc/{worker.pid}/cmdline").read_bytes() + server_lines
        for db in (0, 1):
            with closing(redis.Redis(port=server.port, password=CANARY, db=db)) as client:
                dumped: list[Any] = [(key, client.dump(key)) for key in client.keys("*")]
                names = json.dumps(client.client_list(), default=str)
            assert CANARY not in str(dumped)
            assert CANARY not in names
    finally:
        worker.terminate()
        worker.wait(30)
    text = log.read_text(errors="replace")
    assert f"redis://127.0.0.1:{server.port}/1" in text
    assert CANARY not in text
