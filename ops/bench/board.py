"""A few whole numbers that a benchmark and its child programs share without a system call.

A pipe would cost the watched process system calls, and so change what is measured. Each slot has one writer; a slot is
eight aligned bytes, which the processors Python runs on read and write in one piece.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path
from types import TracebackType

__all__ = ["Board"]

_SLOTS = 512


class Board:
    """Slots in a file that several processes map. Made by the parent (`create`), opened by the children."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if create:
            path.write_bytes(bytes(_SLOTS * 8))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SLOTS * 8)
        self.slots = memoryview(self._map).cast("q")
        """Read and write these."""

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.slots.release()
        # A measuring thread that is just ending may hold a view for a moment longer; the map goes with the process.
        with contextlib.suppress(BufferError):
            self._map.close()
