"""Doing something that may be repeated: once, and once more after an unknown outcome.

Invariant: only actions that carry an operation id, or change nothing, go through here, so a repetition changes nothing
twice. Each attempt has a connection of its own. No step of one takes more than half of the time and connecting never
more than what is left of it, so both together keep to the limit, but for the last answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.store.wire import Wire, connect

__all__ = ["attempt_twice"]

T = TypeVar("T")


def attempt_twice(endpoint: Endpoint, timeout_s: float, name: str, action: Callable[[Wire], T]) -> T:
    """The result of `action`, which gets a connection called `name`.

    Raises:
        StoreUnavailable: both attempts failed; of the two errors the one that leaves more unknown.
        StoreRefused: what the action or the greeting raised; not repeated, because the outcome is known.
    """
    first = None
    deadline_ns = now_ns() + int(timeout_s * 1e9)
    for _ in range(2):
        try:
            with contextlib.closing(connect(endpoint, timeout_s / 2, name, deadline_ns)) as wire:
                return action(wire)
        except StoreUnavailable as error:
            # "Cannot be reached" after "did not answer" must not hide that the first may have taken effect.
            first = error if first is None or first.code is Code.UNREACHABLE else first
    assert first is not None
    raise first
