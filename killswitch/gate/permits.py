"""Permits: orders in flight, announced before they are checked, so that none slips past an acknowledgement.

Invariant: announce, then check, then send, then release (P7). Any thread announces and releases; the watcher counts,
always after it has closed the gate. Either the count sees the permit, or the check that follows the announcement sees
the closed gate. A permit leaves the book when its block ends, however it ends; should even that be skipped
(an interrupt between two instructions, a thread that dies), it leaves when the permit object is destroyed. It fails
closed: a permit that is still held keeps the worker from being called quiet.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial

__all__ = ["PermitBook"]


class PermitBook:
    """The permits held now. Adding and removing a dictionary key is atomic, so there is no lock in the order path."""

    __slots__ = ("_held", "draining", "new_key", "on_drained")

    def __init__(self) -> None:
        self._held: dict[int, tuple[str, int]] = {}  # the order, and the thread that sends it
        self.new_key: Callable[[], int] = itertools.count(1).__next__
        """A key for one permit. Taken before the announcement, so that no announced order is without an owner."""
        self.draining = False
        self.on_drained: Callable[[], None] = lambda: None

    def undoing(self, key: int) -> Callable[[], object]:
        """What takes `key` out when its permit is destroyed: no Python runs in it, see `Permit.__del__`. A watcher that
        waits for the last permit is not told of it, and looks for itself."""
        return partial(self._held.pop, key, None)

    def announce(self, key: int, order_id: str) -> bool:
        """Enters an order under `key`; False, and nothing else, where one is held under it. One step."""
        entry = (order_id, threading.get_ident())
        return self._held.setdefault(key, entry) is entry

    def release(self, key: int) -> None:
        """Takes the order out; harmless when it is out already. Tells the watcher when it was the last one awaited."""
        self._held.pop(key, None)
        if self.draining and not self._held:
            self.draining = False
            self.on_drained()

    def count(self) -> int:
        """How many are held."""
        return len(self._held)

    def orders(self, limit: int = 16) -> list[str]:
        """Names of held orders, the oldest first, at most `limit`: what an operator reconciles by hand when a worker is
        lost."""
        return [name for name, _ in list(self._held.values()) if name][:limit]

    def forget_other_threads(self) -> None:
        """In the child of a fork only the forking thread lives on: what others hold is the parent's to return."""
        me = threading.get_ident()
        for key, held in list(self._held.items()):
            if held[1] != me:
                del self._held[key]  # not a new dictionary: what `undoing` made is of this one
