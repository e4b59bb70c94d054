"""The judge of the demonstration on evidence made by hand: what is counted, and that each figure can fail."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ops.rehearsal.evidence import EventFile
from ops.rehearsal.measure import Run, halt_figures
from ops.rehearsal.press import Press
from ops.rehearsal.verdict import Check, halt_checks, held_checks, normal_checks
from workers.histogram import Histogram

SENT, OK = 1000, 1100
PRESS = Press("SET killswitch:state ENGAGED", SENT, OK, 3, {"w1": 1500}, ())
Event = dict[str, Any]


def order(check_ns: int) -> Event:
    """An order left."""
    return {"event": "order", "check_ns": check_ns, "sent_ns": check_ns + 5, "epoch": 2}


def blocked(at_ns: int, checks: int, passed_ns: int = 990) -> Event:
    """Gate 1 began to block."""
    return {"event": "blocked", "at_ns": at_ns, "code": "engaged", "checks": checks, "passed_ns": passed_ns}


def opened(at_ns: int, checks: int) -> Event:
    """Gate 1 began to pass."""
    return {"event": "opened", "at_ns": at_ns, "epoch": 2, "checks": checks}


def cancelled(at_ns: int, count: int, why: str = "engaged") -> Event:
    """Working orders were cancelled."""
    return {"event": "cancelled", "at_ns": at_ns, "count": count, "why": why}


def report(ticks: int = 100, orders: int = 2, **changes: Any) -> dict[str, Any]:
    """What an engine reports in the end, as far as the judge looks at it."""
    latency = {"tick": Histogram().as_dict()}
    return {
        "ticks": ticks,
        "ticks_per_s": 10.0,
        "signals": orders,
        "orders": orders,
        "blocked_signals": {},
        "blocked_orders": {},
        "cancelled": {},
        "rejected": {},
        "latency_ns": latency,
        **changes,
    }


GOOD = (opened(5, 0), order(500), order(900), blocked(1010, 60), cancelled(1200, 1), cancelled(9000, 0, "stopped"))


def halt_failures(*events: Event, press: Press = PRESS, unreadable: int = 0, **changes: Any) -> list[str]:
    """Names of the figures of a halt that do not hold."""
    run = Run("engine 1", events, report(**changes), unreadable)
    halt = halt_figures([run], press.sent_ns, press.ok_ns)
    return [check.name for check in halt_checks([run], press, halt) if not check.holds]


def test_clean_halt_passes_and_is_counted_exactly() -> None:
    """Orders before the SET, blocked checks after it, and the cancel at the halt, each under its own name."""
    assert halt_failures(*GOOD) == []
    halt = halt_figures([Run("engine 1", GOOD, report())], SENT, OK)
    assert (halt.orders_before, halt.orders_during, halt.late_orders) == (2, 0, 0)
    assert (halt.blocked, halt.checks, halt.block_rate) == (40, 40, 1.0)
    assert (halt.cancelled, halt.closed_ms) == (1, 10 / 1e6)


@pytest.mark.parametrize(
    ("doctor", "figure"),
    [
        (lambda events: [*events, order(OK + 1)], "order sends after +OK"),
        (lambda events: [*events, order(OK + 1)], "block rate"),
        (lambda events: [*events, order(OK + 1)], "orders on the engines' own record"),
        (lambda events: events[:2] + events[3:], "orders on the engines' own record"),
        (lambda events: [*events[:3], blocked(1200, 60, passed_ns=OK + 1), *events[4:]], "passes at gate 1 after +OK"),
        (lambda events: [*events, opened(2000, 80)], "passes at gate 1 after +OK"),
        (lambda events: [*events, opened(2000, 80), blocked(2001, 81)], "passes at gate 1 after +OK"),
        (lambda events: [opened(5, 0), *events[3:]], "fewest orders of an engine before the SET"),
        (lambda events: [*events[:3], *events[4:]], "fewest blocked checks of an engine"),
        (lambda events: [*events[:3], *events[4:]], "block rate"),
        (lambda events: [*events[:4], events[5]], "engines that left orders working"),
        (lambda events: [*events[:5], cancelled(9000, 1, "stopped")], "orders still working later"),
    ],
)
def test_doctored_evidence_fails(doctor: Callable[[Sequence[Event]], Sequence[Event]], figure: str) -> None:
    """Each figure that must hold is one that can fail."""
    assert figure in halt_failures(*doctor(list(GOOD)))


def test_worker_not_proved_quiet_fails() -> None:
    """Silence of one worker is never taken for quiet."""
    assert halt_failures(*GOOD, press=dataclasses.replace(PRESS, pending=("w2",))) == ["workers proved quiet"]
    assert dataclasses.replace(PRESS, pending=("w2",)).quiet_ms is None


def test_unreadable_or_refused_orders_fail() -> None:
    """What cannot be read may have said anything, and an order beyond the gates that the venue refused still left."""
    assert halt_failures(*GOOD, unreadable=1) == ["orders on the engines' own record"]
    assert halt_failures(*GOOD, rejected={"StaleToken": 1}) == ["orders refused by the venue"]


def test_check_between_set_and_ok_is_neither_late_nor_blocked() -> None:
    """The promise begins with +OK; an order that left while the SET was on its way is told, not judged."""
    events = [*GOOD[:3], order(OK), *GOOD[3:]]
    assert halt_failures(*events, orders=3) == []
    assert halt_figures([Run("engine 1", events, report())], SENT, OK).orders_during == 1


def test_check_that_started_before_the_set_and_was_blocked_by_it_is_counted() -> None:
    """An engine that lost the processor between reading the clock and the check turns only once."""
    events = [*GOOD[:3], blocked(SENT - 1, 60), *GOOD[4:]]
    assert halt_failures(*events) == []
    assert halt_figures([Run("engine 1", events, report())], SENT, OK).blocked == 40


def test_block_before_the_set_for_another_reason_is_not_counted() -> None:
    """A lease that ran out earlier is no proof of the SET: counting begins with the turn that the SET caused."""
    events = [*GOOD[:3], blocked(950, 50), *GOOD[3:]]
    assert halt_figures([Run("engine 1", events, report())], SENT, OK).blocked == 40


def test_refused_orders_count_as_blocked_checks() -> None:
    """Gate 2 is a gate as well."""
    events = [*GOOD, {"event": "refused", "check_ns": 1005, "code": "stale_signal"}]
    assert halt_figures([Run("engine 1", events, report())], SENT, OK).blocked == 41


def held_failures(held: int = 1, **changes: Any) -> list[str]:
    """Names of the figures of a start under ENGAGED that do not hold."""
    found = report(**{"orders": 0, "blocked_signals": {"engaged": 100}, **changes})
    run = Run("engine 1", [blocked(2000, 0, 0)], found)
    halt = halt_figures([run], SENT, OK)
    return [check.name for check in held_checks([run], PRESS, halt, held, 1) if not check.holds]


def test_engaged_from_the_start_demands_waiting_engines_and_nothing_through() -> None:
    """Gated engines stay queued, and those that run get every tick blocked; a run without a tick proves nothing."""
    assert held_failures() == []
    assert held_failures(held=0) == ["gated engines left in the queue"]
    assert "ticks blocked at gate 1" in held_failures(blocked_signals={"engaged": 99})
    assert "orders" in held_failures(orders=1)
    assert "ticks blocked at gate 1" in held_failures(ticks=0, blocked_signals={})


def test_normal_operation_demands_trading() -> None:
    """Engines that do nothing would pass every check of a halt."""

    def failures(*events: Event, **changes: Any) -> list[Check]:
        return [check for check in normal_checks([Run("engine 1", events, report(**changes))]) if not check.holds]

    assert failures(order(1), order(2)) == []
    assert [check.name for check in failures(orders=0)] == ["fewest orders of an engine"]


def test_evidence_is_read_as_it_grows_and_nonsense_is_counted(tmp_path: Path) -> None:
    """Half a line waits for its other half; a line that is no event is remembered as such."""
    path = tmp_path / "events.jsonl"
    events = EventFile(path)
    assert events.read() == []
    text = json.dumps(order(7)) + "\n"
    path.write_text(text + text[:9])
    assert events.count("order") == 1
    path.write_text(text + text + 'nonsense\n{"event": "order"}\n[]\n')
    assert events.count("order") == 2
    assert events.unreadable == 3
