"""Where words go: one JSON object or text for people, colours or none. What becomes of the words never changes what a
command does, nor the code that tells what it did: a reader may go away, a disk be full, a stream be closed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, TextIO

from ops.render import COLUMNS, Paint, clean, page, wrap

__all__ = ["Console", "console", "plain"]


def plain(value: Any) -> Any:
    """`value` made of what JSON has: dataclasses become objects, in the order of their fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return int(value) if isinstance(value, int) else str(value)


def _colourful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_NARROWEST, _WIDEST = 40, 200


def _columns(stream: TextIO) -> int:
    try:
        told = os.environ.get("COLUMNS", "")
        found = int(told) if told.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or a closed stream
        return COLUMNS
    return min(max(found, _NARROWEST), _WIDEST) if found else COLUMNS


def _open_streams() -> None:
    """Leads each of the three standard descriptors that is closed nowhere: else the next connection gets its number,
    and what is written straight to it goes to Redis."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))


class Console:
    """`gone`: nobody reads any more what is written. `lost`: why a result that somebody wants could not be written.

    Text mode: results on stdout, trouble on stderr. JSON mode: one object on stdout, all text on stderr."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """As it is when a command starts."""
        _open_streams()
        self.json = False
        self.told = False
        self.gone = False
        self.lost = ""
        self.warnings: list[str] = []
        page.columns = min(COLUMNS, self.columns)

    @property
    def people(self) -> TextIO:
        """The stream that people read results on."""
        return sys.stderr if self.json else sys.stdout

    @property
    def paint(self) -> Paint:
        """Colours as the people's stream has them."""
        return Paint(_colourful(self.people))

    @property
    def error_paint(self) -> Paint:
        """Colours as stderr has them."""
        return Paint(_colourful(sys.stderr))

    @property
    def columns(self) -> int:
        """How wide a table for people may be: as wide as their terminal, within reason; in a pipe COLUMNS."""
        return _columns(self.people) if self.people.isatty() else COLUMNS

    @property
    def live(self) -> bool:
        """Whether lines may be rewritten."""
        return self.people.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, *lines: str) -> None:
        """Lines of a result."""
        self._write(self.people, "".join(f"{line}\n" for line in lines))

    def status_line(self, text: str) -> None:
        """Text that the next line replaces; only where lines may be rewritten."""
        if self.live:
            self._write(self.people, f"\r\x1b[2K{text}")

    def warn(self, text: str) -> None:
        """Something a person should know; also in the JSON object, under `warnings`."""
        self.warnings.append(text)
        self.trouble("warning", text, "warn")

    def trouble(self, label: str, text: str, style: str = "stop") -> None:
        """A labelled paragraph on stderr; only its label is coloured. Whatever the text is, it is shown as text."""
        lines = wrap(f"{label}: {clean(text)}")
        painted = self.error_paint(label, style)
        self.tell(*[painted + lines[0][len(label) :], *wrap(" ".join(lines[1:]), indent="  ")])

    def tell(self, *lines: str) -> None:
        """Lines on stderr."""
        self._write(sys.stderr, "".join(f"{line}\n" for line in lines))

    def result(self, value: Any) -> None:
        """The one JSON object, in JSON mode; a second one is not printed."""
        if self.json and not self.told:
            self.told = True
            found = {**plain(value), "warnings": list(self.warnings)}
            self._write(sys.stdout, json.dumps(found, allow_nan=False) + "\n")

    def line(self, value: Any) -> None:
        """One JSON object of several, in JSON mode: each on a line of its own."""
        if self.json:
            self.told = True
            self._write(sys.stdout, json.dumps(plain(value), allow_nan=False) + "\n")

    def last_words(self, text: str, value: Any, code: int) -> NoReturn:
        """Ends the process from a signal handler: straight to the descriptors, because a stream may be half-written."""
        clear = b"\r\x1b[2K" if self.live else b""
        self._straight(2, clear + text.encode() + b"\n")
        if self.json and not self.told:
            self._straight(1, json.dumps({**plain(value), "warnings": list(self.warnings)}).encode() + b"\n")
        os._exit(code)

    @staticmethod
    def _straight(descriptor: int, data: bytes) -> None:
        try:
            os.write(descriptor, data)
        except OSError:  # nobody reads it
            pass

    def write(self, text: str) -> None:
        """Text as it is on the people's stream."""
        self._write(self.people, text)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            self._divert(stream)  # the reader went away, as `head` does
        except (OSError, ValueError) as error:
            self._divert(stream)
            if stream is sys.stdout and not self.lost:
                self.lost = getattr(error, "strerror", None) or "the stream is closed"
                self.trouble("warning", f"the result could not be written to its end: {self.lost}", "warn")

    def _divert(self, stream: TextIO) -> None:
        """From now on what is written there goes nowhere, also what Python still holds of it."""
        self.gone = self.gone or stream is sys.stdout or stream is self.people
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):  # a stream that has no descriptor any more
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


console = Console()
