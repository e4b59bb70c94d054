"""What is written down is what is there: reference, README example, links, keys."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from killswitch import Controller, Settings
from killswitch.store.keys import Keys
from tests.support import metrics_tables, reference_tables
from tests.support.server import RealServer
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/*.md"),
        ROOT / "ops/redis-cli.md",
    ]
)
COMPLIANCE = ROOT / "docs/compliance.md"


@pytest.mark.parametrize("path", reference_tables.PAGES, ids=lambda path: path.name)
def test_reference_is_what_the_code_says(path: Path) -> None:
    """Commands, exit codes, settings, functions, reason codes and roles in the pages are those of the code."""
    page = path.read_text(encoding="utf-8")
    assert reference_tables.rendered(page, path) == page, "run: python -m tests.support.reference_tables"


@pytest.mark.parametrize("path", [reference_tables.SECURITY, COMPLIANCE], ids=lambda path: path.name)
def test_every_test_that_a_page_names_is_there(path: Path) -> None:
    """An answer to a threat, or to a demand of a regulator, is backed by a test that can be run."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", path.read_text(encoding="utf-8"))
    assert named
    for file, test in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text if test else "def test_" in text, f"{file}::{test}"


def test_compliance_page_claims_no_more_than_help() -> None:
    """Rules are met by firms, not by a program: the page never says that it meets, ensures or complies."""
    page = COMPLIANCE.read_text(encoding="utf-8").lower()
    assert not re.findall(r"\b(?:compliant|complies|comply|ensures?|guarantees?|fulfil\w*|satisf\w*)\b", page)
    rows = [line for line in page.splitlines() if line.startswith("| ") and "helps with it" not in line]
    assert len(rows) > 20
    assert {line.count("|") for line in rows} == {5}, "a demand, what helps, what shows it, what is left"


def test_reference_check_fails_when_a_code_is_missing() -> None:
    """A reference page without one of the codes is not taken for current."""
    page = reference_tables.PAGE.read_text(encoding="utf-8")
    without = re.sub(r"\| `lease_expired`.*\n", "", page)
    assert without != page
    assert reference_tables.rendered(without) != without


def test_reference_names_every_key() -> None:
    """Every key the switch keeps in Redis is in the reference."""
    page = reference_tables.PAGE.read_text(encoding="utf-8")
    keys = Keys("killswitch")
    for key in (
        keys.state,
        keys.ledger,
        keys.audit,
        keys.workers,
        keys.acks,
        keys.stopword,
        keys.note,
        keys.worker("<id>"),
    ):
        assert f"`{key}`" in page
    lua = "\n".join(path.read_text() for path in (ROOT / "killswitch/store/lua").glob("*.lua"))
    for suffix in re.findall(r"base \.\. '(:\w+:?)'", lua):
        assert f"`killswitch{suffix}" in page, f"the functions use {suffix}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link in a page points to a file that is there."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_example_trades_and_stops(make_server: object, tmp_path: Path) -> None:
    """The example in the README runs as it stands: it trades while permitted, is blocked after a bare SET, and ends on
    Ctrl-C without a traceback."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    program = tmp_path / "example.py"
    program.write_text(blocks[0])
    assert len(blocks[0].splitlines()) <= 25
    server: RealServer = make_server()  # type: ignore[operator]
    control = Controller(Settings(redis_url=server.url, _env_file=None))
    control.init()
    control.reset(epoch=control.status().switch.epoch, reason="example")
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", str(program)],
            stdout=out,
            stderr=out,
            env={"KILLSWITCH_REDIS_URL": server.url, "PYTHONPATH": str(ROOT), "PATH": ""},
        )
    try:
        eventually(lambda: "sent" in log.read_text(), timeout_s=20, why="the example sends orders")
        assert [(one.engine, one.scopes) for one in control.status().members] == [("example", ("strategy:example",))]
        server.client().set("killswitch:state", "ENGAGED")
        eventually(lambda: "blocked (engaged)" in log.read_text(), timeout_s=20, why="the example is blocked")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()


def test_metrics_page_is_what_is_exported() -> None:
    """Names, kinds, labels and meanings of the metrics are those of the exporter's catalogue."""
    page = metrics_tables.PAGE.read_text(encoding="utf-8")
    assert metrics_tables.rendered(page) == page, "run: python -m tests.support.metrics_tables"
