"""Permits: orders in flight, announced before they are checked, so that none slips past an acknowledgement.

Invariant: announce, then check, then send, then release (P7). Any thread announces and releases; the watcher counts,
always after it has closed the gate. Either the count sees the permit, or the check that follows the announcement sees
the closed gate. A permit leaves the book when its block ends, however it ends; should even that be skipped
(an interrupt between two instructions, a thread that dies), it leaves when the permit object is destroyed: the book
holds it weakly. It fails closed: a permit that is still held keeps the worker from being called quiet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol
from weakref import ref

__all__ = ["InFlight", "PermitBook"]


class InFlight(Protocol):
    """What the book holds: a permit. It is told from others by identity."""

    order_id: str
    thread: int
    """Identifier of the thread that sends it."""


class PermitBook:
    """The permits held now. Adding to a set and taking from it is atomic, so there is no lock in the order path."""

    __slots__ = ("_forget", "_held", "draining", "on_drained")

    def __init__(self) -> None:
        self._held: set[ref[InFlight]] = set()
        # Not a `__del__` of the permit: an interrupt that met that Python code, as one in twenty did in a busy loop,
        # would be lost, Ctrl-C and time limits with it. What the interpreter calls here has no Python in it. A watcher
        # that waits for the last permit is not told of this one; it counts again at its next beat.
        self._forget = self._held.discard
        self.draining = False
        self.on_drained: Callable[[], None] = lambda: None

    def announce(self, permit: InFlight) -> None:
        """Enters an order."""
        # One expression: a reference that lived before it is in the set could outlive its permit, and complain.
        self._held.add(ref(permit, self._forget))

    def holds(self, permit: InFlight) -> bool:
        """Whether `permit` is held."""
        return ref(permit) in self._held

    def release(self, permit: InFlight) -> None:
        """Takes the order out; harmless when it is out already. Tells the watcher when it was the last one awaited."""
        self._held.discard(ref(permit))
        if self.draining and not self._held:
            self.draining = False
            self.on_drained()

    def count(self) -> int:
        """How many are held."""
        return len(self._held)

    def orders(self, limit: int = 16) -> list[str]:
        """Names of held orders, at most `limit`: what an operator reconciles by hand when a worker is lost."""
        held = (found() for found in list(self._held))
        return [order.order_id for order in held if order is not None and order.order_id][:limit]

    def forget_other_threads(self) -> None:
        """In the child of a fork only the forking thread lives on: what others hold is the parent's to return."""
        me = threading.get_ident()
        for found in list(self._held):
            order = found()
            if order is None or order.thread != me:
                self._held.discard(found)  # not a new set: `_forget` is of this one
