"""Saying something to whoever reads logs, from where nothing may go wrong.

Invariant: nothing here decides about a gate, and nothing that logging raises comes back. Logging is the application's:
its handlers may find a closed stream or a full disk. So the gate is closed first, and then it is said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

__all__ = ["say"]


def say(log: Callable[..., None], text: str, *words: object) -> None:
    """`log(text, *words)`, a method of a logger. Interrupts, which are no failures of logging, pass."""
    with contextlib.suppress(Exception):
        log(text, *words)
