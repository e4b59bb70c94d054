"""Working orders that the venue failed to cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from killswitch import Code, Mode
from tests.unit.workers.rig import REST, TICKS, Rig
from workers import cancels
from workers.broker import BrokerError, PaperBroker
from workers.domain import Tick
from workers.feed import FeedCounts

TURNS = 2_000


class Stubborn(PaperBroker):
    """Fails to cancel `failures` times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.attempts = 0

    def cancel_all(self) -> int:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise BrokerError("", "venue is down")
        return super().cancel_all()


class QuietFeed:
    """One tick that brings an order, what `act` does, the ticks `after`, and then silence until `done()`."""

    def __init__(self, act: Callable[[], None], done: Callable[[], bool], *after: Tick) -> None:
        self.counts = FeedCounts()
        self.act, self.done, self.after = act, done, after

    async def batches(self, stop: asyncio.Event) -> AsyncGenerator[Sequence[Tick], None]:
        yield [TICKS[0]]
        self.act()
        for tick in self.after:
            yield [tick]
        for _ in range(TURNS):
            if self.done():
                return
            await asyncio.sleep(0.001)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """An engine with one resting order, at a venue that fails to cancel three times."""
    monkeypatch.setattr(cancels, "_FIRST_RETRY_S", 0.002)
    found = Rig(REST)
    found.venue = Stubborn(3)
    return found


def test_cancel_that_failed_on_a_halt_is_tried_until_nothing_works(rig: Rig) -> None:
    """Without a tick or another word from the switch; what was cancelled is counted once, under the halt."""
    report = rig.run(feed=QuietFeed(rig.agent.engage, lambda: not rig.working()))
    assert report.cancelled == {"engaged": 1}
    assert report.cancel_failures == 3
    assert rig.agent.annotations["cancelled"] == 1


def test_orders_of_an_old_epoch_are_tried_again_though_the_gate_is_open(rig: Rig) -> None:
    """They were decided before a halt that nobody saw."""

    def unseen_halt() -> None:
        rig.agent.gate.epoch += 2

    report = rig.run(feed=QuietFeed(unseen_halt, lambda: not rig.working(), TICKS[1]))
    assert report.cancelled == {"new_epoch": 1}


def test_order_that_is_valid_again_is_left_alone(rig: Rig) -> None:
    """A lapse that ended under the same epoch gives no reason to cancel any more."""

    def lapse() -> None:
        rig.agent.set(Mode.ENGAGED, Code.LEASE_EXPIRED)
        asyncio.get_running_loop().call_soon(lambda: rig.agent.set(Mode.SAFE, Code.OPEN))

    turns = iter(range(50))
    report = rig.run(feed=QuietFeed(lapse, lambda: next(turns, None) is None))
    assert report.cancelled == {}
    assert report.cancel_failures == 2  # the one on the lapse, and the one at the end


def test_venue_that_fails_to_withdraw_one_order_does_not_end_the_engine() -> None:
    """The order that was to replace it is not sent beside it; the next signal tries again."""

    class Failing(PaperBroker):
        failures = 1

        def cancel(self, client_id: str) -> bool:
            if self.failures:
                self.failures -= 1
                raise BrokerError(client_id, "venue is down")
            return super().cancel(client_id)

    rig = Rig(REST, REST, REST)
    rig.venue = Failing()
    report = rig.run(*TICKS[:5])
    assert dict(report.rejected) == {"BrokerError": 1}
    assert (report.orders, report.replaced) == (2, 1)
    assert report.ticks == 5
