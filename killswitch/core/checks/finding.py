"""What a check says: what it found, why that matters, what to do. And how it says that it could not look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Grade", "Judged", "Unseen", "fail", "ok", "skip", "warn"]


class Grade(StrEnum):
    """How a check ended. `warn` is also for what could not be looked at: unknown is never ok."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check as told to people and programs. `remedy` is empty where there is nothing to do."""

    name: str
    verdict: Grade
    found: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule made of the facts; with the rule's name and reason it becomes a Finding."""

    grade: Grade
    found: str
    remedy: str = ""


class Unseen(Exception):
    """A fact that a rule needs could not be read; the text says why. It becomes a warning, whatever the rule is."""


def ok(found: str) -> Judged:
    """All is as it should be."""
    return Judged(Grade.OK, found)


def warn(found: str, remedy: str) -> Judged:
    """It works, but less is promised, or a second fault would hurt."""
    return Judged(Grade.WARN, found, remedy)


def fail(found: str, remedy: str) -> Judged:
    """A promise does not hold here."""
    return Judged(Grade.FAIL, found, remedy)


def skip(found: str) -> Judged:
    """There is nothing here that the rule is about."""
    return Judged(Grade.SKIP, found)
