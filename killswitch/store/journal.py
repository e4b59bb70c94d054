"""A journal of admitted orders as its gateway sees it: read in order, each entry answered for once.

Invariant: one thread uses it, on a connection of its own that is opened anew after trouble. What lies in the journal
has not been dealt with: writing an outcome, taking the entry out and moving the position on are one step of Redis. It
fails closed: whoever acts under an older token than another gateway's is refused (JournalLost) and changes nothing.
"""

from __future__ import annotations

import re
from types import TracebackType

from killswitch.core.journal import OUTCOMES, JournalEntry, check_journal_name
from killswitch.core.reasons import Code
from killswitch.errors import JournalLost, LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.settings import Settings
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.keys import Keys
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire, connect

__all__ = ["Journal"]

_LOST = re.compile(r"LOST (\d+) ")


class Journal:
    """The journal `name` of the switch that `settings` names.

    Every method may raise StoreUnavailable (no answer; whether a write was done is unknown) or StoreRefused.

    Raises:
        InvalidInput: the name is of another form.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = check_journal_name(name)
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._wire: Wire | None = None
        self._last = "0-0"

    def take(self, token: int) -> str:
        """From now on only `token`, or a higher one, answers for entries; returns the id of the last one dealt with.

        Raises:
            JournalLost: a gateway with a higher token has it.
        """
        position, _ = self._outcome(token)
        self._last = position
        return position

    def entries(self, limit: int = 100) -> list[JournalEntry]:
        """The oldest entries that wait, at most `limit`."""
        found = self._call("XRANGE", self._keys.journal(self.name), "-", "+", "COUNT", limit)
        entries = []
        for item in found if isinstance(found, list) else ():
            texts = [as_text(text) for text in item[1] or ()]
            entries.append(JournalEntry(as_text(item[0]), dict(zip(texts[::2], texts[1::2], strict=False))))
        if entries:
            self._last = entries[-1].entry_id
        return entries

    def wait(self, limit_s: float) -> None:
        """Waits until an entry comes after those seen, at most `limit_s` seconds or half the patience."""
        block_ms = max(1, int(min(limit_s * 1000, self._settings.patience_ms / 2)))
        self._call("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", self._keys.journal(self.name), self._last)

    def answer(self, token: int, entry: JournalEntry, outcome: str, code: str, reason: str) -> bool:
        """Writes what became of `entry` and takes it out. False: that was done before, and nothing was written.

        Raises:
            JournalLost: a gateway with a higher token has the journal.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"{outcome!r} is none of {', '.join(OUTCOMES)}")
        return self._outcome(token, entry.entry_id, entry.fields.get("order_id", ""), outcome, code, reason)[1]

    def now_ms(self) -> int:
        """The server's clock, by which entries are dated: milliseconds since the Unix epoch."""
        match self._call("TIME"):
            case [bytes(seconds), bytes(micros)] if seconds.isdigit() and micros.isdigit():
                return int(seconds) * 1000 + int(micros) // 1000
        raise StoreUnavailable(Code.BAD_ANSWER, "TIME was answered with something else")

    def close(self) -> None:
        """Closes the connection; the next call opens another."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _outcome(self, token: int, *words: str) -> tuple[str, bool]:
        try:
            answer = self._call("FCALL", "ks_outcome", 1, self._keys.state, self.name, token, *words)
        except StoreRefused as error:
            if found := _LOST.match(error.reason):
                raise JournalLost(self.name, int(found[1])) from None
            raise
        match answer:
            case [int(version), bytes(position), int(written)] if version == LIBRARY_VERSION:
                return position.decode(), written == 1
        raise LibraryMissing(
            Code.LIBRARY_MISMATCH, "the function library answered in another form: run `killswitch init` again"
        )

    def _call(self, *words: str | int) -> object:
        if self._wire is None:
            self._wire = connect(self._settings.endpoint, self._settings.patience_ms / 1000, "killswitch-journal")
        try:
            return self._wire.call(*words)
        except StoreUnavailable:
            self.close()
            raise
