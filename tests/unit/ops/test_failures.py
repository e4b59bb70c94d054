"""How an error with several parts is told."""

from __future__ import annotations

import json

import pytest

from ops.console import console
from ops.exit_codes import Exit
from ops.failures import fail_each


@pytest.fixture(autouse=True)
def _fresh_console() -> None:
    """As it is when a command starts."""
    console.begin()


def test_several_violations_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever mends a file goes from line to line; what is in them is shown and not obeyed."""
    assert (
        fail_each(Exit.USAGE, "fleet", "fleet.toml is not valid", ("a: wrong", "b: \x1b[2J" + " long" * 30))
        is Exit.USAGE
    )
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "error: fleet.toml is not valid:"
    assert lines[0] == "  - a: wrong"
    assert lines[1].startswith("  - b: \\x1b[2J long")
    assert lines[2].startswith("    long")


def test_one_violation_is_one_paragraph_and_programs_get_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to list, and the object is the same in both cases."""
    console.json = True
    fail_each(Exit.USAGE, "fleet", "fleet.toml is not valid", ("a: wrong",))
    told = capsys.readouterr()
    assert told.err == "error: fleet.toml is not valid: a: wrong\n"
    assert json.loads(told.out)["error"]["violations"] == ["a: wrong"]
