"""`killswitch audit export` on real servers: streamed, whole or not at all, and verifiable without Redis."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from killswitch import Auditor
from tests.support.shell import Shell
from tests.support.switch import Switch
from tests.support.tampering import Tamper
from tests.support.waiting import eventually

INTACT, VIOLATED = 0, 6


@pytest.fixture
def shell(switch: Switch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell for `switch`, on whose record there are changes of the switch and of a part, and one wait that ended."""
    folder = tmp_path / "shell"
    folder.mkdir()
    switch.control.engage("=cmd|'/c calc'!A1", actor="@mallory")
    switch.control.engage("bad prices", scope="symbol:A", wait_s=0.05)
    switch.control.engage("\u00fcber")
    eventually(lambda: [entry for entry in switch.control.audit() if entry.outcome], why="the end of the wait is told")
    switch.settled()
    Auditor(switch.settings()).seal()
    return Shell(switch.url, folder, monkeypatch, capsys)


def test_json_lines_are_all_of_the_record_and_verify_without_redis(shell: Shell, switch: Switch) -> None:
    """Every entry with its seal, in a file that any tool reads; the look needs no server, and compares anchors."""
    anchors = str(shell.folder / "anchors")
    shell.run("audit", "anchor", "--file", anchors)
    done = shell.run("audit", "export", "--output-file", "record.jsonl", "--output", "json")
    lines = [json.loads(line) for line in (shell.folder / "record.jsonl").read_text().splitlines()]
    assert done.json["entries"] == len(lines) == len(Tamper(switch.server).entries())
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["reason"] for line in lines if line["actor"] == "@mallory"] == ["=cmd|'/c calc'!A1"]
    assert [line["verdict"] for line in lines if line["kind"] == "outcome"] == ["UNCERTAIN"]
    switch.server.kill9()
    looked = shell.run("audit", "verify", "--export", "record.jsonl", "--anchor", anchors)
    assert looked.code == INTACT, looked
    assert "compared with 1 anchor" in looked.out


Hand = Callable[[list[str]], list[str]]
HANDS: dict[str, tuple[Hand, set[str]]] = {
    "a value is edited": (lambda x: [line.replace("bad prices", "good prices") for line in x], {"edited"}),
    "a line is taken out": (lambda x: [*x[:2], *x[3:]], {"seals-missing"}),
    "a line is put in": (lambda x: [*x[:2], x[1], *x[2:]], {"chain-broken", "epochs"}),
    "lines trade places": (lambda x: [x[1], x[0], *x[2:]], {"seals-missing", "chain-broken", "epochs"}),
    "a line is cut off": (lambda x: [*x[:2], x[2][:40], *x[3:]], {"foreign", "seals-missing"}),
    "the front is gone": (lambda x: x[2:], {"seals-missing"}),
}


def test_whatever_is_done_to_an_export_is_found(shell: Shell) -> None:
    """A file that went through many hands is worth what its seals are worth."""
    file = shell.folder / "record.jsonl"
    shell.run("audit", "export", "--output-file", file.name)
    lines = file.read_text().splitlines(keepends=True)
    for what, (hand, expected) in HANDS.items():
        file.write_text("".join(hand(lines)))
        done = shell.run("audit", "verify", "--export", file.name, "--output", "json")
        assert (done.code, {one["kind"] for one in done.json["findings"]}) == (VIOLATED, expected), what
    for name, value in {
        "actor": "bob",
        "reason": "all is well",
        "to": "SAFE",
        "epoch": 7,
        "time": "",
        "kind": "x",
    }.items():
        file.write_text("".join([*lines[:2], json.dumps({**json.loads(lines[2]), name: value}) + "\n", *lines[3:]]))
        done = shell.run("audit", "verify", "--export", file.name, "--output", "json")
        assert (done.code, [one["kind"] for one in done.json["findings"]]) == (VIOLATED, ["edited"]), name
        assert done.json["findings"][0]["text"].endswith(f": {name}")
    file.write_text("".join(lines))
    assert shell.run("audit", "verify", "--export", file.name).code == INTACT


def test_csv_opens_in_a_spreadsheet_without_a_formula(shell: Shell) -> None:
    """UTF-8, a header, one row each; what begins like a formula is text."""
    assert shell.run("audit", "export", "--format", "csv", "--output-file", "record.csv").code == 0
    with (shell.folder / "record.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows if row["actor"] == "'@mallory"] == ["'=cmd|'/c calc'!A1"]
    assert "\u00fcber" in [row["reason"] for row in rows]
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_a_part_of_the_record_is_a_part(shell: Shell, switch: Switch) -> None:
    """By scope and by time, on stdout, where nothing but entries is."""
    done = shell.run("audit", "export", "--scope", "symbol:A")
    assert {json.loads(line)["scope"] for line in done.out.splitlines()} == {"symbol:A"}
    everything = [json.loads(line) for line in shell.run("audit", "export", "--scope", "switch").out.splitlines()]
    tamper = Tamper(switch.server)
    hour = 3_600_000
    tamper.write([(f"{int(entry_id.split('-')[0]) - hour}-0", fields) for entry_id, fields in tamper.entries()[:2]])
    switch.control.engage("now")
    recent = shell.run("audit", "export", "--since", "30m").out.splitlines()
    older = shell.run("audit", "export", "--until", "30m").out.splitlines()
    assert ([json.loads(line)["reason"] for line in recent], len(older)) == (["now"], 2)
    assert len(everything) > 2
    assert shell.run("audit", "export", "--since", "2999-01-01").err == "no entry is on record there\n"
    assert len(shell.run("audit", "export", "--since", "2020-01-01T00:00:00+02:00").out.splitlines()) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--since", "yesterday"),
        ("--scope", "Symbol:A"),
        ("--format", "xml"),
        ("--output", "json"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(shell: Shell, words: tuple[str, ...]) -> None:
    """No entry is printed and nothing is guessed."""
    done = shell.run("audit", "export", *words)
    assert done.code == 2
    assert "error:" in done.err
    assert "Traceback" not in done.err


def test_a_file_is_whole_or_not_there(shell: Shell, switch: Switch) -> None:
    """One that is there is left alone unless told otherwise; a failure on the way leaves nothing behind."""
    file = shell.folder / "record.jsonl"
    file.write_text("mine")
    assert shell.run("audit", "export", "--output-file", file.name).code == 2
    assert file.read_text() == "mine"
    assert shell.run("audit", "export", "--output-file", file.name, "--force").code == 0
    assert len(file.read_text().splitlines()) > 2
    switch.server.kill9()
    before = file.read_text()
    assert shell.run("audit", "export", "--output-file", file.name, "--force").code == 69
    assert file.read_text() == before
    assert shell.run("audit", "export", "--output-file", "nowhere/x").code == 1
    assert [path.name for path in shell.folder.iterdir() if path.suffix == ".part"] == []


def test_a_reader_that_goes_away_ends_it(shell: Shell, switch: Switch) -> None:
    """As `head` does: no traceback, and no reading to the end of a long record."""
    with switch.server.line() as line:
        for number in range(1000):
            line.call(
                "XADD", "killswitch:audit", "*", "epoch", number, "scope", "switch", "at_ms", 1, "reason", "x" * 200
            )
    with shell.spawn("audit", "export") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
