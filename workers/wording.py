"""Broken rules in words for whoever wrote the value: which value, which rule, and what to write instead.

Pydantic tells every rule by itself, in words for programmers, and a choice once for each way it was tried. Here all
that is wrong at one place makes one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

__all__ = ["Violation", "violations"]

_FORM = re.compile(r"\^(\[A-Za-z0-9\])?\[A-Za-z0-9([^\]]*)\]\{(\d+),(\d+)\}\$")
"""What our patterns look like: perhaps a first letter or digit, then so many of these characters."""
_TRIED = re.compile(r"literal\[.*\]|constrained-\w+|int|float|str|bool|tagged-union.*")
"""What stands in a location behind the field: the way in which a choice was tried."""
_SHOWN_MAX = 60

_KINDS: Mapping[str, tuple[str, str]] = {
    "int": ("is not a whole number", "a whole number"),
    "float": ("is not a number", "a number"),
    "finite": ("is not a number", "a number"),
    "bool": ("is neither true nor false", "true or false"),
    "string": ("is not text", "text in quotes"),
    "tuple": ("is not a list", "a list in [ ]"),
    "list": ("is not a list", "a list in [ ]"),
    "model": ("is not a table", "settings with their names"),
    "dict": ("is not a table", "settings with their names"),
    "path": ("is not a path", "the name of a file"),
}
"""By how the type of pydantic's error begins."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong at one place. `location` leads to it, through names and numbers; `text` begins with the value.
    `unknown`: there is no such setting."""

    location: tuple[int | str, ...]
    text: str
    unknown: bool = False

    @property
    def place(self) -> str:
        """The location with dots."""
        return ".".join(map(str, self.location))


def violations(error: ValidationError, secret: frozenset[str] = frozenset()) -> tuple[Violation, ...]:
    """One for each place, in the order in which they were found. The value of a field in `secret` is not shown."""
    found: dict[tuple[int | str, ...], list[Any]] = {}
    for item in error.errors():
        found.setdefault(_field(item), []).append(item)
    return tuple(
        Violation(where, _text(items, secret.isdisjoint(map(str, where))), items[0]["type"] == "extra_forbidden")
        for where, items in found.items()
    )


def _field(item: Any) -> tuple[int | str, ...]:
    """Where it is in what was written: without the kind of a feed, and without the way in which a choice was tried."""
    words = list(item["loc"])
    if item["type"] != "extra_forbidden" and len(words) > 1 and _TRIED.fullmatch(str(words[-1])):
        del words[-1]
    if "feed" in words[:-2]:
        del words[words.index("feed") + 1]
    return tuple(words)


def _text(items: list[Any], shown: bool) -> str:
    own = [str(item["msg"]).removeprefix("Value error, ") for item in items if item["type"] == "value_error"]
    if own:
        return "; ".join(dict.fromkeys(_small(text) for text in own))
    told = [_rule(item) for item in items]
    wrong = " and ".join(dict.fromkeys(one for one, _ in told))
    right = " or ".join(dict.fromkeys(two for _, two in told if two))
    return f"{_value(items[0], shown)}{wrong}{': write ' if right else ''}{right}"


def _value(item: Any, shown: bool) -> str:
    if item["type"] in ("missing", "extra_forbidden", "union_tag_invalid", "union_tag_not_found"):
        return ""
    given = item.get("input")
    if not shown or not isinstance(given, str | int | float):
        return "it "
    text = repr(given)
    return f"{text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + '...'} "


def _rule(item: Any) -> tuple[str, str]:
    """What is wrong, and what to write."""
    kind = str(item["type"])
    limits = {name: _plain(value) for name, value in item.get("ctx", {}).items()}
    if kind in _OWN:
        wrong, right = _OWN[kind]
        return wrong.format(**limits), right.format(**limits)
    if kind == "string_pattern_mismatch":
        return "is not of the right form", _form(str(limits["pattern"]))
    begin = next((name for name in _KINDS if kind.startswith(name)), "")
    if begin:
        return _KINDS[begin]
    return f"is refused ({_small(str(item['msg']))})", ""


_OWN: Mapping[str, tuple[str, str]] = {
    "missing": ("it is missing", "one"),
    "extra_forbidden": ("there is no such setting", "it otherwise, or leave it out"),
    "greater_than_equal": ("is less than {ge}", "{ge} or more"),
    "less_than_equal": ("is more than {le}", "{le} or less"),
    "greater_than": ("is not more than {gt}", "more than {gt}"),
    "less_than": ("is not less than {lt}", "less than {lt}"),
    "literal_error": ("is not {expected}", "{expected}"),
    "too_short": ("has too few entries", "{min_length} or more"),
    "too_long": ("has too many entries", "{max_length} or less"),
    "string_too_short": ("is too short", "{min_length} characters or more"),
    "string_too_long": ("is too long", "{max_length} characters or less"),
    "union_tag_invalid": ("its {discriminator} '{tag}' is not known", "one of {expected_tags}"),
    "union_tag_not_found": ("its {discriminator} is missing", "what it is"),
}


def _plain(value: object) -> str:
    """A limit as people write it: 1000 and not 1000.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _form(pattern: str) -> str:
    found = _FORM.fullmatch(pattern)
    if found is None:
        return f"what matches {pattern}"
    first, more, least, most = found[1], found[2], int(found[3]), int(found[4])
    least, most = (least + 1, most + 1) if first else (least, most)
    signs = f" and {' '.join(more)}" if more else ""
    begins = ", the first a letter or a digit" if first else ""
    return f"{least} to {most} letters, digits{signs}{begins}"


def _small(text: str) -> str:
    """With a small first letter, unless it begins with a name in capitals."""
    return text if text[:2].isupper() else f"{text[:1].lower()}{text[1:]}"
