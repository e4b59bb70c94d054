"""Printed advice can be pasted: a command in it has the options that the command insists on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ROOT

COMMAND = re.compile(r"killswitch (?:reset|reduce|deadman)\b[^`\n]*")


def texts(source: str) -> Iterator[str]:
    """The texts of a module without its docstrings; one that is put together stands as a whole."""
    tree = ast.parse(source)
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            inside.add(id(node.body[0].value))  # type: ignore[attr-defined]
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "N" for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def lacking(source: str) -> list[str]:
    """Commands that permit something and are printed without a reason, which they insist on."""
    return [found for text in texts(source) for found in COMMAND.findall(text) if "--reason" not in found]


def test_printed_commands_have_the_reason_that_they_insist_on() -> None:
    """No advice of the program ends in `Missing option '--reason'`."""
    sources: list[Path] = [path for part in ("killswitch", "ops", "workers") for path in (ROOT / part).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): lacking(path.read_text(encoding="utf-8")) for path in sources}
    assert len(sources) > 100
    assert {path: commands for path, commands in found.items() if commands} == {}


def test_the_scan_finds_a_command_without_a_reason() -> None:
    """In a plain text, and in one that is put together; not in a docstring."""
    assert lacking('x = "then `killswitch reset`."') == ["killswitch reset"]
    assert lacking("x = f'killswitch deadman --epoch {n}'") == ["killswitch deadman --epoch N"]
    assert lacking('"""`killswitch reset` permits."""') == []
    assert lacking("x = 'killswitch reset --reason \"...\"'") == []
