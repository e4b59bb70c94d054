"""What the switch can say, and what part of the fleet it says it to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DRILL", "MAX_EPOCH", "SWITCH", "InvalidInput", "Mode", "Scope", "strictest"]

MAX_EPOCH = 2**53 - 1
"""Largest epoch: Redis Lua counts in doubles, which are exact up to here."""

SWITCH = "switch"
"""Name of the switch itself where a scope name is expected in records."""

DRILL = "drill:fleet"
"""The scratch scope of drills: announced like any other, followed by everybody, and it stops nobody."""


class InvalidInput(ValueError):
    """A value given by a person breaks a rule. The message names the value, the rule and the remedy."""


class Mode(StrEnum):
    """SAFE: trading permitted. REDUCING: only orders that reduce a position. ENGAGED: nothing new, cancels pass."""

    SAFE = "SAFE"
    REDUCING = "REDUCING"
    ENGAGED = "ENGAGED"


_STRICTNESS = {Mode.SAFE: 0, Mode.REDUCING: 1, Mode.ENGAGED: 2}


def strictest(*modes: Mode) -> Mode:
    """The mode that forbids most among `modes`; ENGAGED when there are none, because unknown is closed."""
    return max(modes, key=_STRICTNESS.__getitem__, default=Mode.ENGAGED)


_SCOPE = re.compile(r"(?P<dimension>[a-z][a-z0-9_-]{0,31}):(?P<name>[A-Za-z0-9][A-Za-z0-9._/@+-]{0,63})")


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """A part of the fleet, written `dimension:name`, such as `symbol:EURUSD` or `host:web1`."""

    dimension: str
    name: str

    @classmethod
    def parse(cls, text: str | Scope) -> Scope:
        """Reads `dimension:name`.

        Raises:
            InvalidInput: the text has another form, or is the scratch scope of drills.
        """
        if isinstance(text, Scope):
            return text
        match = _SCOPE.fullmatch(text)
        if match is None:
            raise InvalidInput(
                f"scope {text[:80]!r} is not of the form dimension:name (a lower-case dimension, then a colon, then "
                "letters, digits or . _ / @ + -): write for example symbol:EURUSD or strategy:meanrev"
            )
        if text == DRILL:
            raise InvalidInput(f"scope {DRILL} is the scratch scope of drills and stops nobody: choose another name")
        return cls(match["dimension"], match["name"])

    def __str__(self) -> str:
        return f"{self.dimension}:{self.name}"
