"""The direction of imports: the contracts hold, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.checks import ROOT

_MODULES = (
    "killswitch/__init__.py",
    *(f"killswitch/{name}.py" for name in ("settings", "errors", "clock", "hooks", "local", "testing", "quick")),
    *(f"killswitch/{name}/__init__.py" for name in ("core", "store", "gate", "control")),
    "killswitch/gate/gate.py",
    "workers/__init__.py",
    "ops/__init__.py",
)


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_imports_keep_their_direction() -> None:
    """The contracts in pyproject.toml hold for the whole tree."""
    done = _lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("workers/jobs.py", "import ops"),
        ("killswitch/errors.py", "import workers"),
        ("killswitch/store/keys.py", "from killswitch.gate import gate"),
        ("killswitch/gate/watcher.py", "import killswitch.control"),
        ("killswitch/control/controller.py", "from killswitch.gate import gate"),
        ("killswitch/core/lease.py", "import time"),
        ("killswitch/core/fleet.py", "from os import environ"),
        ("killswitch/core/rules.py", "from killswitch import errors"),
        ("killswitch/gate/permits.py", "import socket"),
        ("killswitch/control/monitor.py", "import redis"),
        ("killswitch/store/audit.py", "import structlog"),
        ("workers/engine.py", "from killswitch.store import keys"),
        ("workers/engine.py", "import killswitch.quick"),
        ("ops/render.py", "import killswitch.core"),
        ("ops/render.py", "from killswitch.settings import x"),
        ("killswitch/quick.py", "import redis"),
        ("killswitch/hooks.py", "import socket"),
        ("workers/engine.py", "import prometheus_client"),
    ],
)
def test_a_contract_fails_when_it_is_broken(tmp_path: Path, file: str, line: str) -> None:
    """A line that goes the wrong way is reported, so a green run means something."""
    for module in _MODULES:
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / module).touch()
    (tmp_path / "killswitch/store/keys.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / file).write_text(f"{line}\n")
    done = _lint_imports(tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("BROKEN") >= 1, done.stdout + done.stderr
