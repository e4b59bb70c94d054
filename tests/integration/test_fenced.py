"""FENCED (P6, S1, S16): who did not answer has no lease any more, and its sinks refuse what it had in hand."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from killswitch import Controller, Outcome, Verdict, clock
from killswitch.control import fencing
from killswitch.core.lease import closed_by_ms
from tests.history.checker import check
from tests.history.events import History
from tests.support.agents import CALM, FAST, Worker, frozen, hold_permit, open_epoch, release
from tests.support.processes import Children
from tests.support.switch import STATE, TIMEOUT_MS, Switch
from tests.support.venue import VenueLine, VenueProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

BOUND_MS = closed_by_ms(FAST["lease_ms"])
WAIT_S = 10.0


@pytest.fixture
def venue(children: Children, tmp_path: Path) -> VenueProcess:
    """A venue process."""
    return VenueProcess(children, tmp_path)


def operator(switch: Switch, *sinks: str) -> Controller:
    """A controller that knows these sinks."""
    return Controller(switch.settings(sinks=",".join(sinks), timeout_ms=TIMEOUT_MS))


def holder(switch: Switch, sinks: str | None = "venue/e1", worker_id: str = "w1", **options: Any) -> Worker:
    """A worker between its check and its send: the permit is held, the order c-1 is still in its hand."""
    worker = switch.worker(worker_id=worker_id, info={"sinks": sinks} if sinks else {}, beat_ms=50, **options)
    worker.opens()
    eventually(lambda: worker.ask("hold", order_id="c-1") == "", why="a permit is granted", timeout_s=20)
    eventually(lambda: in_flight(switch, worker_id) == 1, why="a beat tells of it", timeout_s=20)
    return worker


def in_flight(switch: Switch, worker_id: str) -> int:
    """The worker's last words on its orders."""
    return next((m.in_flight for m in switch.control.status().members if m.worker_id == worker_id), -1)


def missing(outcome: Outcome, worker_id: str = "w1") -> str:
    """What keeps this worker from being fenced."""
    return next(one.missing for one in outcome.fences if one.worker_id == worker_id)


def test_a_worker_stopped_between_check_and_send_is_fenced_and_its_order_is_refused(
    switch: Switch, venue: VenueProcess
) -> None:
    """P6, S1: FENCED is said once its lease is over and the venue has confirmed; when it wakes and sends, it is
    refused; and the judge of histories finds nothing wrong in what the venue wrote down."""
    worker = holder(switch)
    open_epoch(switch.agent())
    frozen(worker)
    begun = clock.now_ns()
    confirmed: list[int] = []
    outcome = operator(switch, venue.setting).engage(
        "stop", wait_s=WAIT_S, on_engaged=lambda _: confirmed.append(clock.now_ns())
    )
    ended = clock.now_ns()
    assert (outcome.verdict, outcome.note) == (Verdict.FENCED, "")
    assert [m.worker_id for m in outcome.pending] == ["w1"]
    assert BOUND_MS <= outcome.waited_ms < WAIT_S * 1000
    assert outcome.leases_out
    (stands,) = outcome.fences
    assert (stands.worker_id, stands.fenced, stands.missing) == ("w1", True, "")
    assert [(fence.sink, fence.fence) for fence in stands.fences] == [("venue/e1", outcome.epoch)]
    worker.send(signal.SIGCONT)
    assert worker.ask("send", order_id="c-1", venue=venue.url, session="e1") == "StaleToken"
    (arrival,) = venue.arrivals()
    assert (arrival["accepted"], arrival["worker"], arrival["fence"]) == (False, "w1", outcome.epoch)
    assert violations(venue, outcome, begun, confirmed[0], ended) == []


