"""What a gateway does with each kind of order, on real servers and a real venue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from killswitch import Admission, Agent, clock
from killswitch.control.outcome import Verdict
from tests.support.gateway import S1, JournalView, Start, blocked, order_text, permit, send
from tests.support.switch import STATE, Switch
from tests.support.venue import VenueProcess
from workers.gateway import judge


def test_admitted_order_arrives_once_and_is_answered_for(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """The venue gets the order with the epoch of its admission; the gateway is a member that follows its scopes."""
    start()
    send(engine, admission, "o-1", owner=7)
    assert journal.outcome("o-1") == ("forwarded", "open")
    assert journal.waiting() == []
    (arrival,) = venue.arrivals(order="o-1")
    assert (arrival["token"], arrival["session"], arrival["owner"], arrival["accepted"]) == (
        engine.gate.picture.epoch, "e1", 7, True,
    )  # fmt: skip
    (member,) = [member for member in switch.control.status().members if member.worker_id != "engine-1"]
    assert (member.scopes, member.engine, member.info) == ((S1,), "e1", {"sinks": "venue/e1", "gateway": "orders"})


def test_sessions_and_scopes_have_members_of_their_own(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """A stop of one engine's scope refuses its orders and no others, and waits for the member that sends them."""
    start()
    other = switch.agent(["symbol:GBPUSD"], worker_id="engine-2")
    with Admission(other) as second:
        send(engine, admission, "a-1")
        send(other, second, "b-1", session="e2")
        assert journal.outcome("b-1") == journal.outcome("a-1") == ("forwarded", "open")
        outcome = switch.control.engage("stop", scope=S1, wait_s=5)
        assert outcome.verdict is Verdict.QUIET
        assert {member.engine for member in outcome.members} == {"", "e1"}
        assert blocked(engine, admission, "a-2") is not None
        send(other, second, "b-2", session="e2")
        assert journal.outcome("b-2") == ("forwarded", "open")
    assert {event["session"]: event["token"] for event in venue.arrivals()}.keys() == {"e1", "e2"}


@pytest.mark.parametrize("change", ["engaged", "permitted anew", "scope engaged"])
def test_order_from_before_a_stop_is_refused_after_it(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView,
    change: str,
) -> None:  # fmt: skip
    """A gateway that comes late joins closed, and never sends what was decided under another epoch."""
    send(engine, admission, "o-1")
    if change == "scope engaged":
        switch.raw("SET", f"{STATE}:{S1}", "ENGAGED")
    else:
        switch.control.engage("stop")
    if change == "permitted anew":
        permit(switch.control)
    start()
    codes = {"engaged": "engaged", "permitted anew": "stale_signal", "scope engaged": "scope_engaged"}
    assert journal.outcome("o-1") == ("refused", codes[change])
    assert venue.arrivals() == []


def test_old_order_is_not_sent(
    engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """What waited for a gateway for too long was decided on prices that are gone."""
    send(engine, admission, "o-1")
    clock.sleep(0.06)
    start(max_age_ms=50)
    assert journal.outcome("o-1") == ("refused", "too_old")
    assert venue.arrivals() == []


def test_damaged_entries_are_set_aside_and_block_nobody(
    engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """Whatever somebody wrote into the journal gets an outcome, and the orders behind it arrive."""
    whole = {"epoch": "2", "worker": "x", "reduces": "0", "scopes": S1, "at_ms": str(clock.wall_ms())}
    junk: list[dict[str, str]] = [
        {"order_id": "junk-1"},
        {**whole, "order_id": "junk-2", "order": "no json"},
        {**whole, "order_id": "junk-3", "order": "[" * 5000},
        {**whole, "order_id": "junk-4", "order": "{}"},
        {**whole, "order_id": "junk-5", "order": '{"session":"e1"}'},
        {**whole, "order_id": "junk-6", "order": _json("another")},
        {**whole, "order_id": "junk-7", "order": _json("junk-7", quantity=-1)},
        {**whole, "order_id": "junk-8", "order": _json("junk-8", limit=float("inf"))},
        {**whole, "order_id": "junk-9", "order": _json("junk-9", more="x")},
        {**whole, "order_id": "junk-10", "order": _json("junk-10"), "epoch": "x"},
        {**whole, "order_id": "junk-11", "order": _json("junk-11"), "scopes": "nonsense"},
        {**whole, "order_id": "junk-12", "order": _json("junk-12"), "at_ms": "-1"},
        {**whole, "order_id": "junk-13", "order": _json("junk-13"), "reduces": "1"},
        {**whole, "order_id": "junk-14", "order": _json("junk-14", quantity=1.5)},
        {**whole, "order_id": "junk-15", "order": _json("junk-15", limit=float("nan"))},
    ]
    for fields in junk:
        journal.wire.call("XADD", "killswitch:journal:orders", "*", *(text for pair in fields.items() for text in pair))
    start()
    send(engine, admission, "o-1")
    assert journal.outcome("o-1") == ("forwarded", "open")
    outcomes = journal.outcomes()
    assert {outcomes[fields["order_id"]] for fields in junk} == {("refused", "damaged")}
    assert [event["order"] for event in venue.arrivals()] == ["o-1"]


def _json(order_id: str, **changes: Any) -> str:
    return json.dumps(order_text(order_id, **changes))


def test_gateway_of_one_set_of_scopes_refuses_others(
    engine: Agent, admission: Admission, start: Start, journal: JournalView
) -> None:
    """With --scope it serves the orders that follow exactly these."""
    start(scopes=("strategy:other",))
    send(engine, admission, "o-1")
    assert journal.outcome("o-1") == ("refused", "other_scopes")


def test_order_of_an_owner_that_was_replaced_is_refused(
    engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """The venue sees the ownership of the engine that decided, not the gateway's."""
    start()
    send(engine, admission, "o-1", owner=8)
    send(engine, admission, "o-2", owner=7)
    send(engine, admission, "o-3", owner=9)
    assert journal.outcome("o-3") == ("forwarded", "open")
    assert journal.outcome("o-2") == ("refused", "StaleOwner")
    assert [event["order"] for event in venue.arrivals(accepted=True)] == ["o-1", "o-3"]


def test_client_id_that_the_venue_knows_is_refused(
    engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """An order that was withdrawn while it was on its way, or another one's id: it was not sent by this admission."""
    with venue.line() as line:
        assert line.ask("void", client_id="o-1", owner=1)["ok"]
    start()
    send(engine, admission, "o-1")
    assert journal.outcome("o-1") == ("refused", "duplicate")


def test_gateway_waits_for_its_own_permission_after_a_reset(
    switch: Switch, engine: Agent, admission: Admission, start: Start, journal: JournalView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The engine may hear of a permission before the gateway does: its first order is not lost by that."""
    assert judge._SETTLE_NS >= 250 * clock.NS_PER_MS
    monkeypatch.setattr(judge, "_SETTLE_NS", 5 * 10**9)  # that it waits is asked here, not how long a machine may stall
    start()
    send(engine, admission, "o-0")
    for number in range(1, 15):
        switch.control.engage("stop")
        permit(switch.control)
        send(engine, admission, f"o-{number}")
        assert journal.outcome(f"o-{number}") == ("forwarded", "open")
