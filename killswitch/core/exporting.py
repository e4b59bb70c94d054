"""Entries of the record for other programs: a JSON line each, which can be verified without Redis, or a row for a
spreadsheet. Texts in the record were written by many hands; none of them becomes a formula or a command here."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from killswitch.core.audit import APPROVED, OUTCOME, REFUSED, kind_of, parse_entry, parse_outcome
from killswitch.core.chain import RawEntry, Seal, parse_seal

__all__ = ["COLUMNS", "Recorded", "csv_header", "csv_line", "json_line", "parse_json_line", "shown_apart"]

COLUMNS = (
    "id", "time", "at_ms", "kind", "epoch", "scope", "from", "to", "reason", "actor", "via", "operation", "verdict",
    "waited_ms", "members", "pending", "number", "link",
)  # fmt: skip
_OF_A_SEAL = ("number", "link", "content", "sealed_by")
_FORMULA = ("=", "+", "-", "@")
_ESCAPE = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry and its seal, None where it has none yet."""

    entry: RawEntry
    seal: Seal | None


def _values(item: Recorded, time_text: Callable[[int], str]) -> dict[str, str | int | None]:
    fields = item.entry.fields()
    kind, change, outcome = kind_of(fields), parse_entry(item.entry.entry_id, fields), parse_outcome(fields)
    told = outcome if kind == OUTCOME else None
    said = {
        REFUSED: f"REFUSED {fields.get('verb', '')} of epoch {fields.get('named', '')}",
        APPROVED: f"APPROVED {fields.get('verb', '')} {fields.get('what', '')}",
    }.get(kind, "")
    seal = item.seal if item.seal is not None and item.seal.readable else None
    return {
        "id": item.entry.entry_id,
        "time": time_text(change.at_ms) if 0 <= change.at_ms < 2**43 else "",
        "at_ms": change.at_ms if change.at_ms >= 0 else None,
        "kind": kind,
        "epoch": change.epoch if change.epoch >= 0 else None,
        "scope": change.scope,
        "from": change.before,
        "to": change.after,
        "reason": change.reason,
        "actor": change.actor,
        "via": change.via,
        "operation": change.operation,
        "verdict": told.verdict if told else said,
        "waited_ms": told.waited_ms if told and told.waited_ms >= 0 else None,
        "members": told.members if told and told.members >= 0 else None,
        "pending": told.pending if told else "",
        "number": seal.position if seal else None,
        "link": seal.link if seal else "",
    }


def json_line(item: Recorded, time_text: Callable[[int], str]) -> str:
    """One JSON object in ASCII: the values, and under `fields` name and value of everything the entry holds, byte for
    byte (bytes that are no UTF-8 as lone surrogates), so that its seal can be checked. `time_text` makes text of
    milliseconds since the Unix epoch."""
    found: dict[str, object] = dict(_values(item, time_text))
    if item.seal is not None and item.seal.readable:
        found |= {"content": item.seal.content, "sealed_by": item.seal.algorithm}
    found["fields"] = [word.decode("utf-8", _ESCAPE) for word in item.entry.words]
    return json.dumps(found, separators=(",", ":"))


def parse_json_line(line: str) -> Recorded:
    """What `json_line` made.

    Raises:
        ValueError: the line is none of these.
    """
    try:
        found = json.loads(line)
        words = tuple(str(word).encode("utf-8", _ESCAPE) for word in found["fields"])
        entry = RawEntry(str(found["id"]), words)
        if found["number"] is None:
            return Recorded(entry, None)
        seal = {"n": found["number"], "content": found["content"], "link": found["link"], "by": found["sealed_by"]}
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"no entry of an export: {error}") from None
    return Recorded(entry, parse_seal(entry.entry_id, {name: str(value) for name, value in seal.items()}))


def shown_apart(line: str, item: Recorded, time_text: Callable[[int], str]) -> tuple[str, ...]:
    """The names of values in `line`, the one of which `parse_json_line` made `item`, that are not what `fields` and the
    seal give. People and programs read those values, while a seal vouches for `fields` alone. A name that is missing,
    is there twice or is none of an export's counts as well."""
    pairs: list[tuple[str, object]] = json.loads(line, object_pairs_hook=list)
    shown = {name: json.dumps(value) for name, value in pairs}
    made: dict[str, object] = dict(json.loads(json_line(item, time_text)))
    if item.seal is not None and not item.seal.readable:  # what is wrong about the seal is told as that
        for name in _OF_A_SEAL:
            made.pop(name, None)
            shown.pop(name, None)
    wrong = {name for name, value in made.items() if shown.get(name) != json.dumps(value)} | (
        shown.keys() - made.keys()
    )
    twice = {name for name, count in Counter(name for name, _ in pairs).items() if count > 1}
    return tuple(sorted(wrong | twice))


def _printable(text: str) -> str:
    """One line of printable text: what is not printable is shown as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _row(values: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def csv_header() -> str:
    """The names of the columns."""
    return _row(COLUMNS)


def csv_line(item: Recorded, time_text: Callable[[int], str]) -> str:
    """One row of printable text, without its end. What a spreadsheet would take for a formula is preceded by an
    apostrophe, with which it shows it as text."""
    row = []
    for value in _values(item, time_text).values():
        text = _printable(value) if isinstance(value, str) else "" if value is None else str(value)
        row.append(f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text)
    return _row(row)
