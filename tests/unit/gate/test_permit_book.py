"""The book of permits: what it counts, whom it tells, what it forgets."""

from __future__ import annotations

import threading

from killswitch.gate.permits import PermitBook


def test_last_release_is_told_once_while_draining() -> None:
    """The watcher hears of the last permit only, only when it waits for it, and only once."""
    book = PermitBook()
    told: list[int] = []
    book.on_drained = lambda: told.append(book.count())
    first, second = book.new_key(), book.new_key()
    assert first != second
    book.announce(first, "a")
    book.announce(second, "")
    book.release(first)
    assert told == [], "nobody waits"
    book.announce(first, "a")
    book.draining = True
    book.release(first)
    assert told == [], "one is still held"
    book.release(second)
    book.release(second)
    assert told == [0]


def test_one_key_is_held_once() -> None:
    """Of two threads that enter one permit the second is told so, and takes nothing from the first."""
    book = PermitBook()
    key = book.new_key()
    assert book.announce(key, "first")
    assert not book.announce(key, "second")
    assert book.orders() == ["first"]
    book.release(key)
    assert book.announce(key, "again")


def test_orders_named_to_the_operator_are_the_oldest_and_bounded() -> None:
    """A flood of orders in flight does not make a beat grow without limit, and hides no order that hangs."""
    book = PermitBook()
    for _ in range(50):
        key = book.new_key()
        book.announce(key, f"c-{key}" if key % 2 else "")
    assert book.orders() == [f"c-{number}" for number in range(1, 32, 2)]
    assert len(book.orders(limit=50)) == 25


def test_child_of_a_fork_forgets_what_other_threads_hold_and_later_also_what_is_lost() -> None:
    """What a thread that is not there holds is not awaited for ever; the book goes on working."""
    book = PermitBook()
    mine, theirs = book.new_key(), book.new_key()
    lost = book.undoing(mine)
    book.announce(mine, "mine")
    other = threading.Thread(target=book.announce, args=(theirs, "theirs"))
    other.start()
    other.join()
    book.forget_other_threads()
    assert book.orders() == ["mine"]
    lost()
    assert book.count() == 0
    lost()
