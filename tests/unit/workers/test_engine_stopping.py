"""What becomes of working orders when the gate closes, and how an engine ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from killswitch import Code, Mode
from tests.unit.workers.doubles import ticks_at
from tests.unit.workers.rig import REST, TICKS, Rig
from workers import engine as engine_module
from workers.broker import BrokerError, GuardedBroker, PaperBroker
from workers.engine import Engine
from workers.feed import FeedError, SyntheticFeed
from workers.report import Ending, EngineReport


def test_on_engage_working_orders_are_cancelled_and_the_number_reported() -> None:
    """In the report, in the status, and in the record, with the reason; also when no further tick comes."""
    rig = Rig(REST, REST)
    gold = ticks_at(1.0, symbol="XAUUSD")[0]
    left: list[int] = []
    report = rig.run(TICKS[0], gold, rig.agent.engage, lambda: left.append(rig.working()))
    assert left == [0]
    assert report.cancelled == {"engaged": 2}
    assert rig.agent.annotations["cancelled"] == 2
    assert rig.recorder.closes == [("engaged", 2)]
    assert rig.recorder.cancels[0] == (2, "engaged")


def test_one_engagement_is_recorded_once() -> None:
    """However many ways the engine hears of it: the agent's word, and every blocked tick."""
    rig = Rig(REST)
    rig.run(TICKS[0], rig.agent.engage, *TICKS[1:20])
    assert rig.recorder.closes == [("engaged", 2)]
    assert rig.recorder.cancels == [(1, "engaged"), (0, "feed_ended")]


def test_a_close_that_the_agent_did_not_tell_of_cancels_as_well() -> None:
    """A dead watcher tells nothing; the blocked tick does."""
    rig = Rig(REST)

    def lapse() -> None:
        rig.agent.gate.mode, rig.agent.gate.code = Mode.ENGAGED, Code.LEASE_EXPIRED

    report = rig.run(TICKS[0], lapse, TICKS[1], TICKS[2])
    assert report.cancelled == {"lease_expired": 1}


def test_a_moment_of_doubt_costs_no_working_order() -> None:
    """A renewed permission closes the gate for a round trip; the order goes on when it opens under the same epoch."""
    rig = Rig(REST)
    working: list[int] = []
    report = rig.run(
        TICKS[0],
        lambda: rig.agent.set(Mode.ENGAGED, Code.STATE_CHANGED),
        TICKS[1],
        lambda: rig.agent.set(Mode.SAFE, Code.OPEN),
        TICKS[2],
        lambda: working.append(rig.working()),
    )
    assert working == [1]
    assert report.cancelled == {"feed_ended": 1}
    assert rig.recorder.closes == []


def test_a_doubt_that_turns_out_to_be_a_halt_cancels() -> None:
    """First it is only known that something changed, then what."""
    rig = Rig(REST)
    report = rig.run(
        TICKS[0],
        lambda: rig.agent.set(Mode.ENGAGED, Code.STATE_CHANGED),
        TICKS[1],
        lambda: rig.agent.set(Mode.ENGAGED, Code.ENGAGED, epoch=2),
        TICKS[2],
        lambda: None,
    )
    assert report.cancelled == {"engaged": 1}
    assert rig.recorder.closes == [("engaged", 2)]


