"""The command as a process: how early it sends, and how it behaves on terminals, in pipes and under signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.agents import hold_permit, open_epoch, release
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

HEAVY = ("prometheus_client", "pydantic", "pydantic_settings", "redis", "rq", "structlog", "asyncio", "dotenv")


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`."""
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(switch.url, folder, monkeypatch, capsys)


class Tap:
    """One connection to a unix socket, passed on; `before(command)` runs when ks_engage comes by, before it goes on."""

    def __init__(self, target: Path, folder: Path, before: Callable[[], None]) -> None:
        self.path = folder / "tap.sock"
        self._target = target
        self._before = before
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._listener, self._listener.accept()[0] as client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._target))
            back = threading.Thread(target=self._copy, args=(server, client, None), daemon=True)
            back.start()
            self._copy(client, server, self._before)

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket, before: Callable[[], None] | None) -> None:
        while data := source.recv(65536):
            if before is not None and b"ks_engage" in data:
                before()
            sink.sendall(data)

    def end(self) -> None:
        self._thread.join(10)


def test_engage_is_sent_before_anything_heavy_is_loaded(switch: Switch, shell: Shell) -> None:
    """When the command reaches Redis, none of the heavy packages has been imported; afterwards some are."""
    log = shell.folder / "imports"
    loaded: list[str] = []
    short = Path(switch.server.socket_path).parent  # a socket's path has 104 characters at most
    tap = Tap(switch.server.socket_path, short, lambda: loaded.append(log.read_text()))
    shell.monkeypatch.setenv("KILLSWITCH_REDIS_URL", f"unix://{tap.path}")
    with log.open("w") as out:
        process = shell.spawn("engage", "-r", "x", options=("-X", "importtime"), stderr=out)
        assert process.communicate(timeout=30)[0].startswith("ENGAGED")
    tap.end()
    assert process.returncode == 0
    names = set(re.findall(r"\|\s+(\S+)$", loaded[0], re.M))
    assert {"click", "killswitch.quick"} <= names
    assert [name for name in HEAVY if name in names] == []
    assert "pydantic" in set(re.findall(r"\|\s+(\S+)$", log.read_text(), re.M))


def test_ctrl_c_while_waiting_leaves_the_fleet_engaged(switch: Switch, shell: Shell) -> None:
    """The wait ends, the engagement stays, the command says so and ends with 3."""
    permit = hold_permit(switch.agent(worker_id="w1"), "c-17")
    try:
        with shell.terminal("engage", "-r", "x", "--wait", "60") as terminal:
            terminal.wait_for("waiting for w1")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 3
        assert "the fleet stays ENGAGED" in terminal.shown
    finally:
        release(permit)
    assert switch.server.cli("GET", STATE) == "ENGAGED x"


def test_on_a_terminal_each_worker_is_seen_turning_quiet(switch: Switch, shell: Shell) -> None:
    """Colours and a live line on a terminal; the verdict is the last word."""
    open_epoch(switch.agent(worker_id="w1"))
    with shell.terminal("engage", "-r", "x", "--wait", "30") as terminal:
        assert terminal.end() == 0
    assert "\x1b[" in terminal.shown
    assert terminal.shown.index("w1, seen after") < terminal.shown.index("QUIET")


def test_no_color_is_honoured(switch: Switch, shell: Shell) -> None:
    """With NO_COLOR a terminal gets no colours either."""
    shell.monkeypatch.setenv("NO_COLOR", "1")
    with shell.terminal("status") as terminal:
        assert terminal.end() == 0
    assert "SAFE: trading permitted" in terminal.shown
    assert "\x1b[" not in terminal.shown


@pytest.mark.parametrize(
    ("answer", "code", "state"), [("y\n", 0, "SAFE"), ("n\n", 1, "ENGAGED x"), ("\n", 1, "ENGAGED x")]
)
def test_reset_on_a_terminal_shows_and_asks(switch: Switch, shell: Shell, answer: str, code: int, state: str) -> None:
    """It shows what it would undo; only yes permits, silence does not."""
    epoch = switch.control.engage("x", "alice").epoch
    with shell.terminal("reset", "-r", "ok") as terminal:
        shown = terminal.wait_for("[y/N]")
        assert "ENGAGED: x" in shown
        assert "by alice" in shown
        assert f"undoing epoch {epoch}" in shown
        terminal.type(answer)
        assert terminal.end() == code
    assert switch.server.cli("GET", STATE) == state


def test_reset_undoes_only_what_it_showed(switch: Switch, shell: Shell) -> None:
    """A newer engagement between the question and the answer stays."""
    switch.control.engage("first", "alice")
    with shell.terminal("reset", "-r", "ok") as terminal:
        terminal.wait_for("[y/N]")
        switch.control.engage("second", "bob")
        terminal.type("y\n")
        assert terminal.end() == 1
    assert "ENGAGED: second" in terminal.shown
    assert switch.server.cli("GET", STATE) == "ENGAGED second"


