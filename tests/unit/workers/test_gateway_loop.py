"""The gateway's loop over a scripted journal: each entry once, whatever Redis and its rivals do."""

from __future__ import annotations

from typing import cast

import pytest
import redis

from killswitch import Code, Journal, JournalEntry, JournalLost, StoreUnavailable
from tests.unit.workers.gateway_doubles import ScriptedJournal, ScriptedOwnership, World, entry, looped
from workers.domain import Order, Side
from workers.gateway.gateway import Gateway
from workers.ownership import Ownership


def test_entries_are_dealt_with_in_order_and_the_journal_is_given_back() -> None:
    """Once each; damaged ones do not hold up the others."""
    world = World()
    damaged = JournalEntry("1-2", {"order_id": "o-2"})
    journal, ownership = ScriptedJournal(entry(), damaged, entry("o-3")), ScriptedOwnership(True)
    assert looped(world, journal, ownership)
    assert journal.outcomes == [
        ("o-1", "forwarded", "open"), ("o-2", "refused", "damaged"), ("o-3", "forwarded", "open"),
    ]  # fmt: skip
    assert ownership.released == ["gateway:orders"]


@pytest.mark.parametrize("written", ["written", "lost"])
def test_outcome_without_a_confirmation_is_said_once(written: str) -> None:
    """Whether or not Redis had written it, the entry is neither sent again nor given another outcome."""
    world = World()
    journal, ownership = ScriptedJournal(entry(), entry("o-2")), ScriptedOwnership(True)
    journal.trouble["answer"] = [StoreUnavailable(Code.NO_ANSWER, written)]
    assert looped(world, journal, ownership)
    assert journal.outcomes == [("o-1", "forwarded", "open"), ("o-2", "forwarded", "open")]
    assert [order for order, _, _ in world.agent.gate.orders] == ["o-1", "o-2"]
    assert ownership.released == ["gateway:orders"]


def test_first_entry_of_a_gateway_that_died_is_taken_for_one_that_may_have_been_sent() -> None:
    """The ones behind it are not: it worked through them one by one."""
    world = World()
    for name in ("o-1", "o-2"):
        world.venue.submit(Order(name, "EURUSD", Side.BUY, 10, 1.1, False), 1)
    journal, ownership = ScriptedJournal(entry(), entry("o-2")), ScriptedOwnership(False)
    looped(world, journal, ownership)
    assert journal.outcomes == [("o-1", "forwarded", "repeated"), ("o-2", "refused", "duplicate")]


def test_gateway_that_was_replaced_stands_by() -> None:
    """It says nothing more, and does not give back what it has not."""
    world = World()
    journal, ownership = ScriptedJournal(entry()), ScriptedOwnership(True)
    journal.trouble["answer"] = [JournalLost("orders", 9)]
    assert looped(world, journal, ownership)
    assert journal.outcomes == []
    assert ownership.released == []


def test_trouble_with_redis_is_got_over() -> None:
    """Taking and reading are tried again; nothing is lost."""
    world = World()
    journal, ownership = ScriptedJournal(entry()), ScriptedOwnership(True)
    journal.trouble = {
        "take": [StoreUnavailable(Code.NO_ANSWER, "x")],
        "entries": [StoreUnavailable(Code.NO_ANSWER, "x"), StoreUnavailable(Code.UNREACHABLE, "x")],
    }
    assert looped(world, journal, ownership)
    assert journal.outcomes == [("o-1", "forwarded", "open")]


def test_queue_that_is_away_is_asked_again() -> None:
    """Without an ownership nothing is taken out of the journal."""
    world = World()
    journal, ownership = ScriptedJournal(entry()), ScriptedOwnership(redis.ConnectionError("away"), True)
    assert looped(world, journal, ownership)
    assert journal.outcomes == [("o-1", "forwarded", "open")]


def test_journal_is_not_given_back_while_an_order_may_be_on_its_way() -> None:
    """The next owner waits, and asks the venue about the entry."""
    world = World()
    journal, ownership = ScriptedJournal(entry()), ScriptedOwnership(True)
    world.venue.script = ["lose the answer"]
    world.venue.vouches = False
    gateway = Gateway(cast(Journal, journal), world.members, cast(Ownership, ownership))
    gateway._judge = world.judge
    seen = journal.now_ms

    def second_round() -> int:
        if world.agent.gate.in_flight:
            gateway.stop()
        return seen()

    journal.now_ms = second_round  # type: ignore[method-assign]
    assert not gateway.run()
    assert ownership.released == []
    assert journal.outcomes == []
