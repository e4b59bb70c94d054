"""Texts that people give for the record: why, and who."""

from __future__ import annotations

from killswitch.core.modes import InvalidInput

__all__ = ["MAX_TEXT", "check_reason"]

MAX_TEXT = 200


def check_reason(text: str, what: str) -> str:
    """A reason or an actor, for the record.

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
