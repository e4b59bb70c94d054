"""The book of permits: what it counts, whom it tells, what it forgets."""

from __future__ import annotations

import gc
import threading

from killswitch.gate.permits import PermitBook


class Order:
    """What the book needs of a permit."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        self.thread = threading.get_ident()


def test_last_release_is_told_once_while_draining() -> None:
    """The watcher hears of the last permit only, only when it waits for it, and only once."""
    book = PermitBook()
    told: list[int] = []
    book.on_drained = lambda: told.append(book.count())
    first, second = Order("a"), Order("")
    book.announce(first)
    book.announce(second)
    book.release(first)
    assert told == [], "nobody waits"
    book.announce(first)
    book.draining = True
    book.release(first)
    assert told == [], "one is still held"
    assert book.holds(second)
    book.release(second)
    book.release(second)
    assert told == [0]


def test_orders_named_to_the_operator_are_bounded() -> None:
    """A flood of orders in flight does not make a beat grow without limit; what has no name takes nobody's place."""
    book = PermitBook()
    orders = [Order(f"c-{number}" if number % 2 else "") for number in range(50)]
    for order in orders:
        book.announce(order)
    names = {order.order_id for order in orders if order.order_id}
    assert len(book.orders()) == len(set(book.orders()) & names) == 16
    assert set(book.orders(limit=50)) == names


def test_child_of_a_fork_forgets_what_other_threads_hold_and_later_also_what_is_lost() -> None:
    """What a thread that is not there holds is not awaited for ever; the book goes on working."""
    book = PermitBook()
    mine, theirs = Order("mine"), Order("theirs")
    theirs.thread += 1
    for order in (mine, theirs):
        book.announce(order)
    book.forget_other_threads()
    assert book.orders() == ["mine"]
    del order, mine
    gc.collect()
    assert book.count() == 0
