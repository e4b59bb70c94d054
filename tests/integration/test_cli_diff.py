"""`killswitch audit diff` on real servers: a fleet that agrees, and what it says when somebody has a hand in it."""

from __future__ import annotations

from killswitch import Renewer
from tests.support.agents import open_epoch
from tests.support.shell import Done, Shell
from tests.support.switch import STATE, Switch
from tests.support.tampering import AUDIT, Tamper
from tests.support.waiting import eventually

LEDGER = "killswitch:ledger"
SETTLING = {("closed", "w1"), ("behind", "w1"), ("not-quiet", "w1"), ("still-open", "w1")}
"""What a worker says between a change and its next beat."""


def diff(shell: Shell, *words: str) -> Done:
    """One comparison, for programs, without looking twice."""
    return shell.run("audit", "diff", "--settle", "0", "--output", "json", *words)


def told(done: Done) -> set[tuple[str, str]]:
    """What disagrees, and where."""
    return {(one["difference"], one["subject"]) for one in done.json["disagreements"]}


def test_a_fleet_that_agrees_says_so(switch: Switch, shell: Shell) -> None:
    """Trading, and stopped with the proof; a moment in between is looked at again and settles."""
    open_epoch(switch.agent(["symbol:A"], worker_id="w1"))
    eventually(lambda: diff(shell).code == 0, timeout_s=20, why="a beat has told that the gate is open")
    shell.run("engage", "-r", "stop", "--wait", "20")
    shell.run("engage", "-r", "part", "--scope", "symbol:A", "--wait", "20")
    done = shell.run("audit", "diff", "--settle", "1")
    assert (done.code, done.out.split()[0]) == (0, "AGREED"), done.out


def test_whatever_may_be_on_record_in_order_is_no_disagreement(switch: Switch, shell: Shell) -> None:
    """Permitted for a while, under a dead man's switch, by hand with a limit in time, and words that look like one."""
    open_epoch(switch.agent(worker_id="w1"))
    epoch = switch.control.engage("stop").epoch
    switch.control.reset(epoch, "for a while", for_s=60)
    assert told(diff(shell)) - SETTLING == set()
    Renewer(switch.settings(), every_s=20, grace_s=60).take(switch.control.status().switch.epoch, "the desk")
    assert switch.server.cli("HGET", LEDGER, "switch:text").startswith("SAFE (while renewed")
    assert told(diff(shell)) - SETTLING == set()
    for words in (("SAFE (for 5 s)",), ("SAFE", "EX", 60)):
        switch.raw("SET", STATE, *words)
        eventually(lambda: switch.control.status().switch.recorded, why="a beat has recorded it")
        assert told(diff(shell)) - SETTLING == set(), words


def test_each_hand_in_it_is_named_with_its_remedy(switch: Switch, shell: Shell) -> None:
    """State, ledger, record and a worker's row altered by hand, each alone."""
    tamper = Tamper(switch.server)
    switch.control.engage("stop")
    assert told(diff(shell)) == set()
    switch.raw("SET", STATE, "SAFE")
    assert told(diff(shell)) == {("not-recorded", "switch")}
    switch.control.engage("again")
    switch.raw("HSET", LEDGER, "switch:actor", "mallory")
    assert told(diff(shell)) == {("other-entry", "switch")}
    epoch = switch.control.engage("again").epoch
    switch.raw("HSET", LEDGER, "switch:epoch", epoch - 1, "epoch", epoch - 1)
    assert told(diff(shell)) == {("newer-entry", "switch"), ("counter", "ledger")}
    switch.control.engage("again")
    switch.control.close()
    kept = tamper.entries()
    tamper.write(kept[:-1])
    assert told(diff(shell)) == {("no-entry", "switch")}
    tamper.client.delete(AUDIT)
    assert told(diff(shell)) == {("no-entry", "switch")}
    tamper.write(kept)
    tamper.edit(-1, to="SAFE")
    assert ("other-state", "switch") in told(diff(shell))
    tamper.write(kept)
    switch.raw("FCALL", "ks_beat", 1, STATE, 1, "ghost", epoch, 0, 1, 60_000, 60_000, "life", "beat_ms", 1000)
    done = diff(shell)
    assert done.code == 6
    assert {("still-open", "ghost"), ("other-version", "ghost")} <= told(done)
    text = shell.run("audit", "diff", "--settle", "0").out
    assert text.startswith("DISAGREED")
    assert "end the process" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100
