"""The function library: its text, its version, and loading it.

Invariant: the library in Redis is the one this release was tested with, or every gate is closed. Each answer carries
the version, so there is no separate check that could be forgotten. Only `killswitch init` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Protocol

__all__ = ["LIBRARY", "LIBRARY_VERSION", "OPERATIONS", "SHARED", "Caller", "library_source", "load_library"]

LIBRARY = "killswitch"
LIBRARY_VERSION = 4
SHARED = ("common", "room", "incarnation", "replies", "deadman", "persons", "byhand")
OPERATIONS = (
    "ks_admit", "ks_beat", "ks_deadman", "ks_drill", "ks_engage", "ks_leave", "ks_outcome", "ks_policy", "ks_proved",
    "ks_read", "ks_reduce", "ks_renew", "ks_reset", "ks_seal",
)  # fmt: skip


class Caller(Protocol):
    """Anything that sends one command and returns its answer: the wire, or a fake in a test."""

    def call(self, *args: str | bytes | int) -> object:
        """Sends one command and returns the answer; raises StoreUnavailable or StoreRefused."""
        ...

    def call_many(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[object]:
        """Sends several commands at once and returns their answers, refusals as StoreRefused values; raises
        StoreUnavailable."""
        ...


def library_source() -> str:
    """The text given to FUNCTION LOAD: a header with the version, the common parts, then one part per operation."""
    folder = files("killswitch.store") / "lua"
    parts = [(folder / f"{name}.lua").read_text(encoding="utf-8") for name in (*SHARED, *OPERATIONS)]
    return f"#!lua name={LIBRARY}\nlocal VERSION = {LIBRARY_VERSION}\n" + "\n".join(parts)


def load_library(caller: Caller) -> None:
    """Loads or replaces the library; repeatable at any time, gates stay as they are.

    Raises:
        StoreRefused: the server is older than Redis 7.0, refuses writes, or the user may not load functions.
        StoreUnavailable: no answer.
    """
    caller.call("FUNCTION", "LOAD", "REPLACE", library_source())
