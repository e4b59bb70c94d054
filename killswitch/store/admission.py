"""The admission line of a worker: an order enters a journal if trading is permitted in that very moment of Redis.

Invariant: one thread uses it, on a connection of its own, and one question is under way at most. Nothing is repeated
here: where no answer came the line breaks and says that the order may or may not be in the journal. Every other error
means that it is not. It fails closed: an answer of another form is no admission.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from killswitch.core.endpoint import Endpoint
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import AdmissionUnknown, Blocked, OrderConflict, StoreRefused, StoreUnavailable
from killswitch.store.functions import LIBRARY_VERSION
from killswitch.store.switch import as_text
from killswitch.store.wire import Wire, connect

__all__ = ["AdmissionLine", "open_admission"]

_BLOCKED = re.compile(r"BLOCKED (\w+) (SAFE|REDUCING|ENGAGED) (\d{1,16}) (.*)", re.S)
_CONFLICT = re.compile(r"CONFLICT (\d+-\d+) ")
_CODES = {str(code): code for code in Code}
_ENTRY = re.compile(r"\d+-\d+")
_PLACE = " script: "  # some servers add where in the library an error was raised


class AdmissionLine:
    """Asks for one journal under `keys`, the switch first. `entries` is the key of the journal's stream."""

    def __init__(self, wire: Wire, keys: Sequence[str], journal: str, entries: str) -> None:
        self._wire = wire
        self._keys = tuple(keys)
        self._journal = journal
        self._entries = entries

    def admit(self, worker_id: str, epoch: int, reduces: bool, order_id: str, order: str) -> str:
        """Asks once; the id of the order's entry in the journal.

        Raises:
            Blocked: refused, and why; the order is not in the journal.
            OrderConflict: another order was admitted under this id; this one is not in the journal.
            AdmissionUnknown: no answer, or none that can be read.
        """
        words: tuple[str | int, ...] = (self._journal, worker_id, epoch, int(reduces), order_id, order)
        try:
            answer = self._wire.call("FCALL", "ks_admit", len(self._keys), *self._keys, *words)
        except StoreRefused as error:
            raise _refused(error, epoch) from None
        except StoreUnavailable as error:
            raise AdmissionUnknown(order_id, error.code, error.reason) from None
        match answer:
            case [int(version), bytes(entry), int()] if version == LIBRARY_VERSION and _ENTRY.fullmatch(as_text(entry)):
                return entry.decode()
        raise AdmissionUnknown(order_id, Code.BAD_ANSWER, f"the answer {answer!r:.80} is not of the agreed form")

    def is_waiting(self, entry_id: str) -> bool:
        """Whether the entry is still in the journal, so no gateway has dealt with it.

        Raises:
            StoreUnavailable, StoreRefused: Redis does not say.
        """
        found = self._wire.call("XRANGE", self._entries, entry_id, entry_id)
        return isinstance(found, list) and len(found) > 0

    def ended(self) -> bool:
        """Whether the line is known to be of no use: asked before a question, so that none is lost on a dead one."""
        try:
            self._wire.receive()
        except StoreUnavailable:
            return True
        return False

    def close(self) -> None:
        """Closes this process's end, without shutdown."""
        self._wire.close()


def _refused(error: StoreRefused, epoch: int) -> Blocked | OrderConflict:
    if found := _BLOCKED.match(error.reason):
        code, mode, at, reason = found.groups()
        known = _CODES.get(code)
        if known is None:
            return Blocked(Code.BAD_ANSWER, Mode.ENGAGED, epoch, f"refused with the unknown code {code}: {reason}")
        return Blocked(known, Mode(mode), int(at), reason.split(_PLACE)[0])
    if found := _CONFLICT.match(error.reason):
        return OrderConflict(found[1])
    return Blocked(error.code, Mode.ENGAGED, epoch, error.reason)


def open_admission(
    endpoint: Endpoint, keys: Sequence[str], journal: str, entries: str, timeout_s: float
) -> AdmissionLine:
    """Connects. Raises StoreUnavailable or StoreRefused; nothing was asked then."""
    return AdmissionLine(connect(endpoint, timeout_s, "killswitch-admit"), keys, journal, entries)
