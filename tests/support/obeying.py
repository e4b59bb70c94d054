"""Children of a test that obey: one order is a line of JSON on their input, one answer a line on their output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.fledglings import Running

__all__ = ["ask"]


def ask(child: Running, output: Path, order: dict[str, Any]) -> Any:
    """Has `child` obey and returns its answer. Raises AssertionError with what it wrote to `output` where it ended."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.flush()
    line = child.stdout.readline()
    assert line, f"it ended:\n{output.read_text(errors='replace')}"
    return json.loads(line)
