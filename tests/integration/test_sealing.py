"""Sealing after a change, on real servers: done by whoever changed, in the way of nobody, one chain whoever seals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from killswitch import Auditor, Controller, Verdict
from killswitch.control import controller, fencing
from tests.support.agents import open_epoch
from tests.support.resp import RawLine
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`."""
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(switch.url, folder, monkeypatch, capsys)


@pytest.fixture(autouse=True)
def settled(switch: Switch) -> None:
    """What seals the permission that a test begins with has ended: it would go on to seal what the test does."""
    switch.settled()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends waits for its sealing however busy the machine is."""
    monkeypatch.setattr(controller, "_CLOSE_S", 20.0)


def auditor(switch: Switch) -> Auditor:
    """One that looks after the record of `switch`."""
    return Auditor(switch.settings())


@contextmanager
def monitored(switch: Switch) -> Iterator[Callable[[str], list[str]]]:
    """What the server is told while this lasts; called with a word, the lines up to the first that holds it."""
    with RawLine(switch.server.socket_path, 20.0) as line:
        assert line.call("MONITOR") == "OK"
        seen: list[str] = []

        def until(word: str) -> list[str]:
            while not seen or word not in seen[-1]:
                seen.append(str(line.read()))
            return seen

        yield until


@pytest.mark.usefixtures("patient")
def test_every_change_is_sealed_by_whoever_made_it(switch: Switch, shell: Shell) -> None:
    """Engage, reduce, reset and init, by the command and by the library: nothing is left for an auditor."""
    epoch = shell.run("engage", "-r", "one", "--output", "json").json["epoch"]
    assert shell.run("reduce", "-r", "two", "--epoch", str(epoch)).code == 0
    assert shell.run("reset", "-r", "three", "--epoch", str(epoch + 1)).code == 0
    assert shell.run("init").code == 0
    found = auditor(switch).verify()
    assert (found.intact, found.unsealed, found.position) == (True, 0, found.entries)
    with Controller(switch.settings()) as control:
        control.engage("four")
    assert auditor(switch).verify().unsealed == 0


def test_engaging_is_sent_and_told_before_anything_that_seals_it(switch: Switch) -> None:
    """On the wire: first the stop, and only when it was confirmed and told what seals it, by another connection."""
    told: list[int] = []  # when it was told, how many entries had no seal yet
    eventually(lambda: auditor(switch).verify().unsealed == 0, why="what the test began with is sealed")
    with monitored(switch) as until, Controller(switch.settings(redis_url=switch.server.url)) as control:
        control.engage("stop", on_engaged=lambda _: told.append(auditor(switch).verify().unsealed))
        lines = until("ks_seal")
    assert told == [1]
    asked = [line for line in lines if " lua]" not in line and '"HELLO"' not in line.upper()]
    assert "ks_engage" in asked[0], asked
    assert asked[0].split()[1:3] != asked[-1].split()[1:3], "another connection"


def test_nobody_waits_for_the_sealing(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that never gets its turn holds up neither the change nor the wait; when it does, it seals."""
    held: list[Callable[[], None]] = []
    monkeypatch.setattr(fencing, "spawn", lambda _name, work: held.append(work))
    open_epoch(switch.agent())
    outcome = switch.control.engage("stop", wait_s=20)
    assert outcome.verdict is Verdict.QUIET
    before = auditor(switch).verify()
    assert before.unsealed > 0
    assert switch.control.audit(1)[0].outcome is None
    for work in held:
        work()
    after = auditor(switch).verify()
    assert (after.intact, after.unsealed) == (True, 0)
    assert switch.control.audit(1)[0].outcome is not None


