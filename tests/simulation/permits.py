"""The set of held permits, each touch of which is a point at which a thread may be held up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from weakref import ref

from killswitch.gate.permits import InFlight, PermitBook
from tests.simulation.kernel import Kernel

__all__ = ["count", "make_pausing"]


def make_pausing(book: PermitBook, kernel: Kernel, on_release: Callable[[str], None]) -> None:
    """Puts such a set into `book`, which holds nothing yet. `on_release` is told each order that is given back."""
    held = book._held = _Held(kernel, on_release)
    book._forget = held.discard


def count(book: PermitBook) -> int:
    """How many are held, without a pause."""
    return set.__len__(book._held)


class _Held(set[ref[InFlight]]):
    """Stands for the set of held permits: each touch of it is a point at which a thread may be held up."""

    def __init__(self, kernel: Kernel, on_release: Callable[[str], None]) -> None:
        super().__init__()
        self._kernel = kernel
        self._on_release = on_release

    def add(self, found: ref[InFlight]) -> None:
        self._kernel.point("before announcing")
        super().add(found)
        self._kernel.point("announced")

    def discard(self, found: object) -> None:
        permit = found() if isinstance(found, ref) else None
        if permit is None or found not in self:
            super().discard(found)  # also from a destructor, which runs anywhere and must not wait
            return
        self._kernel.point("before release")
        super().discard(found)
        self._on_release(permit.order_id)
        self._kernel.point("released")

    def __len__(self) -> int:
        self._kernel.point("before counting")
        found = super().__len__()
        self._kernel.point("counted")
        return found

    def __iter__(self) -> Iterator[ref[InFlight]]:
        return iter(list(super().__iter__()))  # what lists it does so in one step
