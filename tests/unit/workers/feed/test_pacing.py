"""Speed: ticks are due when as much time has passed as when they were recorded, divided by the speed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.workers.doubles import chunked, ticks_at
from workers.domain import Tick
from workers.feed import FeedError, pacing, parse_speed
from workers.feed.base import BATCH
from workers.feed.pacing import MAX_GAP_S, Speed, paced

SECOND = 1_000_000_000


class Clock:
    """A clock that a wait moves on by exactly what was asked for."""

    def __init__(self, *, stop_at_s: float = float("inf")) -> None:
        self.now_ns = 7 * SECOND
        self.stop_at_s = stop_at_s

    def __call__(self) -> int:
        return self.now_ns

    async def wait(self, stop: asyncio.Event, seconds: float) -> bool:
        self.now_ns += round(seconds * SECOND)
        if (self.now_ns - 7 * SECOND) / SECOND >= self.stop_at_s:
            stop.set()
        return stop.is_set()


def replay(
    monkeypatch: pytest.MonkeyPatch, ticks: Sequence[Tick], speed: Speed, clock: Clock
) -> list[tuple[float, int]]:
    """When (seconds of the clock) each batch came, and how many ticks it had."""
    monkeypatch.setattr(pacing, "_stopped_within", clock.wait)

    async def run() -> list[tuple[float, int]]:
        stop = asyncio.Event()
        started = clock()
        return [
            ((clock() - started) / SECOND, len(batch))
            async for batch in paced(chunked(ticks, 3), speed, stop, clock=clock)
        ]

    return asyncio.run(run())


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, [0, 1, 2, 3, 4]), (10.0, [0, 0.1, 0.2, 0.3, 0.4])])
def test_ticks_come_at_the_recorded_pace(monkeypatch: pytest.MonkeyPatch, speed: float, seconds: list[float]) -> None:
    """Speed 1 as recorded, speed 10 ten times as fast, each tick when it is due and not with its neighbours."""
    found = replay(monkeypatch, ticks_at(1, 2, 3, 4, 5), speed, Clock())
    assert [due for due, _ in found] == pytest.approx(seconds, abs=1e-6)
    assert [size for _, size in found] == [1] * len(seconds)


def test_ticks_that_are_due_together_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is not slowed down to one tick a turn, yet a batch stays bounded."""
    burst = [tick._replace(time_ns=0) for tick in ticks_at(*[1.0] * (2 * BATCH + 5))]
    found = replay(monkeypatch, burst, 1.0, Clock())
    assert [size for _, size in found] == [BATCH, BATCH, 5]


def test_a_long_gap_in_the_record_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weekend between two files does not stop the replay for two days."""
    first, second = ticks_at(1, 2)
    far = second._replace(time_ns=second.time_ns + (MAX_GAP_S + 1) * SECOND)
    after = far._replace(time_ns=far.time_ns + SECOND)
    found = replay(monkeypatch, [first, far, after], 1.0, Clock())
    assert sum(size for _, size in found) == 3
    assert found[-1][0] == pytest.approx(1.0)


def test_a_step_back_between_files_starts_a_new_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next file may be older than the last one."""
    first, second = ticks_at(1, 2)
    found = replay(monkeypatch, [second, first, second], 1.0, Clock())
    assert sum(size for _, size in found) == 3
    assert found[-1][0] == pytest.approx(1.0)


def test_a_stop_ends_a_paced_replay_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick that was waited for is not handed over any more."""
    found = replay(monkeypatch, ticks_at(1, 2, 3, 4), 1.0, Clock(stop_at_s=2))
    assert sum(size for _, size in found) == 2


def test_the_real_wait_ends_at_once_when_stopped() -> None:
    """A stop does not wait for the next tick, be it an hour away."""

    async def run() -> int:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, stop.set)
        first, second = ticks_at(1, 2)
        ticks = [first, second._replace(time_ns=first.time_ns + MAX_GAP_S * SECOND)]
        async with asyncio.timeout(20):
            return sum([len(batch) async for batch in paced([ticks], 1.0, stop)])

    assert asyncio.run(run()) == 1


def test_at_full_speed_a_stop_ends_it_after_the_batch() -> None:
    """No further batch is read."""

    async def run() -> int:
        stop = asyncio.Event()
        seen = 0
        async for batch in paced(chunked(ticks_at(*[1.0] * 30), 3), "max", stop):
            seen += len(batch)
            stop.set()
        return seen

    assert asyncio.run(run()) == 3


def test_at_full_speed_other_tasks_run_between_batches() -> None:
    """A replay that never waits must not starve the loop it runs on."""

    async def run() -> tuple[int, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        batches = sum([1 async for _ in paced(chunked(ticks_at(*[1.0] * 30), 3), "max", asyncio.Event())])
        task.cancel()
        return batches, turns

    batches, turns = asyncio.run(run())
    assert batches == 10
    assert turns >= batches - 1


@pytest.mark.parametrize(("text", "speed"), [("max", "max"), ("1", 1.0), ("10", 10.0), (2.5, 2.5)])
def test_a_speed_is_max_or_a_number(text: str | float, speed: Speed) -> None:
    """As text from a command line or as a number from a job."""
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf", 0.0])
def test_another_speed_is_one_clear_error(text: str | float) -> None:
    """The value, the rule and the remedy."""
    with pytest.raises(FeedError, match=r"speed .* is neither max nor a number above 0: use max, 1 or 10"):
        parse_speed(text)
