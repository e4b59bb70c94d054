"""The quick checks of the model: those that must hold do, those that must not have their counterexample."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).parents[2] / "docs" / "model" / "run.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODEL = _load()
QUICK = [check for check in MODEL.CHECKS if check.quick]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Spin makes the searches, gcc compiles them; without them this fails in CI and is skipped at home."""
    missing = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not on PATH: {', '.join(missing)}")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("check", QUICK, ids=[check.name for check in QUICK])
def test_a_quick_check_has_its_verdict(check: object) -> None:
    """The whole state space was searched, it was about something, and the verdict is the one of the table."""
    assert MODEL.complaint(check, MODEL.execute(check)) == ""


def test_the_quick_checks_are_of_every_kind() -> None:
    """Some that hold, some with a hole, some that show a place is reached: otherwise the quick run proves little."""
    assert {check.expect for check in QUICK} == {"holds", "hole", "reached"}
    assert len({check.name for check in MODEL.CHECKS}) == len(MODEL.CHECKS)
