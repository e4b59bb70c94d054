"""Texts that people give for the record, and texts that anybody may have written: as one line, or not at all."""

from __future__ import annotations

from killswitch.core.modes import InvalidInput

__all__ = ["LONGEST", "MAX_TEXT", "NO_REASON", "check_reason", "printable", "tidy"]

MAX_TEXT = 200
NO_REASON = "no reason given"
LONGEST = 4096
"""As much of a text is shown as anybody reads; a longer one tells its length."""


def printable(value: object, longest: int = LONGEST) -> str:
    """`value` as one line of printable text, for a log, a terminal or a table: escape sequences, line breaks and
    characters that turn the writing direction are shown as escapes; beyond `longest` characters it is cut."""
    text = str(value)
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def tidy(text: str, fallback: str) -> str:
    """A reason or an actor made fit for the record, whatever it was: nobody who stops the fleet is sent away for a line
    break in a reason. What is not printable becomes a blank, what is too long is cut, and nothing is `fallback`."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_TEXT]).split())
    if not words:
        return fallback
    return words if len(words) <= MAX_TEXT else f"{words[: MAX_TEXT - 1]}…"


def check_reason(text: str, what: str) -> str:
    """A reason or an actor, for the record of what permits something: there is time to write it properly.

    Raises:
        InvalidInput: empty, longer than 200 characters, or with control characters.
    """
    if not text.strip():
        raise InvalidInput(f"{what} is empty: say in a few words {'why' if what == 'the reason' else 'who'}")
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"{what} has {len(text)} characters, at most {MAX_TEXT} are kept: shorten it")
    if not text.isprintable():
        raise InvalidInput(f"{what} {text!r:.60} holds control characters or line breaks: write one plain line")
    return text.strip()
