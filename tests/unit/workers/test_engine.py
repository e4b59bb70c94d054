"""The loop: tick, gate 1, signal, gate 2, order; and what each gate stops."""

from __future__ import annotations

from killswitch import Code, Mode
from tests.unit.workers.doubles import ticks_at
from tests.unit.workers.rig import LEAVE, REST, TAKE, TICKS, Rig
from workers.report import Ending


def test_a_tick_leads_to_an_order_and_the_next_to_its_fill() -> None:
    """The whole line: gate 1, signal, gate 2, venue, position."""
    rig = Rig(TAKE, None, LEAVE)
    report = rig.run(*TICKS[:5])
    assert (report.ticks, report.signals, report.orders, report.fills) == (5, 2, 2, 2)
    assert [held.quantity for held in rig.strategy.asked] == [0, 10, 10, 0, 0]
    assert report.positions["EURUSD"].quantity == 0
    assert report.ending is Ending.FEED_ENDED


def test_each_order_goes_out_under_an_id_of_its_own_and_the_epoch_of_its_signal() -> None:
    """The prefix tells runs apart, the number orders; the recorder has check and send times of each."""
    rig = Rig(REST, REST)
    rig.run(*TICKS[:2])
    assert [order.client_id for order, _ in rig.recorder.orders] == ["e1.1", "e1.2"]
    assert all(sent.epoch == 1 and sent.check_ns <= sent.sent_ns for _, sent in rig.recorder.orders)


def test_a_new_signal_replaces_the_working_order_of_its_symbol() -> None:
    """One working order a symbol, so that what can fill stays within what the strategy meant; others are left alone."""
    rig = Rig(REST, REST, REST)
    gold = ticks_at(1.0, symbol="XAUUSD")[0]
    seen: list[list[str]] = []
    report = rig.run(
        TICKS[0], gold, TICKS[1], lambda: seen.append([order.client_id for order in rig.venue.open_orders()])
    )
    assert seen == [["e1.2", "e1.3"]]
    assert report.replaced == 1


def test_while_engaged_every_tick_is_blocked_and_nothing_is_decided() -> None:
    """Blocked is counted by code, the strategy keeps learning prices, and it is asked for nothing."""
    rig = Rig(REST)
    rig.agent.engage()
    report = rig.run(*TICKS[:50])
    assert report.blocked_signals == {"engaged": 50}
    assert (report.ticks, report.signals, report.orders) == (50, 0, 0)
    assert (rig.strategy.seen, rig.strategy.asked) == (50, [])
    assert rig.agent.gate.orders == []


def test_trading_goes_on_after_a_reset() -> None:
    """Blocked ticks in between, orders under the new epoch after."""
    rig = Rig(TAKE, TAKE)
    report = rig.run(TICKS[0], rig.agent.engage, TICKS[1], TICKS[2], rig.agent.reset, TICKS[3], TICKS[4])
    assert report.blocked_signals == {"engaged": 2}
    assert [sent.epoch for _, sent in rig.recorder.orders] == [1, 3]


def test_fills_are_booked_while_engaged() -> None:
    """Stopping blinds nobody: what the venue did before the cancel reached it is in the books."""
    rig = Rig(TAKE)

    def engage_unheard() -> None:
        rig.agent.gate.mode, rig.agent.gate.code = Mode.ENGAGED, Code.STATE_CHANGED

    report = rig.run(TICKS[0], engage_unheard, TICKS[1])
    assert report.fills == 1
    assert report.positions["EURUSD"].quantity == 10
    assert report.blocked_signals == {"state_changed": 1}


def test_a_switch_that_closes_between_the_gates_blocks_the_order() -> None:
    """The signal was permitted, the order is not; it is counted and the loop goes on."""
    rig = Rig(REST)
    rig.strategy.before_signal = rig.agent.engage
    report = rig.run(TICKS[0], TICKS[1])
    assert (report.signals, report.orders, report.blocked_orders) == (1, 0, {"stale_signal": 1})
    assert report.blocked_signals == {"engaged": 1}
    assert rig.recorder.orders == []


def test_a_signal_from_before_a_halt_never_acts_after_it() -> None:
    """Engaged and reset while the strategy was thinking: open again, but the signal is void."""
    rig = Rig(TAKE, None)

    def halt_and_reset() -> None:
        rig.strategy.before_signal = lambda: None
        rig.agent.engage()
        rig.agent.reset()

    rig.strategy.before_signal = halt_and_reset
    report = rig.run(*TICKS[:3])
    assert (report.orders, report.fills, report.blocked_orders) == (0, 0, {"stale_signal": 1})


def test_while_reducing_entries_are_blocked_and_exits_pass() -> None:
    """Gate 1 is open, gate 2 looks at what the order does."""
    rig = Rig(TAKE, None, TAKE, LEAVE)
    report = rig.run(TICKS[0], TICKS[1], rig.agent.reduce, *TICKS[2:6])
    assert report.blocked_orders == {"reducing": 1}
    assert (report.orders, report.fills) == (2, 2)
    assert report.positions["EURUSD"].quantity == 0


def test_a_refusal_by_the_venue_is_counted_and_the_loop_goes_on() -> None:
    """A fence that this engine has not heard of, for one."""
    rig = Rig(REST, REST)
    rig.venue.raise_fence(5)
    report = rig.run(*TICKS[:3])
    assert (report.ticks, report.orders, report.rejected) == (3, 0, {"StaleToken": 2})


def test_losing_the_engine_ends_it_without_an_order() -> None:
    """Another process may trade in its place: nothing is sent, and its own orders are cancelled."""
    rig = Rig(REST, REST)
    report = rig.run(TICKS[0], lambda: setattr(rig, "owned", False), *TICKS[1:50])
    assert report.ending is Ending.NOT_OWNER
    assert (report.ticks, report.orders) == (2, 1)
    assert rig.working() == 0
