"""Permits: announced before the check, and back in the book's hands however the block ends."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Generator

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.core.view import Picture
from killswitch.errors import Blocked
from killswitch.gate.gate import Gate, Permit
from killswitch.gate.readiness import Readiness


class Boom(BaseException):
    """Not an Exception: nobody's `except Exception` catches it."""


@pytest.mark.parametrize(
    "error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, Boom, asyncio.CancelledError]
)
def test_permit_returns_under_every_exception(gate: Gate, error: type[BaseException]) -> None:
    """Exceptions of the block pass on and leave no permit behind."""

    def send() -> None:
        with gate.order(1) as permit:
            assert gate.book.count() == 1
            assert permit.order_id == ""
            raise error

    with pytest.raises(error):
        send()
    assert gate.book.count() == 0


def test_blocked_order_leaves_no_permit(gate: Gate) -> None:
    """A check that refuses takes the announcement back."""
    gate.show(Picture(Mode.ENGAGED, 2, Code.ENGAGED, "stopped"))
    with pytest.raises(Blocked, match="engaged"), gate.order(1):
        raise AssertionError("entered a closed gate")
    assert gate.book.count() == 0


def test_order_is_announced_before_it_is_checked(gate: Gate) -> None:
    """At the moment of the check the permit counts: either the count sees it or the check sees the closed gate."""
    counts: list[int] = []

    class Spy:
        ready: Callable[[int, int], object] = staticmethod(lambda *_: counts.append(gate.book.count()))

        def watch(self, fd: int) -> None: ...
        def forget(self, fd: int) -> None: ...
        def close(self) -> None: ...

    spy: Readiness = Spy()
    gate.renew_readiness(spy)
    with gate.order(1):
        pass
    assert counts == [1]


def test_check_that_fails_unexpectedly_leaves_no_permit(gate: Gate) -> None:
    """Also an interrupt inside the check takes the announcement back."""

    class Broken:
        def _raise(self, timeout: int, limit: int) -> object:
            raise KeyboardInterrupt

        def __init__(self) -> None:
            self.ready: Callable[[int, int], object] = self._raise

        def watch(self, fd: int) -> None: ...
        def forget(self, fd: int) -> None: ...
        def close(self) -> None: ...

    gate.renew_readiness(Broken())
    permit = gate.order(1)  # kept, so that it is not its end of life that gives the permit back
    with pytest.raises(KeyboardInterrupt):
        permit.__enter__()
    assert gate.book.count() == 0


def test_permit_entered_twice_is_refused_and_the_first_stays_held(gate: Gate) -> None:
    """One order, one permit: the second entry raises and releases nothing."""
    permit = gate.order(1)
    with permit:
        with pytest.raises(RuntimeError, match="in use"), permit:
            raise AssertionError("entered twice")
        assert gate.book.count() == 1
    assert gate.book.count() == 0


def test_permit_may_be_entered_again_after_it_was_left_and_is_checked_again(gate: Gate) -> None:
    """Reuse is no way round the check."""
    permit = gate.order(1)
    with permit:
        pass
    with permit:
        assert gate.book.count() == 1
    gate.show(Picture(Mode.ENGAGED, 2, Code.ENGAGED, "stopped"))
    with pytest.raises(Blocked, match="engaged"), permit:
        raise AssertionError("entered a closed gate")
    assert gate.book.count() == 0


def test_order_that_was_never_entered_holds_nothing(gate: Gate) -> None:
    """Asking for a permit is not announcing."""
    permit = gate.order(1)
    assert gate.book.count() == 0
    del permit
    assert gate.book.count() == 0


def test_generator_closed_inside_the_block_returns_the_permit(gate: Gate) -> None:
    """close() of a generator that holds a permit gives it back, and so does its collection."""

    def strategy() -> Generator[int, None, None]:
        with gate.order(1):
            yield 1

    running = strategy()
    next(running)
    assert gate.book.count() == 1
    running.close()
    assert gate.book.count() == 0
    dropped = strategy()
    next(dropped)
    del dropped
    gc.collect()
    assert gate.book.count() == 0


def test_permit_that_was_entered_by_hand_and_lost_is_returned_when_it_is_destroyed(gate: Gate) -> None:
    """What no block ever leaves is released with the object."""
    permit = gate.order(1, order_id="lost")
    permit.__enter__()
    assert gate.book.orders() == ["lost"]
    del permit
    gc.collect()
    assert gate.book.count() == 0


def test_cancelled_task_returns_its_permit(gate: Gate) -> None:
    """`async with` under cancellation leaves nothing behind, and a blocked one raises Blocked."""

    async def send(entered: asyncio.Event) -> None:
        async with gate.order(1) as permit:
            assert isinstance(permit, Permit)
            entered.set()
            await asyncio.Event().wait()

    async def main() -> None:
        entered = asyncio.Event()
        task = asyncio.create_task(send(entered))
        await entered.wait()
        assert gate.book.count() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gate.book.count() == 0
        gate.show(Picture(Mode.ENGAGED, 2, Code.ENGAGED, "stopped"))
        with pytest.raises(Blocked, match="engaged"):
            await send(entered)
        assert gate.book.count() == 0

    asyncio.run(main())


def test_async_generator_closed_inside_the_block_returns_the_permit(gate: Gate) -> None:
    """aclose() gives the permit back."""

    async def strategy() -> AsyncGenerator[int, None]:
        async with gate.order(1):
            yield 1

    async def main() -> None:
        running = strategy()
        await anext(running)
        assert gate.book.count() == 1
        await running.aclose()
        assert gate.book.count() == 0

    asyncio.run(main())


def test_threads_announce_and_release_without_losing_count(gate: Gate) -> None:
    """Many threads at once leave the book empty, and every one of them was counted while it held."""
    low: list[int] = []

    def trade() -> None:
        for _ in range(300):
            with gate.order(1):
                if gate.book.count() < 1:
                    low.append(1)

    threads = [threading.Thread(target=trade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not low
    assert gate.book.count() == 0
