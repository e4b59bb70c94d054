"""The digest by which one build of the gate code is told from another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from killswitch import __version__, _build
from killswitch._build import gate_build, identity
from tests.support.processes import ROOT


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that the digest is taken of."""
    copy = tmp_path / "killswitch"
    shutil.copytree(ROOT / "killswitch", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_build, "files", lambda _name: copy)
    return copy


def fresh() -> str:
    """Taken anew."""
    return gate_build.__wrapped__()


def test_same_sources_give_the_same_build_whatever_lies_beside_them(tree: Path) -> None:
    """Bytecode, other line ends and code that decides nothing make no other build."""
    assert fresh() == gate_build()
    assert len(gate_build()) == 12
    (tree / "gate" / "gate.pyc").write_bytes(b"x")
    (tree / "local.py").write_text("changed = True\n")
    (tree / "gate" / "gate.py").write_bytes((tree / "gate" / "gate.py").read_bytes().replace(b"\n", b"\r\n"))
    assert fresh() == gate_build()


@pytest.mark.parametrize("name", ["gate/gate.py", "core/watch.py", "store/lua/ks_read.lua", "core/checks/line.py"])
def test_one_changed_byte_makes_another_build(name: str, tree: Path) -> None:
    """Also in Lua, which a worker compares by version only; and where the length stays as it was."""
    data = (tree / name).read_bytes()
    (tree / name).write_bytes(data[:-1] + b" ")
    assert fresh() != gate_build()


def test_sources_that_are_not_there_give_no_build(tree: Path) -> None:
    """Where only bytecode is installed nothing is claimed."""
    shutil.rmtree(tree / "gate")
    assert fresh() == ""


def test_heartbeat_says_version_and_build() -> None:
    """What preflight compares is what each worker says."""
    said = identity()
    assert (said["version"], said["build"]) == (__version__, gate_build())
    assert said["pid"].isdigit()
