"""What a gateway makes of one order, and what it says of it, against a scripted venue."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from killswitch import Code, InvalidInput, JournalEntry, Mode
from tests.unit.workers.gateway_doubles import NOW_MS, MemberAgent, World, entry, working
from workers.domain import Order, Side
from workers.gateway.order import read_order, written


def test_order_is_written_and_read_alike() -> None:
    """What an engine admits is what a gateway sends."""
    order = Order("o-1", "EURUSD", Side.SELL, 10, None, True)
    document = json.dumps(written(order, "e1", 7))
    found = read_order(JournalEntry("1-1", {**entry().fields, "order": document, "reduces": "1"}))
    assert (found.order, found.session, found.owner, found.epoch, found.scopes) == (order, "e1", 7, 1, ("a:b",))


def test_permitted_order_is_forwarded() -> None:
    """Under the gate of a member that follows its scopes, with the epoch of its admission."""
    world = World()
    assert world.found(entry()) == ("forwarded", "open")
    assert world.made == [("e1", ("a:b",))]
    assert world.agent.gate.orders == [("o-1", 1, False)]
    assert world.venue.token_of("o-1") == 1


@pytest.mark.parametrize("code", [Code.ENGAGED, Code.STATE_MISSING, Code.INCARNATION_CHANGED])
def test_stopped_order_is_refused_and_not_sent(code: Code) -> None:
    """A stop of the fleet stops the orders on their way."""
    world = World()
    world.agent.gate.mode, world.agent.gate.code = Mode.ENGAGED, code
    assert world.found(entry()) == ("refused", str(code))
    assert working(world.venue) == []


def test_order_of_an_earlier_epoch_is_refused() -> None:
    """Decided before a stop, it is not sent after it, though trading is permitted again."""
    world = World()
    world.agent.gate.epoch = 2
    assert world.found(entry()) == ("refused", "stale_signal")


def test_gate_that_is_closed_in_passing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round trip's closure costs no order; one that lasts does."""
    world = World()
    gate = world.agent.gate
    gate.mode, gate.code = Mode.ENGAGED, Code.STATE_CHANGED
    checks = gate.check

    def opens_at_third(permit: Any) -> None:
        if len(gate.orders) == 2:
            gate.mode = Mode.SAFE
        checks(permit)

    monkeypatch.setattr(gate, "check", opens_at_third)
    assert world.found(entry()) == ("forwarded", "open")
    monkeypatch.undo()
    gate.mode = Mode.ENGAGED
    assert world.found(entry("o-2")) == ("refused", "state_changed")


def test_member_that_knows_an_older_epoch_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis admitted the order under an epoch that the member has not heard of yet: it soon will."""
    world = World()
    gate = world.agent.gate
    gate.mode, gate.code = Mode.ENGAGED, Code.ENGAGED
    checks = gate.check

    def hears(permit: Any) -> None:
        if len(gate.orders) == 2:
            gate.mode, gate.epoch = Mode.SAFE, 2
        checks(permit)

    monkeypatch.setattr(gate, "check", hears)
    assert world.found(entry(epoch="2")) == ("forwarded", "open")


def test_old_order_is_refused() -> None:
    """By the server's clock, on which it was dated."""
    world = World(max_age_ms=5000)
    assert world.found(entry(at_ms=str(NOW_MS - 5500))) == ("refused", "too_old")
    assert world.found(entry("o-2", at_ms=str(NOW_MS - 4000))) == ("forwarded", "open")


def test_gateway_that_lost_its_ownership_sends_nothing_and_says_nothing() -> None:
    """Another one may act in its place: the entry is that one's."""
    world = World()
    world.owned = False
    assert world.found(entry()) is None
    assert world.judge.maybe_sent == ""
    assert working(world.venue) == []


def test_entry_that_may_have_been_sent_is_repeated() -> None:
    """The venue knows the order: it counts as sent, once."""
    world = World()
    world.venue.submit(Order("o-1", "EURUSD", Side.BUY, 10, 1.1, False), 1)
    world.judge.maybe_sent = "1-1"
    assert world.found(entry()) == ("forwarded", "repeated")
    assert working(world.venue) == ["o-1"]
    assert world.found(entry("o-2")) == ("forwarded", "open")


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("why", ["engaged", "too_old"])
def test_entry_that_may_have_been_sent_is_refused_only_when_the_venue_vouches(sent: bool, why: str) -> None:
    """Not to be sent any more, it is asked for: withdrawn where it was sent, and never accepted where it was not."""
    world = World()
    if sent:
        world.venue.submit(Order("o-1", "EURUSD", Side.BUY, 10, 1.1, False), 1)
    world.judge.maybe_sent = "1-1"
    world.agent.gate.mode, world.agent.gate.code = Mode.ENGAGED, Code.ENGAGED
    old = str(NOW_MS - 6000) if why == "too_old" else str(NOW_MS)
    assert world.found(entry(at_ms=old)) == (("forwarded", "withdrawn") if sent else ("refused", why))
    assert working(world.venue) == []
    assert world.venue.token_of("o-1") is not None, "a late copy would be taken"


