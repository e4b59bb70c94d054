"""Copies of the chain's head, kept where whoever can write to the switch's Redis can not.

Invariant: a copy is only ever added, and is on disk (or confirmed by the other Redis) before it is called done; nothing
here changes or removes one. Reading goes on past what cannot be read, and tells how much that was.
"""

from __future__ import annotations

import contextlib
import logging.handlers
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from killswitch.core.anchor import Anchor, AnchorPlace, anchor_line, parse_anchor
from killswitch.core.chain import RawEntry
from killswitch.core.endpoint import Endpoint
from killswitch.errors import AnchorUnavailable, StoreRefused, StoreUnavailable
from killswitch.store.functions import Caller
from killswitch.store.portions import Portions
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire, connect

__all__ = ["AnchorBook", "append_anchor", "read_anchors", "run_id_at", "server_run_id"]

_RUN_ID = re.compile(r"^run_id:(\w+)", re.MULTILINE)
_LONGEST_LINE = 65_536
_STEP_S = 5.0
_NAME = "killswitch-anchor"


@dataclass(frozen=True, slots=True)
class AnchorBook:
    """What a place holds of one record: its anchors, oldest first, one for each head; and how many lines could not be
    read."""

    place: AnchorPlace
    anchors: tuple[Anchor, ...]
    unreadable: int


def _lines(path: str) -> Iterator[str]:
    with open(path, "rb") as file:
        while line := file.readline(_LONGEST_LINE):
            yield line.decode("utf-8", "replace")


def _key(prefix: str) -> str:
    return f"{prefix}:anchors"


def _text_of(entry: RawEntry) -> str:
    return entry.fields().get("anchor", "")


def _texts(place: AnchorPlace, prefix: str) -> Iterator[str]:
    if place.endpoint is None:
        yield from _lines(place.path)
        return
    with _reached(place.endpoint) as wire:
        portions = Portions(wire, _key(prefix), _text_of)
        while (text := portions.peek()) is not None:
            portions.take()
            yield text


@contextlib.contextmanager
def _reached(endpoint: Endpoint) -> Iterator[Wire]:
    with contextlib.closing(connect(endpoint, _STEP_S, _NAME)) as wire:
        yield wire


def server_run_id(caller: Caller) -> str:
    """What a server is known by for as long as it runs, under whichever address; empty where this user may not ask.
    Raises StoreUnavailable."""
    try:
        found = _RUN_ID.search(as_text(caller.call("INFO", "server")))
    except StoreRefused:
        return ""
    return found[1] if found else ""


def run_id_at(endpoint: Endpoint) -> str:
    """The same of another server. Raises AnchorUnavailable."""
    try:
        with _reached(endpoint) as wire:
            return server_run_id(wire)
    except (OSError, StoreRefused, StoreUnavailable) as error:
        raise AnchorUnavailable(str(endpoint), _why(error)) from None


def read_anchors(place: AnchorPlace, prefix: str, *, none_yet: bool = False) -> AnchorBook:
    """The anchors of the record under `prefix`. Lines without an anchor are passed by, as in a log of many things.

    Raises:
        AnchorUnavailable: the place cannot be read; or it holds no anchor of this record, unless `none_yet`.
    """
    found: dict[tuple[int, str], Anchor] = {}
    unreadable = 0
    if not place.can_be_read:
        raise AnchorUnavailable(str(place), "syslog cannot be asked: name the file that it writes")
    try:
        for text in _texts(place, prefix):
            try:
                anchor = parse_anchor(text)
            except ValueError:
                unreadable += 1
                continue
            if anchor is not None and anchor.prefix == prefix:
                found.setdefault((anchor.count, anchor.link), anchor)
    except FileNotFoundError as error:
        if not none_yet:
            raise AnchorUnavailable(str(place), _why(error)) from None
    except (OSError, StoreRefused, StoreUnavailable) as error:
        raise AnchorUnavailable(str(place), _why(error)) from None
    if not found and not none_yet:
        text = f"there is none of the record {prefix!r}; `killswitch audit anchor` adds one"
        raise AnchorUnavailable(str(place), text)
    return AnchorBook(place, tuple(found.values()), unreadable)


def append_anchor(place: AnchorPlace, anchor: Anchor) -> None:
    """Adds one. Raises AnchorUnavailable; then it may be there, or a part of it, which readers pass by."""
    line = anchor_line(anchor)
    try:
        if place.endpoint is not None:
            with _reached(place.endpoint) as wire:
                wire.call("XADD", _key(anchor.prefix), "*", "anchor", line)
        elif place.syslog is not None:
            _to_syslog(place.syslog, line)
        else:
            _to_file(place.path, line)
    except (OSError, StoreRefused, StoreUnavailable) as error:
        raise AnchorUnavailable(str(place), _why(error)) from None


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _to_file(path: str, line: str) -> None:
    """One write, then to the disk; the folder too, where the file may be new."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # one that was cut off in writing
        data = (b"\n" if torn else b"") + line.encode("ascii") + b"\n"
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(0, f"only {written} of {len(data)} bytes could be written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if size == 0:
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Syslog(logging.handlers.SysLogHandler):
    """Raises what went wrong instead of printing it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Called where sending failed."""
        raise


def _to_syslog(where: str | tuple[str, int], line: str) -> None:
    with contextlib.closing(_Syslog(where, logging.handlers.SysLogHandler.LOG_AUTHPRIV)) as log:
        log.ident = "killswitch-audit: "
        log.emit(logging.LogRecord(_NAME, logging.INFO, "", 0, line, None, None))
