"""Whatever ends a send, also out of nowhere: its permit comes back, or it is shown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable, Generator, Iterator

import pytest

from killswitch import Agent, Blocked, Code, Verdict, clock
from tests.faults.observe import row
from tests.faults.prop import prop
from tests.faults.strike import strike
from tests.faults.trader import PATIENCE_S, TIMING
from tests.faults.world import World
from tests.support.agents import closes_with, fast_settings, hold_permit, open_epoch, release
from tests.support.waiting import eventually

_BLOWS = 300


@pytest.fixture
def agent(bare: World) -> Iterator[Agent]:
    """An agent of this process whose gate is open."""
    bare.permit()
    with Agent(fast_settings(bare.url, **TIMING), worker_id="in-process") as made:
        open_epoch(made)
        yield made


Use = Callable[[Agent], None]


def _granted(use: Use) -> Use:
    """The same, again as long as the gate lapses between looking at it and sending."""

    def again(agent: Agent) -> None:
        while True:
            try:
                return use(agent)
            except Blocked:
                clock.sleep(0.001)

    return again


def _raising(error: BaseException) -> Use:
    def use(agent: Agent) -> None:
        with contextlib.suppress(type(error)), agent.gate.order(open_epoch(agent)):
            raise error

    return _granted(use)


def _sending(agent: Agent) -> Generator[int, None, None]:
    with agent.gate.order(open_epoch(agent)) as permit:
        yield permit.epoch


def _closed_generator(agent: Agent) -> None:
    orders = _sending(agent)
    next(orders)
    orders.close()


def _forgotten_generator(agent: Agent) -> None:
    orders = _sending(agent)
    next(orders)
    del orders
    gc.collect()


def _cancelled_task(agent: Agent) -> None:
    async def send(entered: asyncio.Event) -> None:
        while not entered.is_set():
            with contextlib.suppress(Blocked):  # the gate lapsed between looking at it and sending
                async with agent.gate.order(open_epoch(agent)):
                    entered.set()
                    await asyncio.Event().wait()

    async def cancel() -> None:
        entered = asyncio.Event()
        task = asyncio.create_task(send(entered))
        await asyncio.wait_for(entered.wait(), PATIENCE_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


def _forgotten_permit(agent: Agent) -> None:
    hold_permit(agent)  # and the caller drops it
    gc.collect()


def _dying_thread(agent: Agent) -> None:
    """A thread that is struck again and again while it sends, wherever it is, until it is dead."""
    entered = threading.Event()

    def send() -> None:
        while not entered.is_set():
            with contextlib.suppress(SystemExit, Blocked), agent.gate.order(open_epoch(agent)):
                entered.set()
                while True:
                    clock.sleep(0.001)

    thread = threading.Thread(target=send)
    thread.start()
    assert entered.wait(PATIENCE_S)
    strike(thread, SystemExit)
    thread.join()


def _storm(agent: Agent) -> None:
    """A thread that sends without pause is struck hundreds of times, at every instruction of the order path."""
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            with contextlib.suppress(_Blow, Blocked):
                epoch = agent.gate.signal()
                while not over.is_set():
                    with agent.gate.order(epoch):
                        pass

    def unstoppable() -> None:
        while not over.is_set():
            with contextlib.suppress(_Blow):
                send()

    thread = threading.Thread(target=unstoppable)
    thread.start()
    for _ in range(_BLOWS):
        strike(thread, _Blow)
        clock.sleep(0.0005)
    over.set()
    while thread.is_alive():
        with contextlib.suppress(Exception):
            thread.join(0.01)
    gc.collect()


class _Blow(Exception):
    """Out of nowhere."""


USES: dict[str, Use] = {
    "an exception": _raising(ValueError()),
    "SystemExit": _raising(SystemExit()),
    "KeyboardInterrupt": _raising(KeyboardInterrupt()),
    "GeneratorExit": _raising(GeneratorExit()),
    "a closed generator": _granted(_closed_generator),
    "a forgotten generator": _granted(_forgotten_generator),
    "a cancelled task": _cancelled_task,
    "a permit that nobody returned": _forgotten_permit,
    "the death of the thread": _dying_thread,
    "a storm of exceptions": _storm,
}


@prop("S15", "P6", "P7", "S8")
@pytest.mark.parametrize("use", USES)
def test_no_end_of_a_send_leaks_its_permit(bare: World, agent: Agent, use: str) -> None:
    """However the block is left, the permit is back, and the proof is QUIET."""
    USES[use](agent)
    assert agent.in_flight == 0
    outcome = bare.control.engage("stop", wait_s=PATIENCE_S)
    assert outcome.verdict is Verdict.QUIET
    row(bare, f"permit left by {use}", "S15 P6 S8", note=f"QUIET after {outcome.waited_ms:.1f} ms")


@prop("S15", "P6", "L2")
def test_a_permit_that_hangs_is_shown_and_blocks_quiet(bare: World, agent: Agent) -> None:
    """A send that never ends is an order in flight: named to the operator, and nothing is called QUIET or FENCED."""
    permit = hold_permit(agent, "c-77")
    try:
        eventually(lambda: _shown(bare, agent) == 1, timeout_s=PATIENCE_S, why="its row tells of the order")
        begun = clock.now_ns()
        outcome = bare.control.engage("stop", wait_s=3.0)
        waited_ns = clock.now_ns() - begun
        assert outcome.verdict is Verdict.UNCERTAIN
        assert [(m.in_flight, m.orders) for m in outcome.pending] == [(1, ("c-77",))]
        closes_with(agent, Code.ENGAGED)
        timed_ms = {"L2": (waited_ns / 1e6, 4000.0)}
        note = f"UNCERTAIN after {waited_ns / 1e6:.0f} ms, names its order"
        row(bare, "permit that hangs", "S15 P6 L2", timed_ms=timed_ms, note=note)
    finally:
        release(permit)
    eventually(
        lambda: bare.control.engage("again", wait_s=PATIENCE_S).verdict is Verdict.QUIET, why="the proof comes after it"
    )


def _shown(world: World, agent: Agent) -> int:
    """Orders in flight of this agent, as its row tells."""
    return sum(m.in_flight for m in world.control.status().members if m.worker_id == agent.worker_id)


@prop("P6", "S15", "L3")
def test_a_permit_that_is_lost_after_the_stop_is_noticed_before_the_next_beat(bare: World) -> None:
    """Nobody gives it back, so nobody tells the watcher; and the proof does not wait a minute for it."""
    bare.permit()
    with Agent(fast_settings(bare.url, **{**TIMING, "beat_ms": 60_000}), worker_id="in-process") as agent:
        permit = hold_permit(agent, "lost")
        bare.engage()
        eventually(lambda: _in_flight(bare) == 1, why="its row tells of the order")
        del permit
        gc.collect()
        eventually(lambda: _in_flight(bare) == 0, why="its row tells that there is none")
        assert bare.engage(wait_s=PATIENCE_S).verdict is Verdict.QUIET


def _in_flight(world: World) -> int:
    return sum(member.in_flight for member in world.control.status().members)
