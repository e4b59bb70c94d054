"""Admission: gate 2 asked of Redis itself. An order enters a journal in the one step that also finds trading permitted.

Invariant: it only ever forbids more than the gate does. It is asked with a permit held, so an order on its way into the
journal is counted as in flight; it has a connection of its own, never the watcher's; and what Redis did not confirm is
either refused (Blocked) or called unknown, never passed. One question at a time: threads that share it wait for each
other, and a child of a fork opens a connection of its own.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from killswitch.core.journal import check_journal_name
from killswitch.core.modes import InvalidInput, Mode
from killswitch.errors import Blocked, StoreRefused, StoreUnavailable
from killswitch.gate.agent import Agent
from killswitch.store.admission import AdmissionLine, open_admission
from killswitch.store.keys import Keys

__all__ = ["Admission"]

_MAX_ID = 256
_MAX_ORDER = 16_384


class _Epoch(Protocol):
    @property
    def epoch(self) -> int: ...


class Admission:
    """Admits orders of `agent`'s process into the journal `journal`, which a gateway forwards to the venue.

    Raises:
        InvalidInput: the journal's name is of another form.
    """

    def __init__(self, agent: Agent, journal: str = "orders") -> None:
        self.journal = check_journal_name(journal)
        self._agent = agent
        keys = Keys(agent.settings.prefix)
        self._keys = (keys.state, *(keys.scope_state(scope) for scope in agent.scopes))
        self._entries = keys.journal(journal)
        self._lock = threading.Lock()
        self._line: AdmissionLine | None = None
        _ADMISSIONS.add(self)

    def admit(self, permit: _Epoch, order_id: str, order: Mapping[str, object], reduces: bool = False) -> str:
        """Admits one order; the id of its entry. Called inside `with agent.gate.order(...) as permit:`.

        `order_id` is the order's client id: the same order under the same id is admitted once, however often it is
        asked for within ten minutes, so after AdmissionUnknown it may be asked for again. Waits for one answer of
        Redis, at most `patience_ms` (and as long again for each step of connecting).

        Raises:
            Blocked: refused; the order is not in the journal.
            AdmissionUnknown: no answer; the order may or may not be in the journal.
            OrderConflict: another order was admitted under this id; this one is not in the journal.
            InvalidInput: the id or the order cannot be written down; nothing was asked.
            RuntimeError: no permit is held.
        """
        text = _written(order_id, order)
        if not self._agent.in_flight:
            raise RuntimeError("admit an order inside `with agent.gate.order(...) as permit:`")
        with self._lock:
            try:
                line = self._connected()
            except (StoreUnavailable, StoreRefused) as error:
                raise Blocked(error.code, Mode.ENGAGED, permit.epoch, error.reason) from None
            return line.admit(self._agent.worker_id, permit.epoch, reduces, order_id, text)

    def is_waiting(self, entry_id: str) -> bool:
        """Whether the entry is still in the journal: no gateway has said yet what became of it.

        Raises:
            StoreUnavailable, StoreRefused: Redis does not say.
        """
        with self._lock:
            return self._connected().is_waiting(entry_id)

    def close(self) -> None:
        """Closes the connection; the next question opens another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self) -> AdmissionLine:
        if self._line is None or self._line.ended():
            self._drop()
            settings = self._agent.settings
            timeout_s = settings.patience_ms / 1000
            self._line = open_admission(settings.endpoint, self._keys, self.journal, self._entries, timeout_s)
        return self._line

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # a thread that is not here any more may hold the parent's
        self._drop()


def _written(order_id: str, order: Mapping[str, object]) -> str:
    size = len(order_id.encode(errors="replace"))
    if not order_id.isprintable() or not 0 < size <= _MAX_ID:
        raise InvalidInput(f"the client order id {order_id[:80]!r} is not 1 to {_MAX_ID} printable bytes")
    try:
        # In one order of names, so that a repetition is the same text.
        text = json.dumps(dict(order), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"order {order_id} cannot be written as JSON: {error}") from None
    if len(text) > _MAX_ORDER:
        raise InvalidInput(f"order {order_id} has {len(text)} bytes as JSON, at most {_MAX_ORDER} are admitted")
    return text


_ADMISSIONS: weakref.WeakSet[Admission] = weakref.WeakSet()


def _after_fork() -> None:
    for admission in list(_ADMISSIONS):
        admission._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
