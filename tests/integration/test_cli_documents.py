"""ops/redis-cli.md: every line that may be typed is typed, in the page's order, and prints what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from killswitch.core.lease import closed_by_ms
from killswitch.store.functions import library_source
from tests.support.agents import open_epoch
from tests.support.processes import ROOT
from tests.support.server import REDIS_CLI
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

PAGE = ROOT / "ops" / "redis-cli.md"
ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """What is typed, and the lines it prints."""

    typed: str
    printed: tuple[str, ...]


def documented(text: str) -> list[Line]:
    """The console blocks of the page, taken apart."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            typed, *printed = part.rstrip("\n").split("\n")
            found.append(Line(typed, tuple(printed)))
    return found


def matches(printed: str, wanted: tuple[str, ...]) -> bool:
    """Whether what was printed is what the page shows; `…` stands for anything."""
    pattern = "\n".join(".*" if line == ANYTHING else re.escape(line).replace(ANYTHING, ".*") for line in wanted)
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


def test_every_line_of_the_page_prints_what_the_page_says(switch: Switch, tmp_path: Path) -> None:
    """On a real server with a worker that trades, in the page's order, typed into a shell."""
    if REDIS_CLI is None:
        if os.environ.get("CI"):
            pytest.fail("redis-cli is not on PATH")
        pytest.skip("redis-cli is not on PATH")
    lines = documented(PAGE.read_text(encoding="utf-8"))
    assert len(lines) > 25
    agent = switch.agent(["symbol:EURUSD"], worker_id="web1-4711")
    open_epoch(agent)
    script = [f'redis-cli() {{ {shlex.quote(REDIS_CLI)} -s {shlex.quote(str(switch.server.socket_path))} "$@"; }}']
    for line in lines:
        wait_until_recorded(switch)
        assigned = re.fullmatch(r"(\w+)=\$\(.*\)", line.typed)
        done = subprocess.run(
            ["bash", "-c", "\n".join([*script, line.typed])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
        )
        assert done.returncode == 0, line
        assert done.stderr == "", line
        assert matches(done.stdout, line.printed), f"{line.typed}\nprinted\n{done.stdout}\nnot\n{line.printed}"
        if assigned:
            script = [*script[:1], line.typed]
    assert switch.server.cli("GET", STATE) == "SAFE"


def wait_until_recorded(switch: Switch) -> None:
    """As a person who reads before typing on: the worker has beaten since the last line, and is where it belongs."""

    def settled() -> bool:
        status = switch.control.status()
        stopped = status.switch.mode == "ENGAGED"
        said = [m for m in status.members if m.quiet_epoch >= status.epoch or not stopped]
        return status.switch.recorded and all(s.recorded for s in status.scopes) and bool(said)

    eventually(settled, timeout_s=20, why="a beat records what was typed")


def test_the_page_tells_the_bound_that_the_program_tells() -> None:
    """Two ninths on top of the lease: 1.2 s for the lease of one second."""
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert page.count("and two ninths on top") == 2
    assert "1.2 s unless set otherwise" in page
    assert round(closed_by_ms(1000) / 1000, 1) == 1.2
    assert closed_by_ms(900) in (1100, 1101)


def test_the_library_that_is_loaded_by_hand_is_the_one_that_init_loads() -> None:
    """The line of the page puts together every part, in the order that counts."""
    (line,) = (one.typed for one in documented(PAGE.read_text(encoding="utf-8")) if "FUNCTION LOAD" in one.typed)
    made = line.removesuffix(" | redis-cli -x FUNCTION LOAD REPLACE")
    assert made != line
    done = subprocess.run(["bash", "-c", made], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert [row for row in done.stdout.splitlines() if row] == [row for row in library_source().splitlines() if row]


@pytest.mark.parametrize(
    ("printed", "wanted", "same"),
    [
        ("a\nb", ("a", "b"), True),
        ("a", ("b",), False),
        ("a\nx\ny", ("a", "…"), True),
        ("EPOCH 12 is", ("EPOCH … is",), True),
    ],
)
def test_the_comparison_can_fail(printed: str, wanted: tuple[str, ...], same: bool) -> None:
    """A page that shows something else is noticed."""
    assert matches(printed, wanted) is same
