"""A stream read from its front in portions, whatever lies in it.

Invariant: reads only. No single question takes Redis long: portions are small at first, grow while their entries are
small and shrink when they are not, because anybody with the right to add may have added something huge. Nothing is
skipped and nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from killswitch.core.chain import RawEntry
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.functions import Caller

__all__ = ["Portions", "raw_entry"]

T = TypeVar("T")
_FIRST, _MOST = 50, 200
_SMALL, _LARGE = 128 * 1024, 512 * 1024  # bytes of a portion


def raw_entry(item: object) -> RawEntry:
    """One entry of a reply. Raises StoreUnavailable for what is none: replies out of step, as behind a proxy that sends
    announcements as replies; nothing read here can be believed then."""
    match item:
        case [bytes(entry_id), list() | None as flat]:
            words = tuple(word if isinstance(word, bytes) else str(word).encode() for word in flat or ())
            return RawEntry(entry_id.decode("ascii", "replace"), words)
    raise StoreUnavailable(Code.BAD_ANSWER, "the record was answered with something else")


class Portions(Generic[T]):
    """The stream under `key` from id `start` to id `end`, each entry as `parse` makes it. See
    `core.verification.Reader`.

    Once it has come to its end it asks again only after `look_again`. `on_portion` is called whenever it has asked.
    `no_stream`: something else lies under the key. `peek` raises StoreUnavailable and StoreRefused.
    """

    def __init__(
        self,
        caller: Caller,
        key: str,
        parse: Callable[[RawEntry], T],
        start: str = "-",
        end: str = "+",
        on_portion: Callable[[], None] | None = None,
    ) -> None:
        self._caller = caller
        self._key = key
        self._parse = parse
        self._start = start
        self._end = end
        self._on_portion = on_portion
        self._count = _FIRST
        self._items: list[T] = []
        self._at = 0
        self._ended = False
        self.no_stream = False

    def peek(self) -> T | None:
        """The next entry, which stays there; None where there is none now."""
        if self._at == len(self._items) and not self._ended:
            self._ask()
        return self._items[self._at] if self._at < len(self._items) else None

    def take(self) -> None:
        """Leaves the entry that `peek` gave behind."""
        self._at += 1

    def look_again(self) -> None:
        """There may be more by now."""
        self._ended = False

    def _ask(self) -> None:
        try:
            found = self._caller.call("XRANGE", self._key, self._start, self._end, "COUNT", self._count)
        except StoreRefused as error:
            if "WRONGTYPE" not in error.reason:
                raise
            self.no_stream, found = True, []
        entries = [raw_entry(item) for item in found] if isinstance(found, list) else []
        entries = entries[: self._count]
        self._items, self._at = [self._parse(entry) for entry in entries], 0
        self._ended = not entries
        if entries:
            self._start = f"({entries[-1].entry_id}"
            size = sum(len(word) for entry in entries for word in entry.words)
            if size > _LARGE:
                self._count = max(self._count // 4, 1)
            elif size < _SMALL:
                self._count = min(self._count * 2, _MOST)
        if self._on_portion is not None:
            self._on_portion()
