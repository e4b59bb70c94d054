"""Engines that send through a journal: worker, gateway and venue as processes of their own, and a stop of all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from killswitch import clock
from killswitch.control.outcome import Verdict
from tests.fleet.world import ENDLESS, PATIENCE_S, Fleet, Worker
from tests.support.agents import CALM
from tests.support.gateway import JournalView
from tests.support.processes import Children
from tests.support.venue import VenueProcess
from tests.support.waiting import eventually

pytestmark = [pytest.mark.fleet, pytest.mark.real]

LONG = {f"KILLSWITCH_{name.upper()}": str(value) for name, value in CALM.items()}
"""So that no gate closes unasked: an order in the journal would be refused for it."""


def trading(fleet: Fleet, venue: VenueProcess) -> tuple[Worker, Worker]:
    """A worker whose engine e1 trades through the journal `orders`, and the gateway that forwards."""
    env = {"WORKERS_VENUE_URL": venue.url, "WORKERS_ADMISSION_JOURNAL": "orders", **LONG}
    gateway = fleet.worker("gateway", **env)
    gateway.saw("gateway_owner")
    worker = fleet.worker(**env)
    fleet.place(ENDLESS)
    eventually(lambda: len(venue.arrivals(accepted=True)) > 3, timeout_s=PATIENCE_S, why=worker.child.output)
    return worker, gateway


def test_engine_trades_through_the_journal_and_hears_of_its_fills(
    fleet: Fleet, children: Children, tmp_path: Path
) -> None:
    """What Redis admitted is at the venue under the engine's own session and ownership, and its fills come back."""
    venue = VenueProcess(children, tmp_path)
    worker, _ = trading(fleet, venue)
    eventually(
        lambda: int(str(getattr(fleet.member(worker), "info", {}).get("fills", 0))) > 0,
        timeout_s=PATIENCE_S,
        why=f"the engine books fills: {venue.status()}",
    )
    token = worker.saw("job_started")["token"]
    arrivals = venue.arrivals(accepted=True)
    assert {(event["session"], event["owner"]) for event in arrivals} == {("e1", token)}
    ids = {event["order"] for event in arrivals}
    eventually(
        lambda: ids <= {order["order_id"] for order in fleet.orders("e1")},
        timeout_s=PATIENCE_S,
        why="the engine's own record has every order that arrived",
    )


def test_stop_of_a_fleet_with_a_gateway_is_quiet_and_leaves_nothing_at_the_venue(
    fleet: Fleet, children: Children, tmp_path: Path
) -> None:
    """After QUIET nothing arrives, whatever was in the journal; what worked is cancelled; a reset goes on."""
    venue = VenueProcess(children, tmp_path)
    trading(fleet, venue)
    view = JournalView(fleet.switch.unix_url)
    for _ in range(5):
        outcome = fleet.control.engage("stop", wait_s=PATIENCE_S)
        quiet_ns = clock.now_ns()
        assert outcome.verdict is Verdict.QUIET, outcome
        assert {member.engine for member in outcome.members} == {"e1"}
        assert len(outcome.members) == 2, "the worker and the gateway"
        eventually(lambda: not venue.status()["orders"], timeout_s=PATIENCE_S, why="nothing works at the venue")
        view.drained()
        clock.sleep(0.05)
        assert all(event["t"] <= quiet_ns for event in venue.arrivals())
        before = len(venue.arrivals())
        fleet.reset()
        again = lambda before=before: len(venue.arrivals()) > before + 3  # noqa: E731
        eventually(again, timeout_s=PATIENCE_S, why="orders arrive again")
    outcomes = view.outcomes()
    view.close()
    accepted = {event["order"] for event in venue.arrivals(accepted=True)}
    assert accepted >= {order for order, (outcome, _) in outcomes.items() if outcome == "forwarded"}
    assert {code for result, code in outcomes.values() if result != "forwarded"} <= {
        "engaged", "stale_signal", "state_changed", "StaleToken", "duplicate",
    }  # fmt: skip
