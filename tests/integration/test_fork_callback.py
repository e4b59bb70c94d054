"""A callback runs on the watcher's thread, and may fork: that thread is then all that lives in the child."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.fork_in_callback import CHECKS
from tests.support.switch import Switch


@pytest.mark.parametrize("when", ["on_close", "on_open"])
def test_no_check_passes_after_ok_in_a_child_that_was_forked_in_a_callback(switch: Switch, when: str) -> None:
    """P2: the old watcher, which comes back from the callback in the child, takes nothing from the new one, so a check
    asks the socket itself also there, while the new watcher is busy."""
    program = [sys.executable, "-m", "tests.integration.fork_in_callback", switch.url, when]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["0", str(CHECKS)], "")
