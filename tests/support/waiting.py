"""Waiting in tests: always bounded, always with the reason. Pure rules need none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from killswitch import clock

T = TypeVar("T")


def eventually(predicate: Callable[[], T], *, timeout_s: float = 5.0, why: str) -> T:
    """The first true value of `predicate`, asked every 5 ms; an AssertionError that says `why` after `timeout_s`."""
    deadline_ns = clock.now_ns() + int(timeout_s * 1e9)
    while not (value := predicate()):
        assert clock.now_ns() < deadline_ns, f"not within {timeout_s:g} s: {why} (last value {value!r})"
        clock.sleep(0.005)
    return value
