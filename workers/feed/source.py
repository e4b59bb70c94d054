"""The bytes of a recorded file as lists of lines, whatever it is packed in; every fault of a file is one FeedError.

A file is recognised by its first bytes, never by its name. Lines come from large blocks cut in C: asking a zip member
for one line at a time costs more than parsing it.
"""

from __future__ import annotations

import contextlib
import gzip
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workers.feed.base import BATCH, FeedError

__all__ = ["MAX_LINE", "Packing", "line_batches", "packing_of"]

_BLOCK = 1 << 16
MAX_LINE = 1 << 20
"""A longer line (bytes) is not from any known feed: it is cut there, and its parts are counted as bad rows."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods that the standard library unpacks block by block. Of bzip2 or lzma it unpacks 4 KB of the file at once,
however much comes out: a file of a few KB took 150 MB."""

_DAMAGE = (
    OSError,  # also a bad gzip header
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,  # a zip method this Python does not know
    RuntimeError,  # an encrypted zip
    ValueError,
    LookupError,
    struct.error,
)
"""What the unpackers of the standard library raise on damaged or foreign content, found by mutating good files."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Packing:
    """How a file is packed: `member` is the name of the one file inside a zip, None for gzip."""

    member: str | None


def packing_of(path: Path) -> Packing:
    """Looks at the first bytes.

    Raises:
        FeedError: the file is missing, unreadable, neither zip nor gzip, or a zip without exactly one file in it, or
            one packed by another method than deflate.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic[:2] == b"\x1f\x8b":
            return Packing(None)
        if magic != b"PK\x03\x04":
            raise FeedError(
                f"ticks {str(path)!r}: neither a zip nor a gzip file: give a Lean quote zip or a Binance capture"
            )
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except FeedError:
        raise
    except FileNotFoundError:
        raise FeedError(f"ticks {str(path)!r}: there is no such file: check the path") from None
    except _DAMAGE as error:
        raise FeedError(
            f"ticks {str(path)!r}: cannot be read ({_say(error)}): check the file, or fetch it again"
        ) from error
    if len(infos) != 1:
        raise FeedError(
            f"ticks {str(path)!r}: the zip holds {len(infos)} files, expected one: unpack and zip each alone"
        )
    if infos[0].compress_type not in _METHODS:
        raise FeedError(
            f"ticks {str(path)!r}: the zip is packed by a method other than deflate, which unpacks into memory without "
            "bound: zip it again the usual way"
        )
    return Packing(infos[0].filename)


def line_batches(path: Path, packing: Packing) -> Generator[list[bytes], None, None]:
    """All lines of the file without their ends, at most BATCH at a time. Empty lines are left out.

    Raises:
        FeedError: the content is damaged; the lines before the damage were handed over.
    """
    try:
        with contextlib.ExitStack() as stack:
            yield from _cut(_open(stack, path, packing))
    except _DAMAGE as error:
        raise FeedError(f"ticks {str(path)!r}: damaged content ({_say(error)}): fetch the file again") from error


def _open(stack: contextlib.ExitStack, path: Path, packing: Packing) -> _Readable:
    if packing.member is None:
        return stack.enter_context(gzip.open(path))
    archive = stack.enter_context(zipfile.ZipFile(path))
    return stack.enter_context(archive.open(packing.member))


def _cut(file: _Readable) -> Iterator[list[bytes]]:
    rest = b""
    while block := file.read(_BLOCK):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > MAX_LINE:
            lines.append(rest)
            rest = b""
        yield from _batches(lines)
    yield from _batches([rest])


def _batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    kept = [line for line in lines if line and line != b"\r"]
    for start in range(0, len(kept), BATCH):
        yield kept[start : start + BATCH]


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__
