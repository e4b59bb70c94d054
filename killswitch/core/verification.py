"""Looking through the record: entries and seals side by side, in one pass, however many there are.

Both are ordered by id, and a seal has the id of its entry. So walking both shows which seals have lost their entry and
which entries never had a seal. What a seal says is compared with the entry, with the seal before it, and with the heads
that were copied to anchors. What is kept on the way does not grow with the record, but for the anchors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from killswitch.core.anchor import Anchor, by_position
from killswitch.core.chain import HMAC, NO_LINK, PLAIN, Chain, RawEntry, Seal, content_of, id_parts
from killswitch.core.epochs import EpochCheck
from killswitch.core.findings import Findings, Kind, Verification

__all__ = ["Checker", "Reader", "walk"]

T_co = TypeVar("T_co", covariant=True)
_MOST_MOVED = 2000


class Reader(Protocol[T_co]):
    """A stream read from its front. `peek` gives the next one or None; asked again later it may find more."""

    def peek(self) -> T_co | None:
        """The next one, which stays there; None where there is none now."""
        ...

    def take(self) -> None:
        """Leaves the one that `peek` gave behind."""
        ...


def walk(
    entries: Reader[RawEntry], seals: Reader[Seal], checker: Checker, seen: Callable[[int], None] | None = None
) -> None:
    """Gives `checker` every entry and every seal, those of one id together; `seen` hears how many entries there were.

    A seal is always read before its entry, so one that is sealed meanwhile is never taken for missing.
    """
    while (seal := seals.peek()) is not None:
        entry = entries.peek()
        if entry is None or id_parts(entry.entry_id) > id_parts(seal.entry_id):
            checker.seal(seal, None)
            seals.take()
        elif id_parts(entry.entry_id) < id_parts(seal.entry_id):
            checker.unsealed(entry)
            entries.take()
        else:
            checker.seal(seal, entry)
            seals.take()
            entries.take()
        if seen is not None:
            seen(checker.entries)
    while (entry := entries.peek()) is not None:
        checker.unsealed(entry)
        entries.take()
        if seen is not None:
            seen(checker.entries)


class _Run:
    """Entries without a seal, in a row: what their seals would be is worked out on the way, because that tells entries
    that have lost their seal from such as never had one. `link` is None where it cannot be known. `noted`: how many odd
    contents had been noted before."""

    def __init__(self, position: int, link: str | None, noted: int = 0) -> None:
        self.start = position
        self.link = link
        self.noted = noted
        self.count = 0
        self.first_id = self.last_id = ""
        self.links: dict[int, str] = {}

    @property
    def position(self) -> int:
        """Where the last of them would be."""
        return self.start + self.count


class Checker:
    """Judges one walk over the record under `prefix`; `finish` gives the report."""

    def __init__(self, chain: Chain, prefix: str, anchors: Iterable[Anchor] = ()) -> None:
        self._chain = chain
        self._findings = Findings()
        self._epochs = EpochCheck(self._findings)
        self._anchors, contrary = by_position(anchors, prefix)
        self._last_anchor = max(self._anchors.values(), key=lambda anchor: anchor.count, default=None)
        for anchor in contrary:
            text = f"two anchors tell different links for position {anchor.count}"
            self._findings.add(Kind.NOT_AS_ANCHORED, anchor.count, entry_id=anchor.entry_id, text=text)
        self._link: str | None = NO_LINK
        self._position = 0
        self._run = _Run(0, NO_LINK)
        self._algorithm = chain.algorithm
        self._keyed = self._unchecked = self._plain = 0
        self._first_id = self._last_id = ""
        self._gone: dict[str, int] = {}  # contents that were sealed and are not where they were, and their positions
        self._odd: list[tuple[str, int, str]] = []  # contents that stand where none such was sealed
        self.entries = 0

    # -- what the walk meets ------------------------------------------------------------------------------------

    def unsealed(self, entry: RawEntry) -> None:
        """An entry without a seal."""
        self._see(entry)
        run = self._run
        content = content_of(entry)
        run.count += 1
        run.first_id, run.last_id = run.first_id or entry.entry_id, entry.entry_id
        if run.link is not None and self._chain.can_check(self._algorithm):
            run.link = self._chain.link(run.link, run.position, entry.entry_id, content, self._algorithm)
            if run.position in self._anchors:
                run.links[run.position] = run.link
        self._note(self._odd, content, 0, entry.entry_id)
        self._epochs.entry(entry, 0)

    def seal(self, seal: Seal, entry: RawEntry | None) -> None:
        """A seal and its entry, which may be gone."""
        if entry is not None:
            self._see(entry)
        if not seal.readable:
            self._findings.add(Kind.NO_SEAL, entry_id=seal.entry_id)
            if entry is not None:  # it stands where the entry's seal has been
                self._position, self._link = self._position + 1, None
                self._run = _Run(self._position, None, len(self._odd))
            return
        self._follows(seal)
        if entry is None:
            self._findings.add(Kind.MISSING, seal.position, entry_id=seal.entry_id)
            self._gone.setdefault(seal.content, seal.position)
        else:
            content = content_of(entry)
            if content != seal.content:
                self._findings.add(Kind.EDITED, seal.position, entry_id=entry.entry_id)
                self._gone.setdefault(seal.content, seal.position)
                self._note(self._odd, content, seal.position, entry.entry_id)
            self._epochs.entry(entry, seal.position)
        if len(self._gone) > _MOST_MOVED:
            del self._gone[next(iter(self._gone))]
        self._position, self._link, self._last_id = seal.position, seal.link, seal.entry_id
        self._run = _Run(self._position, self._link, len(self._odd))

    def shown_apart(self, item: RawEntry, position: int, names: Sequence[str]) -> None:
        """Beside what an exported entry holds stand values that are not made of it."""
        text = f"beside its fields stand other values than they give: {', '.join(names)}"
        self._findings.add(Kind.EDITED, position, entry_id=item.entry_id, text=text[:200])

    def no_stream(self, key: str) -> None:
        """Something else lies where a stream should be."""
        self._findings.add(Kind.FOREIGN, text=f"under {key} lies something that is no stream")

    def no_entry(self, text: str) -> None:
        """Something stands among the entries that is none."""
        self._findings.add(Kind.FOREIGN, text=text[:200])

    def _see(self, entry: RawEntry) -> None:
        self.entries += 1
        self._first_id = self._first_id or entry.entry_id

    @staticmethod
    def _note(odd: list[tuple[str, int, str]], content: str, position: int, entry_id: str) -> None:
        if len(odd) < _MOST_MOVED:
            odd.append((content, position, entry_id))

    # -- the chain ----------------------------------------------------------------------------------------------

    def _follows(self, seal: Seal) -> None:
        """Compares a seal with the one before it, with what stands between, with the anchors and the key."""
        self._between(seal)
        self._count_key(seal)
        checkable = self._chain.can_check(seal.algorithm)
        if not checkable:
            self._unchecked += 1
            self._findings.add(Kind.UNCHECKED, seal.position, entry_id=seal.entry_id)
        elif self._link is not None and seal.position == self._position + 1:
            made = self._chain.link(self._link, seal.position, seal.entry_id, seal.content, seal.algorithm)
            if made != seal.link:
                self._findings.add(Kind.BROKEN, seal.position, entry_id=seal.entry_id)
        anchor = self._anchors.get(seal.position)
        if anchor is not None and anchor.link != seal.link:
            self._findings.add(Kind.NOT_AS_ANCHORED, seal.position, entry_id=seal.entry_id)
        self._algorithm = seal.algorithm

    def _between(self, seal: Seal) -> None:
        """Entries without a seal before this one, and positions that are left out."""
        run, left_out = self._run, seal.position - self._position - 1
        if left_out < 0:
            text = f"it says position {seal.position} behind {self._position}"
            self._findings.add(Kind.BROKEN, seal.position, entry_id=seal.entry_id, text=text)
            self._link = None
        if left_out > 0:
            whole = run.count == left_out and run.link is not None and self._chain.can_check(seal.algorithm)
            if whole and run.link is not None:
                made = self._chain.link(run.link, seal.position, seal.entry_id, seal.content, seal.algorithm)
                whole = made == seal.link
            text = "; the entries stand there as they were sealed" if whole else ""
            first, last = self._position + 1, seal.position - 1
            self._findings.add(Kind.SEALS_MISSING, first, last, text=text, count=left_out)
            if whole:
                del self._odd[run.noted :]
                return
        if run.count:
            self._findings.add(Kind.INSERTED, 0, 0, run.first_id, run.last_id, count=run.count)

    def _count_key(self, seal: Seal) -> None:
        if seal.algorithm == HMAC:
            if not self._keyed and self._plain:
                self._findings.add(Kind.BEFORE_THE_KEY, 1, self._plain, count=self._plain)
            self._keyed += 1
        elif self._keyed:
            self._findings.add(Kind.UNKEYED, seal.position, entry_id=seal.entry_id)
        else:
            self._plain = seal.position

    # -- the report ---------------------------------------------------------------------------------------------

    def removed(self, key: str, count: int) -> None:
        """The stream under `key` says that it has held `count` more than are there."""
        if count > 0:
            self._findings.add(Kind.REMOVED, text=f"{count} more under {key}", count=count)

    def finish(self, now_ms: int) -> Verification:
        """The report. `now_ms`: the server's clock."""
        tail = self._run
        if self._plain and not self._keyed and self._chain.algorithm != PLAIN:
            self._findings.add(Kind.UNKEYED, 1, self._plain, count=self._plain)
        self._compare_end(tail)
        for content, position, entry_id in self._odd:
            was = self._gone.get(content)
            if was is not None and was != position:
                self._findings.add(Kind.REORDERED, position, entry_id=entry_id, text=f"it was sealed as number {was}")
        return Verification(
            entries=self.entries,
            unsealed=tail.count,
            unsealed_ms=max(now_ms - id_parts(tail.first_id)[0], 0) if tail.count else 0,
            position=self._position,
            link=self._link or "",
            first_id=self._first_id,
            last_id=self._last_id,
            keyed=self._keyed,
            unchecked=self._unchecked,
            anchors=len(self._anchors),
            findings=tuple(self._findings.violations),
            notes=tuple(self._findings.notes),
            counts=dict(self._findings.counts),
        )

    def _compare_end(self, tail: _Run) -> None:
        """Anchors beyond the last seal: the end was cut, or only its seals were."""
        last = self._last_anchor
        if last is None or last.count <= self._position:
            return
        beyond = {anchor.count: anchor.link for anchor in self._anchors.values() if anchor.count > self._position}
        if beyond == tail.links:
            text = "; the entries stand there as they were anchored"
            gone = last.count - self._position
            self._findings.add(Kind.SEALS_MISSING, self._position + 1, last.count, text=text, count=gone)
            return
        text = f"{last.count} of them, the last {last.entry_id}; there are {self._position}"
        self._findings.add(Kind.CUT, last.count, entry_id=last.entry_id, text=text)
