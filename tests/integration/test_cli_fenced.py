"""`engage --wait` with sinks: what the shell is told, and what people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import Stopwatch
from workers.venue import RunningVenue, running


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[RunningVenue]:
    """A venue in this process."""
    with running(f"unix://{tmp_path}/v.sock") as found:
        yield found


@pytest.fixture(autouse=True)
def _ghost(switch: Switch) -> None:
    """A worker that died with an order in its hand."""
    words = ("FCALL", "ks_beat", 1, STATE, 1, "w1", 0, 0, 1, 60_000, 60_000, "life", "lease_ms", 300)
    switch.raw(*words, "orders", '["c-17"]', "info", json.dumps({"sinks": "venue/e1"}))


def test_fenced_ends_with_4_and_is_told_whole(shell: Shell, venue: RunningVenue) -> None:
    """The word, the worker and its order, the sink and its fence, and what may be there nevertheless."""
    done = shell.run("engage", "-r", "x", "--wait", "10", sinks=f"venue={venue.url}")
    assert done.code == 4
    assert "FENCED  1 of 1 worker not proved quiet, but fenced" in done.out
    assert "c-17" in done.out
    told = " ".join(done.out.split())
    assert "fenced: its lease has run out, and venue/e1 refuses epochs below 3" in told
    assert "One that had reached its sink before may work there" in told
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.err == ""


def test_fenced_in_json_has_verdict_code_and_fences(shell: Shell, venue: RunningVenue) -> None:
    """What a script needs is in fields."""
    done = shell.run("engage", "-r", "x", "--wait", "10", "--output", "json", sinks=f"venue={venue.url}")
    found = done.json
    assert (done.code, found["verdict"], found["exit_code"]) == (4, "FENCED", 4)
    stands = {"worker_id": "w1", "fenced": True, "missing": ""}
    assert found["fences"] == [{**stands, "fences": [{"sink": "venue/e1", "fence": found["epoch"]}]}]
    assert [member["sinks"] for member in found["pending"]] == [["venue/e1"]]


def test_uncertain_says_what_is_missing_and_ends_with_3(shell: Shell) -> None:
    """A sink that settings do not know, and one that is not there."""
    done = shell.run("engage", "-r", "x", "--wait", "3")
    assert done.code == 3
    assert "not fenced: KILLSWITCH_SINKS does not say where to find venue" in " ".join(done.out.split())
    done = shell.run("engage", "-r", "x", "--wait", "3", sinks="venue=tcp://127.0.0.1:1")
    assert done.code == 3
    assert "not fenced: no fence at venue/e1: venue cannot be reached" in " ".join(done.out.split())


def test_sinks_that_are_no_setting_never_stop_an_engagement(switch: Switch, shell: Shell) -> None:
    """It is sent first; the setting is reported afterwards, without what may be a password in it."""
    done = shell.run("engage", "-r", "x", "--wait", "0.6", sinks="venue=tcp://u:hunter2@h:1")
    assert done.code == 3
    assert switch.server.cli("GET", STATE) == "ENGAGED x"
    assert "KILLSWITCH_SINKS: the address holds more than a place" in " ".join(done.err.split())
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    "sinks",
    ["venue", "=tcp://h:1", "venue=", "venue=redis://h", "venue=tcp://h:0", "a=tcp://h:1,a=tcp://h:2", "v e=tcp://h:1",
     ",".join(f"s{n}=tcp://h:1" for n in range(33))],
)  # fmt: skip
def test_sinks_of_another_form_are_refused_where_nothing_urgent_is_asked(shell: Shell, sinks: str) -> None:
    """Said with its variable, before anything depends on it."""
    done = shell.run("status", sinks=sinks)
    assert done.code == 2
    assert "KILLSWITCH_SINKS" in done.err


def test_command_returns_in_time_when_redis_freezes_after_the_engagement(
    switch: Switch, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L2: the whole command, its words on durability and leases included, keeps to the wait and a second."""
    watch = Stopwatch()

    def freeze(_press: object) -> None:
        watch.begin()
        switch.server.sigstop()

    monkeypatch.setattr("ops.pressing.tell_engaged", freeze)
    try:
        done = shell.run("engage", "-r", "x", "--wait", "1")
        took_s = watch.took_s
    finally:
        switch.server.sigcont()
    assert done.code == 3
    assert "the proof could not be had" in " ".join(done.out.split())
    assert "unknown: Redis did not answer when asked" in done.out
    assert took_s < 2.0