@pytest.fixture
def watching(switch: Switch, shell: Shell) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`watch` with its output in a file."""
    log = shell.folder / "watch.log"
    with log.open("w") as out:
        process = shell.spawn("watch", "--every", "0.1", stdout=out, stderr=out)
    try:
        eventually(lambda: "switch: SAFE" in log.read_text(), timeout_s=20, why="the first look is printed")
        yield process, log
    finally:
        process.kill()
        process.wait()


def test_watch_in_a_pipe_prints_changes(switch: Switch, watching: tuple[subprocess.Popen[str], Path]) -> None:
    """One line for each change, no escape sequence, and Ctrl-C ends it with 0."""
    process, log = watching

    def printed(text: str) -> None:
        eventually(lambda: text in log.read_text(), timeout_s=20, why=f"{text} in {log.read_text()}")

    agent = switch.agent(worker_id="w1")
    printed("joined: worker w1")
    switch.control.engage("x", "alice")
    printed("switch: ENGAGED: x")
    printed("quiet: worker w1")
    agent.close()
    printed("worker w1: left")
    switch.server.kill9()
    printed("Redis does not answer")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert "\x1b" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_watch_begins_in_an_outage(switch: Switch, shell: Shell) -> None:
    """It shows that Redis is away, and the fleet once it is back; on a terminal and in a pipe."""
    switch.server.kill9()
    log = shell.folder / "watch.log"
    with log.open("w") as out:
        process = shell.spawn("watch", "--every", "0.1", stdout=out, stderr=out)
    try:
        with shell.terminal("watch", "--every", "0.1") as terminal:
            terminal.wait_for("Redis has not answered since")
            terminal.wait_for("nothing was seen yet")
            eventually(lambda: "Redis does not answer: " in log.read_text(), timeout_s=20, why="it says so")
            switch.server.restart()
            terminal.wait_for("ENGAGED: there is no state key")
            eventually(lambda: "switch: ENGAGED" in log.read_text(), timeout_s=20, why="the first look is printed")
            for one in (terminal.process, process):
                one.send_signal(signal.SIGINT)
            assert (terminal.end(), process.wait(20)) == (0, 0)
    finally:
        process.kill()
        process.wait()
    assert "Redis answers again" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_gives_the_terminal_back(switch: Switch, shell: Shell, number: signal.Signals) -> None:
    """The alternate screen and the hidden cursor are undone at the end, and the end is clean."""
    with shell.terminal("watch", "--every", "0.1") as terminal:
        terminal.wait_for("Ctrl-C ends")
        assert "\x1b[?1049h\x1b[?25l" in terminal.shown
        switch.control.engage("changed while watching", "alice")
        terminal.wait_for("changed while watching")
        terminal.process.send_signal(number)
        assert terminal.end() == 0
    assert terminal.shown.endswith("\x1b[?25h\x1b[?1049l")


@pytest.mark.parametrize("words", [("status",), ("engage", "-r", "x"), ("watch", "--every", "0.1")])
def test_a_reader_that_went_away_is_no_error(switch: Switch, shell: Shell, words: tuple[str, ...]) -> None:
    """A closed pipe ends in silence, with the command's own exit code."""
    ours, theirs = os.pipe()
    os.close(ours)
    process = shell.spawn(*words, stdout=theirs)
    os.close(theirs)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("killswitch en", "engage"),
        ("killswitch engage --re", "--reason"),
        ("killswitch engage --scope sy", "symbol:EURUSD"),
    ],
)
def test_completion_offers_verbs_options_and_scopes(switch: Switch, shell: Shell, typed: str, offered: str) -> None:
    """What bash would ask for is answered; scopes are those of the fleet."""
    agent = switch.agent(["symbol:EURUSD"])
    open_epoch(agent)
    shell.monkeypatch.setenv("_KILLSWITCH_COMPLETE", "bash_complete")
    shell.monkeypatch.setenv("COMP_WORDS", typed)
    shell.monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert offered in shell.spawn().communicate(timeout=30)[0]


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: Shell, kind: str) -> None:
    """Each names the command and the variable by which it asks."""
    done = shell.run("completion", kind)
    assert done.code == 0
    assert "_KILLSWITCH_COMPLETE" in done.out


def test_the_package_runs_as_a_module(shell: Shell) -> None:
    """`python -m ops` is the same command."""
    done = subprocess.run(
        [sys.executable, "-m", "ops", "--version"], env=dict(shell.environment()), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("killswitch ")
