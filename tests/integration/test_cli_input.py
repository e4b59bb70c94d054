"""Bad input and bad surroundings, each tried: one clear line, the right exit code, nothing sent, never a traceback."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from tests.support.agents import open_epoch
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`."""
    return Shell(switch.url, tmp_path, monkeypatch, capsys)


@pytest.fixture
def lonely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell whose Redis is not there: a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    return Shell(f"redis://127.0.0.1:{port}/0", tmp_path, monkeypatch, capsys)


BAD_INPUT = [
    (("engage", "-r", "x", "--wait", "-1"), "-1"),
    (("reduce",), "--reason"),
    (("reduce", "-r", ""), "the reason is empty"),
    (("reduce", "-r", "   "), "the reason is empty"),
    (("reduce", "-r", "two\nlines"), "one plain line"),
    (("reduce", "-r", "esc\x1b[31m"), "one plain line"),
    (("reduce", "-r", "x" * 201), "at most 200"),
    (("reduce", "-r", "x", "-a", "a\tb"), "one plain line"),
    (("engage", "-r", "x", "-s", "EURUSD"), "dimension:name"),
    (("engage", "-r", "x", "-s", "Symbol:EURUSD"), "dimension:name"),
    (("engage", "-r", "x", "-s", "symbol:EUR USD"), "dimension:name"),
    (("engage", "-r", "x", "extra"), "extra"),
    (("engage", "-r", "x", "--output", "xml"), "xml"),
    (("engag", "-r", "x"), "did you mean `engage`?"),
    (("--bogus",), "--bogus"),
    (("reset", "-r", "x"), "--epoch"),
    (("reset", "-r", "x", "--epoch", "abc"), "whole number"),
    (("reset", "-r", "x", "--epoch", "-1"), "-1"),
    (("reset", "-r", "x", "--epoch", "1", "--for", "8"), "8h"),
    (("reset", "-r", "x", "--epoch", "1", "--for", "0s"), "8h"),
    (("reset", "-r", "x", "--epoch", "1", "--for", "999999d"), "a year"),
    (("reset", "-r", "x", "--epoch", "1", "--for", "8h", "-s", "a:b"), "follows the switch"),
    (("audit", "verfy"), "verfy"),
    (("audit", "list", "-n", "0"), "0"),
    (("watch", "--every", "0"), "0"),
    (("completion", "tcsh"), "tcsh"),
]


@pytest.mark.parametrize(("words", "told"), BAD_INPUT, ids=[" ".join(words)[:40] for words, _ in BAD_INPUT])
def test_bad_input_is_told_in_one_paragraph(switch: Switch, shell: Shell, words: tuple[str, ...], told: str) -> None:
    """It ends with 2, names what is wrong, prints nothing on stdout and sends nothing."""
    before = switch.server.cli("GET", "killswitch:ledger"), switch.server.cli("XLEN", "killswitch:audit")
    done = shell.run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert told in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert switch.server.cli("GET", STATE) == "SAFE"
    assert before == (switch.server.cli("GET", "killswitch:ledger"), switch.server.cli("XLEN", "killswitch:audit"))


VERBS = [
    ("engage", "-r", "x"),
    ("engage", "-r", "x", "--wait"),
    ("reduce", "-r", "x"),
    ("reset", "-r", "x", "--epoch", "1"),
    ("status",),
    ("watch",),
    ("audit", "list"),
    ("init",),
]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "no reason was given"),
        (("-r", ""), "no reason was given"),
        (("-r", "x", "--wait", "soon"), "'soon' is no time: waited at most 5 s"),
        (("-r", "x", "--wait", "nan"), "'nan' is no time"),
        (("-r", "x", "--wait", "1e99"), "--wait 1e99: waited at most 3600 s"),
        (("-r", "x", "--wait", "2h"), "--wait 2h: waited at most 3600 s"),
        (("-r", "x", "--wait", "0"), ""),
        (("-r", "x", "--wait", "10s"), ""),
    ],
)
def test_why_and_how_long_decide_nothing_about_the_stop(
    switch: Switch, shell: Shell, words: tuple[str, ...], told: str
) -> None:
    """What is odd about them is told after the fleet is engaged, and the wait is the nearest that can be had."""
    open_epoch(switch.agent())
    done = shell.run("engage", *words)
    assert switch.server.cli("GET", STATE).startswith("ENGAGED ")
    assert done.code in (0, 3)
    assert told in " ".join(done.err.split())
    assert told or done.err == ""


