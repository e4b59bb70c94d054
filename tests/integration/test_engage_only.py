"""A user who may stop and can not permit: by plain redis-cli, by the command, and whatever else it tries."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from killswitch import Controller, Outcome, Verdict, quick
from killswitch.core.endpoint import parse_url
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused
from killswitch.store.switch import STOPWORD
from killswitch.store.wire import connect
from tests.support.agents import closes_with, open_epoch, stays_closed
from tests.support.library import Library
from tests.support.roles import SCOPE, Bench, bench
from tests.support.server import RealServer
from tests.support.shell import Shell

ROLE = "engage-only"
STRICT = {"SAFE": 0, None: 0, "REDUCING": 1}


def redis_cli(at: Bench, *words: str) -> str:
    """What plain redis-cli prints for this user; the password in its environment, where no other user reads it."""
    program = shutil.which("redis-cli")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-cli is not on PATH")
    command = [str(program), "-s", str(at.server.socket_path), "--user", at.name, *words]
    environment = {**os.environ, "REDISCLI_AUTH": "secret"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    return (done.stdout + done.stderr).strip()


def test_plain_redis_cli_stops_and_can_not_permit(module_server: RealServer) -> None:
    """One DEL closes the gates of a fleet that trades; every way back is refused; a scope is stopped by COPY."""
    with bench(module_server, ROLE) as at, at.agent(SCOPE) as agent:
        open_epoch(agent)
        copy = ("COPY", at.keys.stopword, f"{at.keys.state}:{SCOPE}", "REPLACE")
        assert redis_cli(at, *copy) == "1"
        closes_with(agent, Code.SCOPE_ENGAGED)
        at.admin.reset(int(at.admin.ledger()[f"{SCOPE}:epoch"]), scope=SCOPE)
        open_epoch(agent)
        assert redis_cli(at, "DEL", at.keys.state) == "1"
        closes_with(agent, Code.STATE_MISSING)
        for words in (
            ("SET", at.keys.state, "SAFE"),
            ("SETNX", at.keys.state, "SAFE"),
            ("APPEND", at.keys.state, "SAFE"),
            ("COPY", at.keys.note, at.keys.state),
            ("COPY", at.keys.stopword, at.keys.state),
            ("DEL", f"{at.keys.state}:{SCOPE}"),
            ("FCALL", "ks_reset", "1", at.keys.state, str(at.admin.ledger_epoch()), "x", "x"),
            ("EVAL", "return redis.call('SET', KEYS[1], 'SAFE')", "1", at.keys.state),
        ):
            assert "NOPERM" in redis_cli(at, *words), words
        stays_closed(agent)


def test_of_all_commands_of_the_server_these_alone_may_write(module_server: RealServer) -> None:
    """Nothing that a server knows, in this version or another, gives a user who may stop a fourth way to write."""
    with bench(module_server, ROLE) as at:
        able = set()
        for name, info in at.admin.raw("COMMAND", "DOCS").items():
            if b"subcommands" in info:
                continue
            flags = {bytes(flag) for flag in at.admin.raw("COMMAND", "INFO", name)[0][2]}
            if b"write" in flags and may_run(at, name.decode()):
                able.add(name.decode())
        assert able == {"del", "copy", "set"}


def may_run(at: Bench, name: str) -> bool:
    """Whether this user's rules let the command through with any number of words, whatever its keys."""
    for words in range(9):
        try:
            answer = at.admin.raw("ACL", "DRYRUN", at.name, name, *[at.keys.state] * words)
        except StoreRefused as error:
            answer = error.reason.encode()
        if b"wrong number" not in answer:
            return b"no permissions to run" not in answer
    return True


def test_whatever_it_sends_nothing_is_looser_than_before(module_server: RealServer) -> None:
    """Hundreds of its own commands, over every key and with every option: no state ever permits more than it did."""
    rng = random.Random(7)
    with bench(module_server, ROLE) as at:
        states = [at.keys.state, f"{at.keys.state}:{SCOPE}", f"{at.keys.state}:a:b"]
        keys = [*states, at.keys.note, at.keys.stopword, at.keys.ledger, at.keys.audit, at.keys.workers]
        sources = [at.keys.note, at.keys.note, at.keys.stopword, *states]
        texts = ["SAFE", "SAFE", "REDUCING", "", "ENGAGED", at.keys.stopword, "\x00"]
        options = ["REPLACE", "DB", "0", "1", "NX", "XX", "GET", "KEEPTTL", "PX", "1", *texts]
        passed = 0
        for _ in range(600):
            for key in states:
                if rng.random() < 0.3:
                    word = rng.choice(["SAFE", "REDUCING", "ENGAGED x", "", "S", None])
                    at.admin.raw("DEL", key) if word is None else at.admin.raw("SET", key, word)
            before = {key: reading(at, key) for key in states}
            name = rng.choice(["DEL", "COPY", "COPY", "SET"])
            if name == "DEL":
                words = [rng.choice(keys)]
            elif name == "COPY":
                words = [rng.choice(sources), rng.choice(states), *["REPLACE"] * rng.choice([0, 1, 1])]
            else:
                words = [rng.choice(keys[3:]), rng.choice(texts)]
            passed += at.may(name, *words, *rng.sample(options, rng.choice([0, 0, 0, 1, 2])))
            after = {key: reading(at, key) for key in states}
            assert all(after[key] >= before[key] for key in states), (name, words, before, after)
            assert at.admin.raw("GET", at.keys.stopword) == STOPWORD.encode()
        assert passed > 20


