"""Which properties a test stands for: numbers of the promises (P), of safety (S) and of liveness (L)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import pytest

__all__ = ["prop", "properties_of"]

Test = TypeVar("Test", bound=Callable[..., object])
_NAME = re.compile(r"[PSL][1-9][0-9]?")


def prop(*names: str) -> Callable[[Test], Test]:
    """Marks a test as one of real faults that checks the properties `names`; its rows of evidence carry them."""
    assert names, "a test without a property proves nothing that anybody asked for"
    assert all(map(_NAME.fullmatch, names)), names

    def mark(test: Test) -> Test:
        test.properties = names  # type: ignore[attr-defined]
        marked: Test = pytest.mark.real(pytest.mark.faults(test))
        return marked

    return mark


def properties_of(test: object) -> tuple[str, ...]:
    """The names given by `prop`; none for another test."""
    return tuple(getattr(test, "properties", ()))
