"""What the shell is told. Scripts rely on these numbers; docs/reference.md lists them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """One number for each way a command can end."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Exit:
        """A code is its own number; its meaning goes with it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "Done; with --wait: proved QUIET."
    REFUSED = (
        1,
        "Refused: by Redis, by an epoch that is not current, or by the person who was asked. Nothing was changed.",
    )
    USAGE = 2, "Wrong usage: an option, a value or a setting is not valid. Nothing was sent."
    UNCERTAIN = 3, "Engaged, but not proved quiet: somebody did not answer, or the wait was interrupted."
    FENCED = (
        4,
        "Engaged and FENCED: somebody did not answer, but its lease has run out and its sinks refuse its old orders.",
    )
    FAILED = 5, "A check or a drill failed, or a launch did not get to its end. What was done until then is told."
    VIOLATED = 6, "The record was altered, or what was compared does not agree; each finding is named."
    UNSEALED = 7, "The record is in order, but changes have not been sealed for longer than was allowed."
    PENDING = 8, "Approved by the first of two persons. Nothing is permitted before another one asks for the same."
    UNREACHABLE = 69, "Redis could not be reached or did not answer, or what was to be checked was not to be had."
    INTERNAL = 70, "An unexpected error; `killswitch --traceback ...` shows where."
    UNWRITTEN = (
        74,
        "Done, but the result could not be written to its end, as on a full disk. Commands that change the switch end "
        "with the code that tells what became of it.",
    )
    INTERRUPTED = 130, "Interrupted before there was a result."