def test_entry_that_may_have_been_sent_waits_for_a_venue_that_is_away_until_it_is_too_old() -> None:
    """Then, and only then, its fate is called unknown."""
    world = World()
    world.judge.maybe_sent = "1-1"
    world.agent.gate.mode, world.agent.gate.code = Mode.ENGAGED, Code.ENGAGED
    world.venue.away = True
    assert world.found(entry()) is None
    assert world.found(entry(at_ms=str(NOW_MS - 6000))) == ("unknown", "too_old")


@pytest.mark.parametrize(
    ("step", "expected"),
    [("lose the order", ("refused", "unanswered")), ("lose the answer", ("forwarded", "withdrawn"))],
)
def test_order_without_an_answer_is_settled_with_the_venue(step: str, expected: tuple[str, str]) -> None:
    """It is withdrawn or voided, and counted as in flight until that is certain."""
    world = World()
    world.venue.script = [step]
    assert world.found(entry()) == expected
    assert (working(world.venue), world.agent.gate.in_flight) == ([], 0)
    assert world.judge.maybe_sent == "1-1", "until the outcome is written"


def test_order_without_an_answer_counts_as_in_flight_while_the_venue_is_away() -> None:
    """Also after it was called unknown, until the venue has answered."""
    world = World()
    world.venue.script = ["lose the answer"]
    agent, venue = world.agent, world.venue
    venue.vouches = False
    assert world.found(entry()) is None
    assert agent.gate.in_flight == 1
    assert world.found(entry(at_ms=str(NOW_MS - 6000))) == ("unknown", "unanswered")
    assert agent.gate.in_flight == 1
    venue.vouches = True
    world.members.settle()
    assert (agent.gate.in_flight, working(venue)) == (0, [])


def test_venue_that_is_away_keeps_an_order_only_while_its_gate_would_let_it_pass() -> None:
    """Nothing was sent, so a stop refuses it at once."""
    world = World()
    world.venue.away = True
    assert world.found(entry()) is None
    world.agent.gate.mode, world.agent.gate.code = Mode.ENGAGED, Code.ENGAGED
    assert world.found(entry()) == ("refused", "engaged")


def test_client_id_that_was_used_is_refused() -> None:
    """Where nobody can have sent this entry before, the order of that id is another one."""
    world = World()
    world.venue.void("o-1")
    assert world.found(entry()) == ("refused", "duplicate")


def test_what_the_venue_refuses_is_refused() -> None:
    """With its own word for it."""
    world = World()
    world.venue.raise_fence(5)
    assert world.found(entry()) == ("refused", "StaleToken")


def test_gateway_of_certain_scopes_serves_no_others() -> None:
    """In any order, but all of them and no more."""
    world = World(scopes=("a:b", "c:d"))
    assert world.found(entry(scopes="c:d,a:b")) == ("forwarded", "open")
    for scopes in ("a:b", "", "a:b,c:d,e:f"):
        assert world.found(entry("o-2", scopes=scopes)) == ("refused", "other_scopes")


def test_each_session_and_set_of_scopes_has_a_member_and_the_oldest_makes_room() -> None:
    """A new owner of a session gets a line of its own under the same member."""
    world = World(most=2)
    first = world.members.of("e1", ("a:b",), 1)
    assert world.members.of("e1", ("a:b",), 1) is first
    successor = world.members.of("e1", ("a:b",), 2)
    assert successor.agent is first.agent
    assert (successor.owner, world.venues["e1", 1].closed) == (2, 1)
    world.members.of("e2", (), 1)
    world.members.of("e3", (), 1)
    assert cast(MemberAgent, world.agents["e1"]).closed
    assert world.members.close()
    assert all(cast(MemberAgent, agent).closed for agent in world.agents.values())


def test_bad_entry_is_never_more_than_invalid_input() -> None:
    """Reading an entry raises nothing else."""
    for fields in ({}, {"order": "1"}, {**entry().fields, "scopes": "\x00"}, {**entry().fields, "order": "[]"}):
        with pytest.raises(InvalidInput):
            read_order(JournalEntry("1-1", fields))


def test_venue_is_looked_at_again_before_an_order_is_called_refused_by_it() -> None:
    """A connection that ended tells nothing about the order: it is tried once more on a fresh picture."""
    world = World()
    assert world.found(entry()) == ("forwarded", "open")
    looks = world.venue.looks
    world.venue.script = ["hang up"]
    assert world.found(entry("o-2")) is None
    assert world.judge.maybe_sent == "1-1", "nothing was sent"
    assert world.found(entry("o-2")) == ("forwarded", "open")
    assert world.venue.looks == looks + 1
    world.members.of("e1", ("a:b",), 1).doubt()
    world.venue.script = ["hang up"]
    assert world.found(entry("o-3")) == ("refused", "BrokerError")


def test_reducing_order_is_judged_on_a_fresh_picture() -> None:
    """Others trade in the session as well."""
    world = World()
    world.found(entry())
    looks = world.venue.looks
    order = Order("o-2", "EURUSD", Side.SELL, 10, 1.1, True)
    assert world.found(entry("o-2", reduces="1", order=json.dumps(written(order, "e1", 1)))) == ("forwarded", "open")
    assert world.venue.looks == looks + 1
