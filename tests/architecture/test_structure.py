"""The shape that this project promises its readers: sizes, one clock, one sender of orders, files that explain."""

from __future__ import annotations

import functools
import re
import tomllib

import killswitch
from tests.architecture.checks import (
    ROOT,
    calls,
    complaints,
    forbidden,
    hidden_imports,
    imports,
    long_functions,
    lua_header,
    name,
    opening,
    project_files,
    sources,
    too_long,
    unpinned,
)

PRODUCT = ("killswitch", "workers", "ops")
CODE = (*PRODUCT, "tests")


def test_every_file_is_short_enough_to_read_in_one_sitting() -> None:
    """Python and Lua files have fewer than 300 lines."""
    files = sources(*CODE) + sources(*CODE, suffix=".lua")
    assert files
    assert complaints(files, too_long) == []


def test_every_function_fits_a_screen() -> None:
    """Functions have fewer than 70 lines."""
    assert complaints(sources(*CODE), long_functions) == []


def test_time_is_read_in_one_file() -> None:
    """Only killswitch/clock.py imports time, so there is one clock, and tests can replace it."""
    found = complaints(sources(*PRODUCT), functools.partial(imports, module="time"))
    assert [line.partition(":")[0] for line in found] == ["killswitch/clock.py"]


def test_orders_are_submitted_in_one_file() -> None:
    """Only workers/broker/guarded.py calls a broker's submit, so no order can go around the gates. The book of a venue
    process takes orders with the same word, but on the far side of the line: nothing of a trader's is in there."""
    found = complaints(sources(*PRODUCT), functools.partial(calls, method="submit"))
    callers = {line.partition(":")[0] for line in found}
    assert callers == ({"workers/broker/guarded.py", "workers/venue/book.py"} if sources("workers") else set())
    assert not complaints([ROOT / "workers/venue/book.py"], functools.partial(imports, module="workers.venue.client"))


def test_the_files_on_the_line_state_their_invariant() -> None:
    """Whoever opens a file of gate or store reads first what must stay true."""
    assert complaints(sources("killswitch/gate", "killswitch/store"), opening) == []
    assert complaints(sources("killswitch/store", suffix=".lua"), lua_header) == []


def test_imports_stand_at_the_top() -> None:
    """Only the shell, which must start fast, imports inside functions."""
    assert complaints(sources("killswitch", "workers", "tests"), hidden_imports) == []


def test_the_project_speaks_of_itself_alone() -> None:
    """No file names a machine's folders, a registry's host, or how it came to be written."""
    readable = [path for path in project_files() if b"\0" not in path.read_bytes()[:4096]]
    assert ROOT / "pyproject.toml" in readable
    assert complaints(readable, forbidden) == []


def test_requirements_are_pinned_and_name_no_place() -> None:
    """What is installed is decided by version and hash; where from is the installer's own setting."""
    files = sorted(ROOT.glob("requirements*.txt"))
    assert [name(path) for path in files] == ["requirements-dev.txt", "requirements.txt"]
    assert complaints(files, unpinned) == []


def test_requirements_hold_all_that_the_project_asks_for() -> None:
    """A dependency that was added without pinning it is noticed here, not on somebody's machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = {
        file: set(re.findall(r"^([a-z0-9-]+)==", (ROOT / file).read_text(), re.MULTILINE))
        for file in ("requirements.txt", "requirements-dev.txt")
    }
    runtime = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["local"],
        *project["project"]["optional-dependencies"]["metrics"],
        *project["dependency-groups"]["build"],
    ]
    wanted = {
        "requirements.txt": runtime,
        "requirements-dev.txt": [*runtime, *project["dependency-groups"]["dev"]],
    }
    for file, requirements in wanted.items():
        names = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in requirements}
        assert names - pinned[file] == set(), f"{file}: run ops/lock"


def test_the_version_is_the_same_everywhere() -> None:
    """The library reports the version under which it is packaged."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert killswitch.__version__ == project["project"]["version"]