def violations(venue: VenueProcess, outcome: Outcome, begun: int, confirmed: int, ended: int) -> list[Any]:
    """What the judge says about the venue's record beside this engagement."""
    run = History(venue.history)
    run.add("meta", 0, source="faults", seed=0, lease_ms=300, renew_ms=60, rate_error=0.1, split_ms=0, p2=True)
    run.add("worker", 1, worker="w1", scopes=[], lease_ms=300, sinks=["venue/e1"])
    run.add("op", begun, op="o", action="engage", scope="switch", wait_s=WAIT_S)
    run.add(
        "state", confirmed, server="s", scope="switch", mode="ENGAGED", epoch=outcome.epoch, via="engage", looked=None,
        from_t=begun,
    )  # fmt: skip
    run.add(
        "op_end", ended, op="o", result=str(outcome.verdict), epoch=outcome.epoch, members=["w1"], pending=["w1"],
        leases_out=outcome.leases_out, engaged_t=confirmed,
    )  # fmt: skip
    return check(History(sorted(run, key=lambda event: event["t"])))


def test_a_dead_worker_is_fenced(switch: Switch, venue: VenueProcess) -> None:
    """P6: the incident does not wait for somebody to look into it; the worker stays named."""
    worker = holder(switch)
    worker.stop()
    outcome = operator(switch, venue.setting).engage("stop", wait_s=WAIT_S)
    assert outcome.verdict is Verdict.FENCED
    assert [(m.worker_id, m.in_flight, m.orders) for m in outcome.pending] == [("w1", 1, ("c-1",))]


def test_without_sinks_in_the_settings_or_in_its_words_it_is_uncertain(switch: Switch, venue: VenueProcess) -> None:
    """P6: a lease that ran out is no proof about an order in hand; what is missing is named, of whom it is."""
    frozen(holder(switch))
    frozen(holder(switch, sinks=None, worker_id="w2"))
    outcome = switch.control.engage("stop", wait_s=3.0)
    assert (outcome.verdict, outcome.leases_out) == (Verdict.UNCERTAIN, True)
    assert "KILLSWITCH_SINKS does not say where to find venue" in missing(outcome)
    assert "names no sink" in missing(outcome, "w2")
    outcome = operator(switch, venue.setting).engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert {one.worker_id: one.fenced for one in outcome.fences} == {"w1": True, "w2": False}


def test_one_sink_of_several_that_does_not_confirm_is_uncertain(switch: Switch, venue: VenueProcess) -> None:
    """S16: every sink that it named, not most of them."""
    frozen(holder(switch, sinks="venue/e1,other/x"))
    outcome = operator(switch, venue.setting, "other=tcp://127.0.0.1:1").engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "no fence at other/x: other cannot be reached" in missing(outcome)
    (stands,) = outcome.fences
    assert [(fence.sink, fence.fence) for fence in stands.fences] == [("venue/e1", outcome.epoch), ("other/x", 0)]


def test_a_wait_that_ends_before_the_lease_fences_nobody(switch: Switch, venue: VenueProcess) -> None:
    """P3: until the lease has surely run out the gate may be open, so there is nothing to prove, and no
    healthy worker's order is refused for the sake of an impatient operator."""
    lease_ms, bound_ms = 60_000, closed_by_ms(60_000)  # the longest: no stall lasts from its end to the bound
    frozen(holder(switch, **{**CALM, "lease_ms": lease_ms}))
    stop, begun_ms = switch.control.engage("stop"), clock.now_ns() // clock.NS_PER_MS - lease_ms - 1000
    outcome = operator(switch, venue.setting).prove(stop, lease_ms / 1000 + 2, begun_ms * clock.NS_PER_MS)
    assert (outcome.verdict, outcome.leases_out) == (Verdict.UNCERTAIN, False)
    assert f"its lease may run until {bound_ms} ms" in missing(outcome)
    assert outcome.lease_bound_ms == bound_ms
    assert [event for event in venue.history if event["kind"] == "fence"] == []