def test_a_doubt_that_lasts_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not knowing is waited for only so long."""
    monkeypatch.setattr(engine_module, "_SETTLE_NS", 0)
    rig = Rig(REST)
    report = rig.run(TICKS[0], lambda: rig.agent.set(Mode.ENGAGED, Code.STATE_CHANGED), lambda: None, lambda: None)
    assert report.cancelled == {"state_changed": 1}


def test_working_orders_die_with_their_epoch() -> None:
    """Halted and reset between two ticks, too fast to be seen closed: what was sent before does not fill after."""
    rig = Rig(REST)

    def unseen_halt() -> None:
        rig.agent.gate.epoch += 2

    report = rig.run(TICKS[0], unseen_halt, TICKS[1], TICKS[2])
    assert report.cancelled == {"new_epoch": 1}
    assert rig.venue.fence == 3


def test_reducing_cancels_the_working_entry() -> None:
    """It would open a position after the operator asked for smaller ones only."""
    rig = Rig(REST)
    report = rig.run(TICKS[0], rig.agent.reduce, TICKS[1])
    assert sum(report.cancelled.values()) == 1
    assert "feed_ended" not in report.cancelled


def test_a_halt_raises_the_fence_of_the_venue() -> None:
    """From then on the venue itself refuses what was decided before."""
    rig = Rig(REST)
    rig.run(TICKS[0], rig.agent.engage, TICKS[1])
    assert rig.venue.fence == 2


def test_a_venue_that_fails_to_cancel_does_not_end_the_engine() -> None:
    """It is counted and said, and the next occasion tries again."""

    class Stubborn(PaperBroker):
        attempts = 0

        def cancel_all(self) -> int:
            self.attempts += 1
            if self.attempts == 1:
                raise BrokerError("", "venue is down")
            return super().cancel_all()

    rig = Rig(REST)
    rig.venue = Stubborn()
    report = rig.run(TICKS[0], rig.agent.engage, TICKS[1], TICKS[2])
    assert report.cancel_failures == 1
    assert sum(report.cancelled.values()) == 1
    assert rig.working() == 0


@pytest.mark.parametrize("from_thread", [False, True])
def test_a_stop_request_ends_an_endless_feed(from_thread: bool) -> None:
    """From the loop or from any thread; working orders are cancelled."""
    rig = Rig(REST)
    feed = SyntheticFeed(1, symbol="EURUSD")

    def stop_later() -> None:
        if from_thread:
            thread = threading.Thread(target=rig.engine.request_stop)
            thread.start()
            thread.join()
        else:
            rig.engine.request_stop()

    rig.strategy.before_signal = lambda: stop_later() if rig.strategy.seen == 500 else None
    report = rig.run(feed=feed)
    assert report.ending is Ending.STOPPED
    assert 500 <= report.ticks < 1_000
    assert report.cancelled == {"stopped": 1}
    assert rig.working() == 0


def test_a_stop_request_ends_a_paced_feed_while_it_waits() -> None:
    """It does not wait for the next tick, here an hour of recorded time away."""
    rig = Rig(REST)
    feed = SyntheticFeed(1, speed=1e-6)
    rig.strategy.before_signal = lambda: asyncio.get_running_loop().call_later(0.01, rig.engine.request_stop)
    report = rig.run(feed=feed)
    assert report.ending is Ending.STOPPED
    assert report.ticks == 1


def test_an_engine_stopped_before_it_ran_trades_nothing() -> None:
    """The request is not lost."""
    rig = Rig(REST)

    async def run() -> EngineReport:
        guarded = GuardedBroker(rig.venue, rig.agent.gate, lambda: True)
        engine = Engine("e1", feed=SyntheticFeed(1), strategy=rig.strategy, broker=guarded, agent=rig.agent)
        engine.request_stop()
        return await asyncio.wait_for(engine.run(), 30)

    report = asyncio.run(run())
    assert (report.ending, report.ticks, report.ticks_per_s) == (Ending.STOPPED, 0, 0.0)


def test_word_from_the_agent_after_the_end_is_harmless() -> None:
    """The agent outlives the engine, and its thread knows nothing of the loop's end."""
    rig = Rig(REST)
    rig.run(TICKS[0])
    rig.agent.engage()
    rig.engine.request_stop()
    assert rig.recorder.closes == []


@pytest.mark.parametrize("fault", [FeedError("the file is damaged"), ZeroDivisionError()])
def test_an_error_cancels_working_orders_and_is_raised(fault: Exception) -> None:
    """A damaged feed or a fault in the strategy leaves nothing working behind."""
    rig = Rig(REST)

    def fail() -> None:
        raise fault

    with pytest.raises(type(fault)):
        rig.run(TICKS[0], fail)
    assert rig.working() == 0
    assert rig.recorder.cancels == [(1, "failed")]