def reading(at: Bench, key: str) -> int:
    """How strict a state is; an absent one is a stop for the switch and nothing for a scope."""
    found = at.admin.raw("GET", key)
    if found is None:
        return 2 if key == at.keys.state else 0
    return STRICT.get(found.decode(), 2)


def test_the_command_says_what_it_could_do_and_the_record_keeps_the_note(
    module_server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`engage` by such a user is a stop, tells how it was made, and who and why are noted beside it."""
    with bench(module_server, ROLE) as at:
        shell = Shell(at.url, tmp_path, monkeypatch, capsys)
        monkeypatch.setenv("KILLSWITCH_PREFIX", at.keys.prefix)
        done = shell.run("engage", "--reason", "fat finger", "--actor", "eve", "--output", "json")
        assert (done.code, done.json["means"], done.json["epoch"], done.json["state"]) == (0, "delete", 0, "(absent)")
        assert "this user may only delete the state" in done.json["warnings"][0]
        at.admin.beat("w1")
        entry = at.admin.audit()[-1]
        assert entry["reason"] == "changed by hand, noted beside it: eve: fat finger"
        assert (entry["actor"], entry["via"], entry["to"]) == ("unattributed", "raw", "(absent)")
        again = shell.run("engage", "--reason", "again")
        assert again.code == 0
        assert "nothing was changed, no epoch was given" in again.err.replace("\n  ", " ")


def test_a_note_is_for_a_stop_alone_and_is_gone_after_seconds(module_server: RealServer) -> None:
    """A permission by hand never carries somebody's note, and a note that lasts is none that the command leaves."""
    with bench(module_server, ROLE) as at:
        quick.engage(at.target(), "fat finger")
        assert 0 < int(at.admin.raw("PTTL", at.keys.note)) <= 10_000
        at.admin.beat("w1")
        at.admin.set_raw("SAFE")
        at.admin.beat("w1")
        assert [entry["reason"] for entry in at.admin.audit()[-2:]] == [
            "changed by hand, noted beside it: tester: fat finger",
            "changed by hand",
        ]


@pytest.mark.parametrize("note", [b"x" * 300_000, b"\x1b]52;c;aGk=\x07\nforged", b"\xff\xfe"])
def test_whatever_the_note_is_the_stop_is_recorded_in_one_short_line(module_server: RealServer, note: bytes) -> None:
    """Nobody who may only stop can keep the record from being written, or put more into it than a line."""
    with bench(module_server, ROLE) as at:
        assert at.may("SET", at.keys.note, note)
        assert at.may("DEL", at.keys.state)
        at.admin.beat("w1")
        reason = at.admin.audit()[-1]["reason"]
        assert reason.startswith("changed by hand, noted beside it: ")
        assert len(reason) < 300
        assert "\n" not in reason
        assert "\x1b" not in reason


def test_a_flush_between_the_stop_and_the_members_is_not_called_quiet(
    module_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that is gone is what this stop leaves; that the members are not gone with it is proved by the note."""
    with bench(module_server, ROLE) as at:
        at.admin.leave("lost")
        at.admin.beat("w1")
        real = Controller.prove

        def flushed(control: Controller, *words: object, **more: object) -> Outcome:
            for key in at.admin.names():
                at.admin.raw("DEL", key)
            at.admin.beat("w2", seen=9)  # somebody comes back, somebody does not
            return real(control, *words, **more)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(Controller, "prove", flushed)
            outcome = Controller(at.settings()).engage("stop", wait_s=0.5)
        assert outcome.verdict is Verdict.UNCERTAIN
        assert "lost" in outcome.note


def test_out_of_memory_and_without_a_library_engage_still_stops(real_server: RealServer) -> None:
    """DEL is the one write that a full server takes: the last form of a stop is everybody's."""
    wire = connect(parse_url(real_server.unix_url), 5.0)
    library = Library(wire)
    library.permit()
    library.raw("FUNCTION", "FLUSH")
    library.raw("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreRefused, match="OOM"):
        library.raw("SET", "killswitch:state", "ENGAGED")
    assert library.engage().means == "delete"
    assert library.get() is None
    wire.close()
