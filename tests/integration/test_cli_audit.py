"""`killswitch audit` on real servers: whatever is done to the record is found, named, and told by the exit code."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from killswitch import Auditor
from tests.conftest import MakeServer
from tests.support.server import RealServer
from tests.support.shell import Done, Shell
from tests.support.switch import Switch
from tests.support.tampering import AUDIT, SEALS, Tamper

INTACT, VIOLATED, UNSEALED, UNSEEN = 0, 6, 7, 69


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`, on whose record there are six sealed changes."""
    folder = tmp_path / "shell"
    folder.mkdir()
    for number in range(4):
        switch.control.engage(f"stop {number}", actor="=cmd|'/c calc'!A1" if number == 1 else "alice")
    switch.settled()
    Auditor(switch.settings()).seal()
    return Shell(switch.url, folder, monkeypatch, capsys)


@pytest.fixture
def tamper(switch: Switch) -> Tamper:
    """A hand in the record."""
    return Tamper(switch.server)


def kinds(done: Done) -> list[str]:
    """The findings of a verification."""
    found = json.loads(done.out.splitlines()[-1])
    return [finding["kind"] for finding in found["findings"]]


def verify(shell: Shell, *words: str, **variables: str) -> Done:
    """One verification, for programs."""
    return shell.run("audit", "verify", "--output", "json", *words, **variables)


