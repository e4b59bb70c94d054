"""A row of evidence: what one check measured, appended to the file that EVIDENCE_FILE names; nowhere without it.

A test asserts; its row says how far from the bound it was. Rows are JSON lines, so a run may be interrupted, and
several processes may write: each line is one write.
"""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["VARIABLE", "record"]

VARIABLE = "EVIDENCE_FILE"


def record(table: str, **values: Any) -> None:
    """Appends one row to `table`. Values are what JSON holds."""
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"table": table, **values}, sort_keys=True) + "\n"
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)
