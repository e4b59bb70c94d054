"""Records of changes on lists: honest ones, their seals, and what somebody may do to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from killswitch.core.anchor import Anchor
from killswitch.core.chain import NO_LINK, Chain, RawEntry, Seal
from killswitch.core.findings import Verification
from killswitch.core.verification import Checker, walk

__all__ = ["ListReader", "anchor_at", "change", "history", "renumbered", "sealed", "verify"]

T = TypeVar("T")
PREFIX = "killswitch"
FIRST_MS = 1_700_000_000_000


class ListReader(Generic[T]):
    """A stream that is a list."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = list(items)
        self._at = 0

    def peek(self) -> T | None:
        return self._items[self._at] if self._at < len(self._items) else None

    def take(self) -> None:
        self._at += 1


def change(number: int, scope: str = "switch", reason: str = "why", epoch: int | None = None, **more: str) -> RawEntry:
    """The entry of the change with this number, as the function library writes it."""
    at_ms = FIRST_MS + 1000 * number
    fields = {"epoch": str(number if epoch is None else epoch), "scope": scope, "from": "SAFE", "to": "ENGAGED x"}
    fields |= {"reason": reason, "actor": "alice", "via": "command", "op": f"o{number}", "at_ms": str(at_ms), **more}
    words = tuple(word.encode() for pair in fields.items() for word in pair)
    return RawEntry(f"{at_ms}-0", words)


def history(count: int) -> list[RawEntry]:
    """So many changes."""
    return [change(number) for number in range(1, count + 1)]


def sealed(entries: Sequence[RawEntry], key: str = "", prefix: str = PREFIX) -> list[Seal]:
    """The seals that an honest sealer gives these entries."""
    chain, link, seals = Chain(prefix, key), NO_LINK, []
    for position, entry in enumerate(entries, 1):
        seals.append(chain.seal(position, link, entry))
        link = seals[-1].link
    return seals


def anchor_at(seal: Seal, prefix: str = PREFIX) -> Anchor:
    """The anchor of the head `seal`."""
    return Anchor(prefix, seal.position, seal.link, seal.entry_id, seal.algorithm, FIRST_MS, "cron")


def verify(
    entries: Iterable[RawEntry], seals: Iterable[Seal], anchors: Iterable[Anchor] = (), key: str = "", removed: int = 0
) -> Verification:
    """One look at both."""
    checker = Checker(Chain(PREFIX, key), PREFIX, anchors)
    walk(ListReader(entries), ListReader(seals), checker)
    checker.removed("killswitch:audit", removed)
    return checker.finish(FIRST_MS + 10_000_000)


def renumbered(entries: Sequence[RawEntry]) -> list[RawEntry]:
    """The same contents under the ids of a stream that was written anew, in the order given."""
    return [replace(entry, entry_id=f"{FIRST_MS + 500 + 1000 * n}-7") for n, entry in enumerate(entries, 1)]
