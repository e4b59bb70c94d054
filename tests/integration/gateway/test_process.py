"""The gateway as a process: what it sends, what it refuses, and that a stop includes it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from killswitch import Admission, Agent, clock
from killswitch.control.outcome import Verdict
from tests.support.gateway import LONG_MS, GatewayProcess, JournalView, blocked, permit, send
from tests.support.processes import Children
from tests.support.switch import Switch
from tests.support.venue import VenueProcess
from tests.support.waiting import eventually

LIFE_MS = "2500"


@pytest.fixture
def venue(children: Children, tmp_path: Path) -> VenueProcess:
    """A venue process with its record."""
    return VenueProcess(children, tmp_path)


@pytest.fixture
def gateway(children: Children, switch: Switch, venue: VenueProcess) -> GatewayProcess:
    """A gateway that has the journal."""
    made = GatewayProcess(children, switch.server, venue.url, WORKERS_OWNERSHIP_MS=str(LONG_MS))
    made.owner()
    return made


@pytest.fixture
def mortal(children: Children, switch: Switch, venue: VenueProcess) -> GatewayProcess:
    """One whose place is soon taken when it is gone, though not because the machine stalled."""
    made = GatewayProcess(children, switch.server, venue.url, WORKERS_OWNERSHIP_MS=LIFE_MS)
    made.owner()
    return made


def test_nothing_arrives_after_quiet(
    switch: Switch, engine: Agent, admission: Admission, gateway: GatewayProcess, venue: VenueProcess,
    journal: JournalView,
) -> None:  # fmt: skip
    """QUIET includes the gateway: orders on their way when the stop came are refused there and never sent."""
    end = threading.Event()
    admitted: list[str] = []

    def trade() -> None:
        number = 0
        while not end.is_set():
            number += 1
            if blocked(engine, admission, f"o-{number}") is None:
                admitted.append(f"o-{number}")

    trader = threading.Thread(target=trade)
    trader.start()
    try:
        for _ in range(6):
            before = len(admitted)
            eventually(lambda: len(admitted) > before + 30, why="orders are admitted")  # noqa: B023 - used at once
            outcome = switch.control.engage("stop", wait_s=5)
            quiet_ns = clock.now_ns()
            assert outcome.verdict is Verdict.QUIET, outcome
            clock.sleep(0.05)
            assert all(event["t"] <= quiet_ns for event in venue.history if event["kind"] == "arrive")
            assert len(venue.arrivals()) == len(venue.arrivals(accepted=True))
            permit(switch.control)
    finally:
        end.set()
        trader.join()
    journal.drained()
    outcomes = journal.outcomes()
    assert outcomes.keys() == set(admitted)
    forwarded = {order for order, (outcome, _) in outcomes.items() if outcome == "forwarded"}
    assert forwarded == {event["order"] for event in venue.arrivals()}
    refused = {code for outcome, code in outcomes.values() if outcome == "refused"}
    assert refused <= {"engaged", "stale_signal", "state_changed"}
    assert refused, "no order was on its way in any of the stops"


def test_gateway_ends_when_asked_and_the_next_one_goes_on_at_once(
    children: Children, switch: Switch, engine: Agent, admission: Admission, gateway: GatewayProcess,
    venue: VenueProcess, journal: JournalView,
) -> None:  # fmt: skip
    """On SIGTERM it finishes the order in hand, leaves the fleet and gives the journal back."""
    send(engine, admission, "o-1")
    journal.outcome("o-1")
    assert gateway.end() == 0
    assert [member.worker_id for member in switch.control.status().members] == ["engine-1"]
    send(engine, admission, "o-2")
    second = GatewayProcess(
        children, switch.server, venue.url, "--max-age-ms", "60000", WORKERS_OWNERSHIP_MS=str(LONG_MS)
    )
    assert second.saw("gateway_owner")["wait_s"] == 0
    assert journal.outcome("o-2") == ("forwarded", "open")
    assert [event["order"] for event in venue.arrivals()] == ["o-1", "o-2"]


# -- its death, its rivals ------------------------------------------------------------------------------------------


def _sent_and_not_answered_for(
    switch: Switch, engine: Agent, admission: Admission, gateway: GatewayProcess, venue: VenueProcess,
    journal: JournalView,
) -> None:  # fmt: skip
    """The order o-1 is at the venue, and the gateway is dead before its outcome was written; so is its ownership."""
    send(engine, admission, "o-0")  # the gateway's agent is a member and has its permission
    journal.outcome("o-0")
    gateway.freeze()
    send(engine, admission, "o-1")
    switch.raw("CLIENT", "PAUSE", 30_000, "WRITE")
    gateway.thaw()
    eventually(lambda: venue.arrivals(order="o-1"), why="the order arrives")
    gateway.kill9()
    switch.raw("CLIENT", "UNPAUSE")
    assert switch.server.client(db=1).pexpire("workers:owner:gateway:orders", 1), "it was not given back"


def test_entry_sent_by_a_gateway_that_died_is_repeated_and_has_one_effect(
    children: Children, switch: Switch, engine: Agent, admission: Admission, gateway: GatewayProcess,
    venue: VenueProcess, journal: JournalView,
) -> None:  # fmt: skip
    """Killed between the send and the outcome: the next one sends again, and the venue knows the order already."""
    _sent_and_not_answered_for(switch, engine, admission, gateway, venue, journal)
    assert journal.waiting() == ["o-1"]
    second = GatewayProcess(children, switch.server, venue.url, "--max-age-ms", "60000")
    assert journal.outcome("o-1") == ("forwarded", "repeated")
    assert second.saw("gateway_owner")["wait_s"] > 0
    assert [event["accepted"] for event in venue.arrivals(order="o-1")] == [True, False]
    assert len(venue.status()["orders"]) == 2


def test_entry_sent_by_a_gateway_that_died_is_not_called_refused_after_a_stop(
    children: Children, switch: Switch, engine: Agent, admission: Admission, gateway: GatewayProcess,
    venue: VenueProcess, journal: JournalView,
) -> None:  # fmt: skip
    """The next gate is closed, but the order is at the venue: it is withdrawn there, and said to have been sent."""
    _sent_and_not_answered_for(switch, engine, admission, gateway, venue, journal)
    switch.control.engage("stop")
    GatewayProcess(children, switch.server, venue.url, "--max-age-ms", "60000")
    assert journal.outcome("o-1") == ("forwarded", "withdrawn")
    assert [order["client_id"] for order in venue.status()["orders"]] == ["o-0"]


def test_of_two_gateways_one_serves_and_the_other_takes_its_place(
    children: Children, switch: Switch, engine: Agent, admission: Admission, mortal: GatewayProcess,
    venue: VenueProcess, journal: JournalView,
) -> None:  # fmt: skip
    """Each order is sent by one of them; when the first dies the second goes on, after its ownership ran out."""
    second = GatewayProcess(children, switch.server, venue.url, "--max-age-ms", "60000", WORKERS_OWNERSHIP_MS=LIFE_MS)
    second.saw("gateway_standby")
    for number in range(20):
        send(engine, admission, f"o-{number}")
    journal.drained()
    mortal.kill9()
    for number in range(20, 40):
        send(engine, admission, f"o-{number}")
    journal.drained()
    second.owner()
    assert journal.outcomes() == {f"o-{number}": ("forwarded", "open") for number in range(40)}
    assert [event["order"] for event in venue.arrivals()] == [f"o-{number}" for number in range(40)]


def test_gateway_that_was_frozen_and_replaced_sends_nothing_when_it_wakes(
    children: Children, switch: Switch, engine: Agent, admission: Admission, mortal: GatewayProcess,
    venue: VenueProcess, journal: JournalView,
) -> None:  # fmt: skip
    """A stopped gateway finds its ownership gone; what it would say of entries is refused."""
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    mortal.freeze()
    second = GatewayProcess(children, switch.server, venue.url, "--max-age-ms", "60000", WORKERS_OWNERSHIP_MS=LIFE_MS)
    send(engine, admission, "o-1")
    assert journal.outcome("o-1")[0] == "forwarded"
    mortal.thaw()
    mortal.saw("gateway_ownership_lost")
    send(engine, admission, "o-2")
    assert journal.outcome("o-2") == ("forwarded", "open")
    assert [event["order"] for event in venue.arrivals()] == ["o-0", "o-1", "o-2"]
    assert mortal.child.process.poll() is None
    assert second.child.process.poll() is None