def test_a_thread_that_cannot_be_had_is_no_error(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process at its limit of threads engages all the same."""

    def none(_name: str, _work: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(fencing, "spawn", none)
    with Controller(switch.settings()) as control:
        assert control.engage("stop").epoch > 0


def test_who_may_not_seal_engages_all_the_same(switch: Switch, shell: Shell) -> None:
    """Without the right to the seals every command ends as it would, and the tail is left to an auditor, and told."""
    allowed = ["~killswitch:state*", "~killswitch:[a-r]*", "~killswitch:w*", "&*", "+@all"]
    switch.server.cli("ACL", "SETUSER", "trigger", "on", ">pw", "resetkeys", *allowed)
    url = switch.server.url.replace("redis://", "redis://trigger:pw@")
    before = auditor(switch).seal().position
    done = shell.run("engage", "-r", "stop", "--wait", "5", "--output", "json", redis_url=url)
    assert (done.code, done.json["verdict"], done.json["warnings"]) == (3, "UNCERTAIN", [
        "nobody is registered there: are KILLSWITCH_REDIS_URL and KILLSWITCH_PREFIX those of the fleet?"
    ])  # fmt: skip
    assert shell.run("reset", "-r", "go", "--epoch", str(done.json["epoch"]), redis_url=url).code == 0
    found = auditor(switch).verify()
    assert (found.intact, found.position, found.unsealed) == (True, before, 3)
    assert auditor(switch).seal().sealed == 3


@pytest.mark.usefixtures("patient")
def test_the_end_of_a_wait_is_in_the_row_of_its_stop(switch: Switch, shell: Shell) -> None:
    """QUIET and after how long, UNCERTAIN and who; a change that nobody waited for has none, and none counts twice."""
    agent = switch.agent(worker_id="w1")
    open_epoch(agent)
    quiet = shell.run("engage", "-r", "one", "--wait", "20", "--output", "json").json
    switch.raw("FCALL", "ks_beat", 1, STATE, 1, "ghost", 0, 0, 1, 60_000, 60_000, "life")
    uncertain = shell.run("engage", "-r", "two", "--wait", "3", "--output", "json").json
    shell.run("engage", "-r", "three")
    entries = shell.run("audit", "list", "-n", "3", "--output", "json").json["entries"]
    assert [entry["reason"] for entry in entries] == ["one", "two", "three"]
    assert [entry["epoch"] for entry in entries] == [quiet["epoch"], uncertain["epoch"], uncertain["epoch"] + 1]
    first, second, third = (entry["outcome"] for entry in entries)
    assert (first["verdict"], first["pending"], first["actor"]) == ("QUIET", "", "tester")
    assert first["waited_ms"] == int(quiet["waited_ms"])
    assert (second["verdict"], second["pending"], second["members"]) == ("UNCERTAIN", "ghost", 2)
    assert third is None
    assert [entry["operation"] for entry in entries[:2]] == [quiet["operation"], uncertain["operation"]]
    text = shell.run("audit", "list", "-n", "3").out
    assert "QUIET" in next(line for line in text.splitlines() if str(quiet["epoch"]) in line.split())
    assert "[not quiet: ghost]" in " ".join(text.split())
    assert auditor(switch).verify().unsealed == 0


def test_many_sealers_at_once_make_one_chain_without_a_gap(switch: Switch) -> None:
    """Whatever their race, while changes go on: each entry has one seal, and all of them are in line."""
    halt = threading.Event()
    errors: list[BaseException] = []

    def seal() -> None:
        try:
            while not halt.is_set():
                auditor(switch).seal(3)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    with switch.server.line() as line:
        for number in range(120):
            line.call("FCALL", "ks_engage", 1, STATE, f"race {number}", "racer")
    eventually(lambda: errors or auditor(switch).verify().unsealed == 0, timeout_s=30, why="all is sealed")
    halt.set()
    for thread in threads:
        thread.join()
    assert not errors
    found = auditor(switch).verify()
    assert (found.intact, found.position, found.unsealed) == (True, found.entries, 0)


def test_what_was_changed_by_hand_is_sealed_by_an_auditor(switch: Switch, shell: Shell) -> None:
    """A worker's beat puts it on record and seals nothing: the tail is told, and `audit seal` seals it."""
    agent = switch.agent()
    shell.run("audit", "seal")
    switch.engage_raw()
    eventually(lambda: switch.control.audit(1)[0].via == "raw", timeout_s=20, why="a beat records it")
    agent.close()
    done = shell.run("audit", "verify", "--output", "json")
    assert (done.code, done.json["unsealed"]) == (0, 1)
    assert "1 entry not sealed yet" in done.err
    assert shell.run("audit", "seal", "--output", "json").json["sealed"] == 1
    assert shell.run("audit", "verify", "--output", "json").json["unsealed"] == 0
