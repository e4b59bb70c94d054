"""The checks of this project's own shape, as functions from text to complaints. `test_checks.py` proves each bites."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 299
FUNCTION_LINES_MAX = 69

_SKIPPED = {
    ".git",
    ".venv",
    ".hypothesis",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    "__pycache__",
    "dist",
    "build",
}
_NOT_FIRST = re.compile(r"^(?!import |from ).*\bimport\b", re.MULTILINE)  # the word, but not in a line that begins so
# Written in halves, because this file is searched as well.
_FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~-])/(?:ro" r"ot|ho" r"me/[a-z]+|wo" r"rk/(?:main|shared)|tm" r"p/ks)\b",
    "a host of a package registry": r"py"
    r"pi\.org|python"
    r"hosted|registry\.np"
    r"mjs|deb\.deb"
    r"ian|proxy\.go"
    r"lang",
    "a number of a ticket": r"\bissue[ -]?#?\d+\b",
    "how it came to be written": r"\b(?:cl" r"aude|anthr" r"opic|open" r"ai|chat" r"gpt|co" r"pilot|l" r"lm)\b",
}


def sources(*folders: str, suffix: str = ".py") -> list[Path]:
    """Every file of these folders with this suffix, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}"))


def project_files() -> list[Path]:
    """Every file that is or would be under version control; without git, every file that is no cache."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not _SKIPPED & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def name(path: Path) -> str:
    """A path as people write it."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def complaints(paths: Iterable[Path], check: object) -> list[str]:
    """What `check(text)` says about each file, with the file's name before it."""
    assert callable(check)
    return [f"{name(path)}: {what}" for path in paths for what in check(path.read_text(encoding="utf-8"))]


def too_long(text: str) -> Iterator[str]:
    """A file has fewer than 300 lines."""
    if (lines := len(text.splitlines())) > FILE_LINES_MAX:
        yield f"has {lines} lines, at most {FILE_LINES_MAX} are allowed"


def long_functions(text: str) -> Iterator[str]:
    """A function has fewer than 70 lines, decorators and docstring included."""
    if len(text.splitlines()) <= FUNCTION_LINES_MAX:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            if (lines := (node.end_lineno or first) - first + 1) > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed"


def imports(text: str, module: str) -> Iterator[str]:
    """Any import of `module` or of something in it, wherever it stands."""
    if module not in text:  # taking a text apart costs a hundred times as much
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        if any(found == module or found.startswith(f"{module}.") for found in names):
            yield f"imports {module} in line {node.lineno}"


def hidden_imports(text: str) -> Iterator[str]:
    """An import inside a function: a dependency that nobody sees at the top of the file."""
    if not _NOT_FIRST.search(text):
        return
    for outer in ast.walk(ast.parse(text)):
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(outer):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"imports inside {outer.name}, line {node.lineno}"


def calls(text: str, method: str) -> Iterator[str]:
    """A call of a method of this name, or of the method taken as a value first."""
    if method not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr == method and isinstance(node.ctx, ast.Load):
            yield f"uses .{method} in line {node.lineno}"


def opening(text: str) -> Iterator[str]:
    """A file opens with a docstring that states its invariant."""
    if "Invariant" not in (ast.get_docstring(ast.parse(text)) or ""):
        yield "does not open with a docstring that states its Invariant"


def lua_header(text: str) -> Iterator[str]:
    """A Lua file opens with a comment that says what it does."""
    if not text.startswith("-- "):
        yield "does not open with a comment"


def forbidden(text: str) -> Iterator[str]:
    """Text that speaks of a machine, of a registry, or of how the project came to be."""
    for what, pattern in _FORBIDDEN.items():
        if re.search(pattern, text, re.IGNORECASE):  # one look at the whole costs a tenth of one at each line
            lines = enumerate(text.splitlines(), 1)
            yield from (
                f"line {number} names {what}" for number, line in lines if re.search(pattern, line, re.IGNORECASE)
            )


def unpinned(text: str) -> Iterator[str]:
    """A requirement file names exact versions with hashes, and no place to get them from."""
    if re.search(r"://|^\s*-(?:i|f)\b|--(?:extra-)?index-url|--find-links|--trusted-host", text, re.MULTILINE):
        yield "names a place"
    for block in re.split(r"\n(?=\S)", text):
        first = block.splitlines()[0] if block.strip() else "#"
        if not first.startswith("#") and not ("==" in first and "--hash=sha256:" in block):
            yield f"{first.split()[0]} is not pinned by version and hash"
