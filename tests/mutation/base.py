"""A break of the product as data: where, what, and which test must notice."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mutant"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `path`, `old` (which must occur exactly once) becomes `new`. Then `tests` (arguments of pytest) must fail.

    `breaks` names the promise or property, `why` says what would happen to somebody.
    """

    name: str
    breaks: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str = ""
