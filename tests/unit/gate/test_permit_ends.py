"""Permits at an end that is no end of a block: interrupted, collected, abandoned."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
from collections.abc import Generator

import pytest

from killswitch.gate.gate import Gate, Permit
from tests.support.fledglings import ROOT


def test_permit_that_was_interrupted_while_it_was_made_leaves_nothing(gate: Gate) -> None:
    """Half a permit was never announced, and its end is no error of its own."""
    made = Permit.__new__(Permit)
    del made
    gc.collect()
    assert gate.book.count() == 0


def test_order_is_counted_while_the_garbage_collector_unwinds_its_block(gate: Gate) -> None:
    """A generator that nobody closed goes on inside its block when it is collected: it may send, and is not quiet."""
    seen: list[int] = []

    def send() -> Generator[None, None, None]:
        with gate.order(1):
            try:
                yield
            finally:
                seen.append(gate.book.count())

    orders = send()
    next(orders)
    circle: list[object] = [orders]
    circle.append(circle)
    del orders, circle
    gc.collect()
    assert seen == [1]
    assert gate.book.count() == 0


def test_order_is_counted_while_a_task_that_nobody_awaits_is_unwound(gate: Gate) -> None:
    """The same of a task that is collected while it is pending."""
    seen: list[int] = []

    async def send(forever: asyncio.Future[None]) -> None:
        async with gate.order(1):
            try:
                await forever
            finally:
                seen.append(gate.book.count())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending!"
        task = loop.create_task(send(loop.create_future()))
        del task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(main())
    assert seen == [1]
    assert gate.book.count() == 0


_INTERRUPTED = """
import signal
from tests.unit.gate.conftest import open_picture
from killswitch.gate.gate import Gate
from killswitch.gate.readiness import make_readiness

class Interrupt(Exception):
    pass

raised = caught = 0

def interrupt(*_):
    global raised
    raised += 1
    raise Interrupt

def send():
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005)
    while raised == caught:
        with gate.order(1):
            pass

gate = Gate(make_readiness())
gate.show(open_picture())
signal.signal(signal.SIGVTALRM, interrupt)
while caught < 200:
    try:
        send()
        break  # it was raised, and nobody heard of it
    except Interrupt:
        caught += 1
print(caught, raised, gate.book.count())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer that signals")
def test_no_interrupt_is_lost_in_the_order_path() -> None:
    """Whichever instruction of the order path it meets, an interrupt reaches the loop that sends."""
    # In a process of its own: what measures coverage takes locks between two instructions, and would keep one for ever.
    command = [sys.executable, "-c", _INTERRUPTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("200 200 0\n", "")
