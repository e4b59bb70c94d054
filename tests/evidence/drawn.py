"""A row of evidence for a test that draws what it tries."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.evidence.record import record

__all__ = ["drawn"]


def drawn(test: Callable[..., Any], server: str, examples: int, steps: int = 1) -> None:
    """`test` drew so many examples, of at most `steps` steps each, about what its docstring begins with."""
    record(
        "random",
        test=f"{test.__module__.replace('.', '/')}.py::{test.__name__}",
        properties=" ".join(re.findall(r"\b[PSLA]\d+\b", (test.__doc__ or "").partition(":")[0])),
        server=server,
        examples=examples,
        steps=steps,
    )