def forged(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A change that nobody made."""
    return {**fields, b"actor": b"nobody", b"reason": b"forged"}


TAMPERINGS: dict[str, tuple[Callable[[Tamper], Any], set[str]]] = {
    "a reason is edited": (lambda t: t.edit(2, reason="all is well"), {"edited"}),
    "a field is added": (lambda t: t.edit(2, note="x"), {"edited"}),
    "an epoch is edited": (lambda t: t.edit(3, epoch="1"), {"edited", "epochs"}),
    "an entry is deleted": (lambda t: t.client.xdel(AUDIT, t.entries()[2][0]), {"missing", "removed"}),
    "an entry is left out": (lambda t: t.write([e for i, e in enumerate(t.entries()) if i != 2]), {"missing"}),
    "an entry is put in": (lambda t: t.insert(2, forged), {"inserted", "epochs"}),
    "two entries trade places": (lambda t: t.swap(1, 3), {"edited", "reordered", "epochs"}),
    "all is trimmed with the right to add": (lambda t: t.trim_by_adding(), {"missing", "removed"}),
    "the front is trimmed": (lambda t: t.trim(AUDIT), {"missing", "removed"}),
    "seals are trimmed": (lambda t: t.trim(SEALS), {"seals-missing", "removed"}),
    "the last seals are trimmed": (lambda t: t.client.xdel(SEALS, *[e[0] for e in t.entries(SEALS)]), {"removed"}),
    "both are trimmed": (lambda t: (t.trim(AUDIT), t.trim(SEALS)), {"seals-missing", "removed"}),
    "the record is gone": (lambda t: t.client.delete(AUDIT), {"missing"}),
    "something else lies there": (lambda t: (t.client.delete(AUDIT), t.client.set(AUDIT, "x")), {"missing", "foreign"}),
}
REBUILDINGS: dict[str, tuple[Callable[[Tamper], Any], str]] = {
    "the end is cut off": (lambda t: t.write(t.entries()[:-2]), "cut"),
    "an entry is edited": (lambda t: t.edit(1, reason="all is well"), "not-as-anchored"),
    "the front is cut off": (lambda t: t.write(t.entries()[3:]), "cut"),
    "all is gone": (lambda t: t.client.delete(AUDIT), "cut"),
}


def test_whatever_is_done_to_the_record_is_found(shell: Shell, tamper: Tamper) -> None:
    """Each is named for what it is, without any anchor, and the command ends with 6."""
    entries, seals = tamper.entries(), tamper.entries(SEALS)
    for what, (action, expected) in TAMPERINGS.items():
        tamper.write(entries)
        tamper.write(seals, SEALS)
        assert verify(shell).code == INTACT, what
        action(tamper)
        done = verify(shell)
        assert (done.code, set(kinds(done))) == (VIOLATED, expected), what
        text = shell.run("audit", "verify").out
        assert text.startswith("VIOLATED")
        assert all(kind in text for kind in expected)
        assert max(map(len, text.splitlines())) <= 100


def test_a_chain_that_was_built_anew_is_found_against_an_anchor_only(
    shell: Shell, tamper: Tamper, tmp_path: Path
) -> None:
    """Who can write to the record and to its seals makes a chain that is whole, and the look says that this may be so;
    the copied head contradicts it, and no other head is copied beside it."""
    anchors = str(tmp_path / "anchors.jsonl")
    entries = tamper.entries()
    assert shell.run("audit", "anchor", "--file", anchors).code == 0
    for what, (action, expected) in REBUILDINGS.items():
        tamper.write(entries)
        tamper.seal_all()
        assert verify(shell, "--anchor", anchors).code == INTACT, what
        action(tamper)
        tamper.seal_all()
        plain = shell.run("audit", "verify")
        if what == "all is gone":
            assert plain.code == UNSEEN
        else:
            assert plain.code == INTACT, what
            assert "not compared with any anchor" in plain.out
        done = verify(shell, "--anchor", anchors)
        assert (done.code, set(kinds(done))) == (VIOLATED, {expected}), what
        assert shell.run("audit", "anchor", "--file", anchors).code == VIOLATED
        assert len(Path(anchors).read_text().splitlines()) == 1, what


def test_with_a_key_a_chain_built_anew_is_found_without_an_anchor(shell: Shell, tamper: Tamper) -> None:
    """Write access to Redis is not enough any more; without the key the look says what it could not check."""
    key = "a key that nobody guesses"
    tamper.client.delete(SEALS)
    assert shell.run("audit", "seal", audit_key=key).code == 0
    assert verify(shell, audit_key=key).code == INTACT
    unseen = shell.run("audit", "verify")
    assert unseen.code == UNSEEN
    assert "NOT ALL CHECKED" in unseen.out
    tamper.edit(1, reason="all is well")
    tamper.seal_all()
    done = verify(shell, audit_key=key)
    assert (done.code, kinds(done)) == (VIOLATED, ["unkeyed"])


def test_an_unsealed_tail_is_told_and_only_an_old_one_alarms(shell: Shell, tamper: Tamper) -> None:
    """Its length and age are there; the limit decides, and sealing ends it."""
    hour = 3_600_000
    older = [(f"{int(entry_id.partition('-')[0]) - hour}-0", fields) for entry_id, fields in tamper.entries()]
    tamper.write(older)
    tamper.client.delete(SEALS)
    done = verify(shell)
    assert (done.code, done.json["unsealed"]) == (INTACT, len(older))
    assert done.json["unsealed_ms"] >= hour
    assert verify(shell, "--max-unsealed", "2h").code == INTACT
    late = verify(shell, "--max-unsealed", "30m")
    assert (late.code, late.json["intact"]) == (UNSEALED, True)
    assert "is `killswitch audit seal` in cron?" in " ".join(late.err.split())
    assert verify(shell, "--seal", "--max-unsealed", "30m").code == INTACT


def test_no_record_is_no_green_light(real_server: RealServer, shell: Shell) -> None:
    """A monitor that points at the wrong prefix must not be green for ever."""
    done = verify(shell, prefix="somewhere")
    assert (done.code, done.json["error"]["kind"]) == (UNSEEN, "no_record")
    assert verify(shell, redis_url="redis://127.0.0.1:1/0").code == UNSEEN


def test_anchors_that_are_not_to_be_had_are_no_green_light(shell: Shell, tmp_path: Path) -> None:
    """Missing, empty, of another record: the rest is looked at, and the end is 69."""
    path = tmp_path / "anchors.jsonl"
    assert verify(shell, "--anchor", str(path)).code == UNSEEN
    path.write_text("")
    assert verify(shell, "--anchor", str(path)).code == UNSEEN
    path.write_text('{"killswitch_anchor":1,"prefix":"other"}\n')
    done = verify(shell, "--anchor", str(path))
    assert (done.code, done.json["intact"]) == (UNSEEN, True)
    assert "cannot be read" in done.err or "none of the record" in done.json["not_compared"][0]
    assert verify(shell, "--anchor", str(tmp_path)).code == UNSEEN
    assert verify(shell, "--anchor", "syslog:").code == UNSEEN
    assert verify(shell, "--anchor", "ftp://x").code == 2


def test_a_torn_line_is_passed_by_and_the_next_anchor_is_whole(shell: Shell, tmp_path: Path) -> None:
    """A crash in the middle of writing: told as a line that cannot be read, and nothing is lost."""
    path = tmp_path / "anchors.jsonl"
    shell.run("audit", "anchor", "--file", str(path))
    whole = path.read_text()
    path.write_text(whole + whole[:60])
    assert shell.run("audit", "anchor", "--file", str(path)).code == 0
    assert path.read_text().splitlines()[0] == whole.strip()
    done = verify(shell, "--anchor", str(path))
    assert (done.code, done.json["anchors"]) == (INTACT, 1)
    assert "1 line of the anchors" in done.err


def test_the_head_is_copied_to_another_redis(
    make_server: MakeServer, shell: Shell, tamper: Tamper, real_server: RealServer
) -> None:
    """And compared from there; the switch's own Redis is refused, under whichever address and database: an anchor there
    falls with it."""
    other = make_server()
    assert shell.run("audit", "anchor", "--redis", other.url).code == 0
    assert verify(shell, "--anchor", other.url).json["anchors"] == 1
    tamper.write(tamper.entries()[:-1])
    tamper.seal_all()
    assert verify(shell, anchors=other.url).code == VIOLATED
    assert shell.run("audit", "anchor", anchors=other.url).code == VIOLATED
    own = shell.run("audit", "anchor", "--redis", shell.environment()["KILLSWITCH_REDIS_URL"])
    assert own.code == 2
    assert "own Redis" in own.err
    for url in (f"unix://{real_server.socket_path}?db=1", f"redis://localhost:{real_server.port}/3"):
        by_another_way = shell.run("audit", "anchor", "--redis", url)
        assert by_another_way.code == 2, url
        assert "falls with it" in " ".join(by_another_way.err.split())
        assert not real_server.client(db=int(url[-1])).exists("killswitch:anchors")
    other.stop()
    assert verify(shell, "--anchor", other.url).code in (VIOLATED, UNSEEN)


def test_the_head_is_sent_to_syslog_and_found_in_its_file(shell: Shell, tmp_path: Path) -> None:
    """As one line, with the facility for security; the file in which a daemon writes it is read back."""
    place = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(place))
        daemon.settimeout(10)
        assert shell.run("audit", "anchor", "--syslog", str(place)).code == 0
        sent = daemon.recv(65536).decode().rstrip("\0")
    assert sent.startswith("<86>killswitch-audit: {")
    log = tmp_path / "auth.log"
    log.write_text(f"Jan  1 00:00:00 h sshd: hello\nJan  1 00:00:01 h {sent[4:]}\n")
    assert verify(shell, "--anchor", str(log)).json["anchors"] == 1
    gone = shell.run("audit", "anchor", "--syslog", str(tmp_path / "nobody"))
    assert gone.code == UNSEEN
    assert "No such file" in gone.err


def test_anchoring_says_what_stands_in_its_way(shell: Shell, tmp_path: Path, switch: Switch) -> None:
    """No place, a folder, nothing sealed: one clear line each, and nothing half done."""
    assert shell.run("audit", "anchor").code == 2
    assert "Is a directory" in " ".join(shell.run("audit", "anchor", "--file", str(tmp_path)).err.split())
    assert shell.run("audit", "anchor", "--redis", "/a/path").code == 2
    typed = shell.run("audit", "anchor", "--file", "redis://:s3cret@host:6379/0")
    assert typed.code == 2
    assert "to --redis" in " ".join(typed.err.split())
    assert "s3cret" not in typed.err
    switch.raw("DEL", SEALS)
    done = shell.run("audit", "anchor", "--file", str(tmp_path / "a"))
    assert done.code == UNSEEN
    assert "nothing is sealed yet" in " ".join(done.err.split())
    assert not (tmp_path / "a").exists()


def test_hostile_entries_reach_no_terminal(shell: Shell, tamper: Tamper) -> None:
    """Escape sequences, line breaks and megabytes in an entry or a seal are told as text, within 100 columns."""
    evil = "\x1b[2J\x1b]0;owned\x07\r\nVIOLATED\u202e" + "x" * 200_000
    tamper.client.xadd(AUDIT, {"epoch": "9", "scope": evil, "at_ms": "1", evil: evil})
    tamper.client.xadd(AUDIT, {"epoch": "9", "scope": evil, "at_ms": "1", evil: evil})
    tamper.client.xadd(SEALS, {"n": evil, "link": evil})
    for words in (("audit", "verify"), ("audit", "seal"), ("audit", "list")):
        done = shell.run(*words)
        assert not [char for char in done.out + done.err if not char.isprintable() and char != "\n"]
        if words[1] != "list":
            assert len(done.out + done.err) < 10_000
        assert max(map(len, done.out.splitlines()), default=0) <= 100