def test_a_member_whose_words_are_gone_is_uncertain_whatever_is_fenced(switch: Switch, venue: VenueProcess) -> None:
    """P6: nobody knows where the orders of somebody go who cannot be asked."""
    frozen(holder(switch))
    switch.raw("DEL", "killswitch:worker:w1")
    outcome = operator(switch, venue.setting).engage("stop", wait_s=2.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "nobody knows" in missing(outcome)


def test_two_lives_under_one_name_are_uncertain(switch: Switch, venue: VenueProcess) -> None:
    """P6: the row speaks for the newer process; where the frozen one's orders go is not in it any more."""
    frozen(holder(switch, sinks="venue/old"))
    words = ("FCALL", "ks_beat", 1, STATE, 1, "w1", 0, 1, 0, 60_000, 60_000, "newer life", "lease_ms", 300)
    switch.raw(*words, "info", json.dumps({"sinks": "venue/new"}))
    outcome = operator(switch, venue.setting).engage("stop", wait_s=2.0)
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "another process" in missing(outcome)


def test_only_the_sessions_of_those_who_did_not_answer_are_fenced(switch: Switch, venue: VenueProcess) -> None:
    """A fence refuses what a healthy worker sends as well, so it stands where it is needed and nowhere else; nor does
    it say more than the epoch of the stop."""
    healthy = switch.worker(worker_id="first", info={"sinks": "venue/e2"}, lease_ms=3000, patience_ms=1500)
    healthy.opens()
    frozen(holder(switch, lease_ms=3500))  # it ends after that of the healthy one, which answers before its own does
    outcome = operator(switch, venue.setting).engage("stop", wait_s=WAIT_S)
    assert outcome.verdict is Verdict.FENCED
    fenced = {event["session"]: event["fence"] for event in venue.history if event["kind"] == "fence"}
    assert fenced == {"e1": outcome.epoch}
    assert {m.worker_id for m in outcome.members} == {"first", "w1"}


def test_a_whole_fleet_that_died_is_fenced_at_once(
    switch: Switch, venue: VenueProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host with three hundred engines went away: all their sessions are asked for together."""
    asked = Mock(wraps=fencing.raise_fences)  # type: ignore[attr-defined]
    monkeypatch.setattr(fencing, "raise_fences", asked)
    client = switch.server.client()
    for n in range(300):
        words = ("FCALL", "ks_beat", 1, STATE, 1, f"w{n}", 0, 0, 1, 60_000, 60_000, "life", "lease_ms", 300)
        client.execute_command(*words, "info", json.dumps({"sinks": f"venue/e{n}"}))
    outcome = operator(switch, venue.setting).engage("stop", wait_s=WAIT_S)
    assert outcome.verdict is Verdict.FENCED
    assert len(outcome.fences) == 300
    assert len(asked.call_args_list[0].args[2]) == 300
    assert asked.call_count < 10  # what was not confirmed in time is asked for again, also together
    assert len({event["session"] for event in venue.history if event["kind"] == "fence"}) == 300


def test_a_scope_fences_its_followers_and_trading_resumes_above_the_fence(switch: Switch, venue: VenueProcess) -> None:
    """S14, S16: the stop of a part is proved of its followers; after the reset orders carry a newer epoch and pass."""
    worker = holder(switch, scopes=["symbol:EURUSD"])
    frozen(worker)
    outcome = operator(switch, venue.setting).engage("one pair", scope="symbol:EURUSD", wait_s=WAIT_S)
    assert outcome.verdict is Verdict.FENCED
    worker.send(signal.SIGCONT)
    assert worker.ask("send", order_id="c-1", venue=venue.url, session="e1") == "StaleToken"
    switch.control.reset(outcome.epoch, "go on", scope="symbol:EURUSD")
    worker.opens()
    eventually(lambda: worker.ask("hold", order_id="c-2") == "", why="a permit is granted", timeout_s=20)
    assert worker.ask("send", order_id="c-2", venue=venue.url, session="e1") == ""


def test_who_says_closed_with_an_order_in_hand_is_waited_for_and_then_fenced(
    switch: Switch, venue: VenueProcess
) -> None:
    """P7: its order may still end in order, and then it is QUIET; when the time is up it is FENCED, and named."""
    agent = switch.agent(worker_id="w1", beat_ms=2000)
    agent.annotate(sinks="venue/e1")
    permit = hold_permit(agent, "c-1")
    eventually(lambda: switch.control.status().members[0].sinks == ("venue/e1",), why="a beat names its sink")
    control = operator(switch, venue.setting)
    outcome = control.engage("stop", wait_s=3.0)
    assert outcome.verdict is Verdict.FENCED
    assert outcome.waited_ms >= 3000
    assert [(m.worker_id, m.closed, m.in_flight) for m in outcome.pending] == [("w1", True, 1)]
    ending = threading.Timer(0.5, lambda: release(permit))
    ending.start()
    outcome = control.engage("again", wait_s=WAIT_S)
    ending.join()
    assert (outcome.verdict, outcome.pending) == (Verdict.QUIET, ())


def test_leases_count_anew_from_a_stop_that_replaced_the_one_waited_for(switch: Switch, venue: VenueProcess) -> None:
    """P6: permissions may have been given between the two, so nobody's lease is over before it would be from then on,
    and the fence is raised to the newer epoch."""
    frozen(holder(switch))
    control = operator(switch, venue.setting)
    outcome = control.engage("stop")
    control.reset(outcome.epoch, "too early")
    newer = control.engage("stop again")
    begun = clock.now_ns()
    found = control.prove(outcome, 2 * WAIT_S, engaged_ns=begun - int(WAIT_S * 1e9))
    assert (found.verdict, found.epoch) == (Verdict.FENCED, newer.epoch)
    assert (clock.now_ns() - begun) / 1e6 >= BOUND_MS
    assert [fence.fence for fence in found.fences[0].fences] == [newer.epoch]


def test_a_lower_epoch_never_lowers_the_fence(switch: Switch, venue: VenueProcess) -> None:
    """S16: what a later stop has raised stays, whoever asks for less; and what stands is what is told."""
    with venue.line() as line:
        line.ask("raise_fence", epoch=1000)
    frozen(holder(switch))
    outcome = operator(switch, venue.setting).engage("stop", wait_s=WAIT_S)
    assert outcome.verdict is Verdict.FENCED
    assert outcome.fences[0].fences[0].fence == 1000
    assert venue.status()["fence"] == 1000


def test_a_venue_killed_and_started_again_remembers_what_it_confirmed(switch: Switch, venue: VenueProcess) -> None:
    """S1, S16: kill -9 of the sink after FENCED does not let the old order in."""
    worker = holder(switch)
    frozen(worker)
    assert operator(switch, venue.setting).engage("stop", wait_s=WAIT_S).verdict is Verdict.FENCED
    venue.kill9()
    venue.start()
    worker.send(signal.SIGCONT)
    assert worker.ask("send", order_id="c-1", venue=venue.url, session="e1") == "StaleToken"


def test_a_sink_that_comes_back_while_there_is_time_is_asked_again(switch: Switch, venue: VenueProcess) -> None:
    """The wait is used: a venue that is frozen at first confirms in the end."""
    frozen(holder(switch))
    venue.sigstop()
    back = threading.Timer(1.5, venue.sigcont)
    back.start()
    outcome = operator(switch, venue.setting).engage("stop", wait_s=WAIT_S)
    back.join()
    assert outcome.verdict is Verdict.FENCED
    assert outcome.waited_ms >= 1000


def test_redis_that_dies_after_a_look_does_not_undo_what_is_known(switch: Switch, venue: VenueProcess) -> None:
    """P3, P6: who is a member was read after the stop; without Redis no lease is renewed, and the sink is asked."""
    frozen(holder(switch))
    control = operator(switch, venue.setting)
    outcome = control.engage("stop")
    looks: list[int] = []

    def looked(_pending: object) -> None:
        looks.append(1)
        switch.server.kill9()

    outcome = control.prove(outcome, 3.0, on_look=looked)
    assert (outcome.verdict, len(looks)) == (Verdict.FENCED, 1)
    assert outcome.waited_ms < 3000
    with VenueLine(venue.url) as line:
        assert line.order("c-1", outcome.epoch - 1)["error"] == "StaleToken"
