"""The model of the protocol: its quick checks, the page that tells of all, and what the script does not let pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.model import run as model

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "model" / "run.py"
MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
HOLDS = model.Check("example", "gate.pml", "", "holds", ("P2",), "says", reaches=(1, 3))
HOLE = model.Check("example", "gate.pml", "", "hole", ("P2",), "says", breaks="P2", kind="broken", story="how")
FOUND = "pan:1: assertion violated ((102==0)||(seen>floor)) (at depth 44)\nWarning: Search not completed\n"
SEARCHED = "State-vector 52 byte, depth reached 93, errors: {}\n  1234 states, stored\nmarks {}\n"


@pytest.mark.timeout(600)
def test_the_quick_checks_say_what_they_are_expected_to_say() -> None:
    """Protocol and broken protocol: some of each kind of check, searched here and now."""
    if MISSING and not os.environ.get("CI"):
        pytest.skip(f"{' and '.join(MISSING)} not installed: the model cannot be searched")
    done = subprocess.run([sys.executable, str(SCRIPT), "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    quick = [check for check in model.CHECKS if check.quick]
    assert {check.expect for check in quick} == {"holds", "hole", "reached"}
    assert {check.file for check in quick} == {path.name for path in SCRIPT.parent.glob("*.pml")}
    for check in quick:
        assert re.search(rf"^{check.name} ", done.stdout, re.MULTILINE)


def test_without_its_tools_the_script_says_which_and_ends_with_2(tmp_path: Path) -> None:
    """Where spin is missing nobody takes silence for a proof."""
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "spin and gcc" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_page_has_every_check_with_its_verdict() -> None:
    """What the page says of the model is what the checks expect, and no check is missing from it."""
    page = model.PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| .*? \| (holds|reached|\*\*HOLE\*\* \w+)[ ,]", page, re.MULTILINE))
    expected = {"holds": "holds", "reached": "reached"}
    assert rows == {check.name: expected.get(check.expect, f"**HOLE** {check.breaks}") for check in model.CHECKS}
    for check in model.CHECKS:
        assert check.says in page
        assert check.story in page


def test_every_check_is_whole() -> None:
    """A name is used once, a hole has its property and its story, and every promise about stopping is searched."""
    names = [check.name for check in model.CHECKS]
    assert len(set(names)) == len(names)
    for check in model.CHECKS:
        assert (SCRIPT.parent / check.file).is_file()
        assert check.properties
        assert (check.expect == "hole") == bool(check.breaks) == bool(check.story) == bool(check.kind)
        assert check.expect != "holds" or check.live or check.reaches
    proved = {name for check in model.CHECKS if check.expect == "holds" for name in check.properties}
    assert proved >= {"P2", "P3", "P4", "P6", "P7", "P8", "P9", "S1", "S2", "S3", "S5", "S11", "S14", "S16", "L2", "L3"}


def test_a_search_that_proves_nothing_is_not_taken_for_a_proof() -> None:
    """Cut off by depth or memory, no state, marked places never visited: each is told, and none counts as holding."""
    good = model.parse(SEARCHED.format(0, "a"), HOLDS)
    assert (good.verdict, good.states, good.depth, good.marks) == ("holds", 1234, 93, 10)
    assert model.complaint(HOLDS, good) == ""
    for output, why in (
        ("error: max search depth too small\n" + SEARCHED.format(0, "a"), "cut off"),
        ("pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + SEARCHED.format(0, "a"), "cut off"),
        ("", "no state"),
        ("Warning: Search not completed\n" + SEARCHED.format(0, "a"), "early"),
        (SEARCHED.format(0, "2"), "never at 3"),
    ):
        assert why in model.complaint(HOLDS, model.parse(output, HOLDS)), output


def test_another_verdict_than_expected_is_told() -> None:
    """A proof that fails, a hole that closed and a hole in another property are each wrong."""
    hole = model.parse(FOUND + SEARCHED.format(1, "0"), HOLE)
    assert (hole.verdict, hole.broke) == ("hole", "P2")
    assert model.complaint(HOLE, hole) == ""
    assert model.complaint(HOLDS, hole) == "expected: holds"
    assert model.complaint(HOLE, model.parse(SEARCHED.format(0, "a"), HOLE)) == "expected: hole"
    other = model.parse(FOUND.replace("102", "201") + SEARCHED.format(1, "0"), HOLE)
    assert "in S1 instead of P2" in model.complaint(HOLE, other)
    place = model.parse("pan:1: assertion violated (3!=3) (at depth 2)\n" + SEARCHED.format(1, "0"), HOLDS)
    assert (place.verdict, place.broke) == ("reached", "3")
    cycle = model.parse("pan:1: acceptance cycle (at depth 9)\n" + SEARCHED.format(1, "0"), HOLE)
    assert cycle.verdict == "hole"


def test_one_wrong_verdict_ends_the_script_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever runs the checks unattended hears of it."""

    def execute(check: model.Check) -> model.Result:
        marks = sum(1 << place for place in check.reaches)
        return model.Result("holds" if check.name == wrong else check.expect, check.breaks, 1, marks=marks)

    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    monkeypatch.setattr(model, "execute", execute)
    wrong = ""
    assert model.main([]) == 0
    wrong = "gate-drain-before-close"
    assert model.main([]) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert len(told) == 1
    assert told[0].startswith(wrong)