@pytest.mark.parametrize("words", [words for words in VERBS if words != ("watch",)], ids=lambda words: words[0])
def test_unreachable_redis_ends_with_69(lonely: Shell, words: tuple[str, ...]) -> None:
    """Every command but `watch`, which goes on looking, says which address, in one paragraph."""
    done = lonely.run(*words)
    assert (done.code, done.out) == (69, "")
    assert "cannot be reached" in done.err
    assert "127.0.0.1" in done.err
    assert "Traceback" not in done.err


def test_unreachable_engagement_tells_what_to_do_elsewhere(lonely: Shell) -> None:
    """The line for another host, the bound, and the condition under which the bound holds."""
    done = lonely.run("engage", "-r", "it's bad", "-s", "symbol:EURUSD", "--output", "json", redis_password="secret")
    error = done.json["error"]
    assert done.code == 69
    assert error["redis_cli"].startswith("redis-cli -h 127.0.0.1 -p ")
    assert error["redis_cli"].endswith("""--askpass SET killswitch:state:symbol:EURUSD 'ENGAGED it'"'"'s bad'""")
    assert error["closed_within_ms"] == 1223
    assert (error["holds_if"], error["maybe_written"]) == ("redis is dead or frozen", False)
    assert "secret" not in done.out + done.err


def test_silent_redis_is_not_asked_for_the_bound_it_could_not_be_asked_to_stop(lonely: Shell) -> None:
    """After both attempts the operator is told at once: asking a third time would double the time until then."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        done = lonely.run("engage", "-r", "x", "--output", "json", redis_url=url, timeout_ms="3000")
        silent.settimeout(0.0)
        calls = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                calls += 1
    assert done.code == 69
    assert done.json["error"]["closed_within_ms"] == 1223
    assert calls == 2


def test_frozen_redis_leaves_the_engagement_unknown(switch: Switch, shell: Shell) -> None:
    """A server that does not answer ends with 69, and it is not claimed that nothing was written."""
    switch.server.sigstop()
    done = shell.run("engage", "-r", "x", "--output", "json", timeout_ms="2000")
    switch.server.sigcont()
    assert done.code == 69
    assert done.json["error"]["maybe_written"] is True
    assert "NOT CONFIRMED" in done.err


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
@pytest.mark.parametrize(
    "broken", [{"redis_url": "http://x"}, {"redis_url": ""}, {"redis_url": "redis://h:port"}, {"prefix": "a b"}]
)
def test_bad_address_ends_with_2(lonely: Shell, words: tuple[str, ...], broken: dict[str, str]) -> None:
    """An address or prefix that cannot be one is a usage error for every command, engage included."""
    done = lonely.run(*words, **broken)
    assert (done.code, done.out) == (2, "")
    assert f"KILLSWITCH_{next(iter(broken)).upper()}" in done.err
    assert "Traceback" not in done.err


def test_bad_settings_are_all_shown(lonely: Shell) -> None:
    """Every violation is in the message, and in JSON each by itself."""
    done = lonely.run("status", "--output", "json", lease_ms="abc", rung="x", renw_ms="1")
    assert done.code == 2
    assert len(done.json["error"]["violations"]) == 3


def test_an_unexpected_error_is_one_line(
    lonely: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 70 and no traceback, unless one is asked for."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("killswitch.Controller.status", broken)
    done = lonely.run("status")
    assert (done.code, done.out) == (70, "")
    assert "unexpected ZeroDivisionError: oops" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in lonely.run("--traceback", "status").err


@pytest.mark.parametrize("words", [("--help",), ("engage", "--help"), ("audit", "--help"), ("audit", "list", "-h")])
def test_help_ends_with_0(lonely: Shell, words: tuple[str, ...]) -> None:
    """Help needs neither Redis nor settings, and fits 100 columns."""
    done = lonely.run(*words, lease_ms="abc")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: killswitch")
    assert max(map(len, done.out.splitlines())) <= 100


@pytest.mark.parametrize("words", [(), ("audit",)])
def test_without_a_verb_help_is_shown_as_a_usage_error(lonely: Shell, words: tuple[str, ...]) -> None:
    """Nothing is guessed: help on stderr, and 2."""
    done = lonely.run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: killswitch")


def test_an_error_after_the_engagement_does_not_hide_it(
    switch: Switch, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks later, the operator reads that the fleet is engaged, and a script does not read a refusal."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("ops.pressing.tell_durability", broken)
    plain, waiting = shell.run("engage", "-r", "x"), shell.run("engage", "-r", "x", "--wait", "--output", "json")
    assert (plain.code, waiting.code) == (0, 3)
    assert "the fleet is ENGAGED" in plain.err
    assert waiting.json["verdict"] == "UNCERTAIN"
    assert switch.server.cli("GET", STATE) == "ENGAGED x"
