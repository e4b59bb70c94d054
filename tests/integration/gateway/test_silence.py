"""A venue or a Redis that does not answer: what a gateway says of orders, and that nobody is called quiet too early."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from killswitch import Admission, AdmissionUnknown, Agent, SinkAddress, clock
from killswitch.control.outcome import Verdict
from tests.support.gateway import JournalView, Start, blocked, permit, send
from tests.support.proxy import Proxy, _Pipe
from tests.support.switch import Switch
from tests.support.venue import VenueProcess
from tests.support.waiting import eventually


class Losing(Proxy):
    """A way to the venue that loses orders while `deaf`, and the answers to orders while `mute`; nothing else."""

    deaf = mute = False

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.lost: list[bytes] = []
        self._muted: set[object] = set()

    def _take(self, pipe: _Pipe) -> None:
        super()._take(pipe)
        if not pipe.waiting:
            return
        order = pipe.upward and b'"submit"' in pipe.waiting[-1][1]
        if order and self.mute:
            self._muted.add(pipe.sink)
        if (order and self.deaf) or (not pipe.upward and pipe.source in self._muted):
            self._muted.discard(pipe.source)
            self.lost.append(pipe.waiting.pop()[1])


@pytest.fixture
def way(venue: VenueProcess, stack: ExitStack) -> Losing:
    """A way to the venue."""
    return stack.enter_context(Losing(SinkAddress.parse(venue.url).port))


def test_order_that_the_venue_has_not_answered_keeps_the_fleet_from_being_called_quiet(
    switch: Switch, engine: Agent, admission: Admission, start: Start, way: Losing, venue: VenueProcess,
    journal: JournalView,
) -> None:  # fmt: skip
    """It may still arrive: quiet is there only once the venue vouches that nothing comes of it, and then it holds."""
    start(f"tcp://127.0.0.1:{way.port}")
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    way.deaf = True
    send(engine, admission, "o-1")
    eventually(lambda: way.lost, why="the order is on its way")
    way.black_hole()  # so that the venue vouches for nothing yet, however long the rest takes
    eventually(
        lambda: [order for member in switch.control.status().members for order in member.orders] == ["o-1"],
        why="the order is in sight",
    )
    outcome = switch.control.engage("stop", wait_s=1.0)
    assert outcome.verdict is not Verdict.QUIET
    assert [order for member in outcome.pending for order in member.orders] == ["o-1"]
    way.heal()
    assert journal.outcome("o-1") == ("refused", "unanswered")
    assert switch.control.engage("stop again", wait_s=5).verdict is Verdict.QUIET
    with venue.line() as line:
        line.send(way.lost[0])
        assert not line.read()["ok"], "the late order was taken after quiet"
    assert [order["client_id"] for order in venue.status()["orders"]] == ["o-0"]


def test_order_whose_answer_is_lost_is_withdrawn_and_said_to_have_been_sent(
    engine: Agent, admission: Admission, start: Start, way: Losing, venue: VenueProcess, journal: JournalView
) -> None:
    """The venue took it; nobody is told that it did not. The ones behind it are not held up."""
    start(f"tcp://127.0.0.1:{way.port}")
    way.mute = True
    send(engine, admission, "o-1")
    eventually(lambda: way.lost, why="the answer is lost")
    way.mute = False
    assert journal.outcome("o-1") == ("forwarded", "withdrawn")
    send(engine, admission, "o-2")
    assert journal.outcome("o-2") == ("forwarded", "open")
    assert [order["client_id"] for order in venue.status()["orders"]] == ["o-2"]


def test_fate_that_the_venue_does_not_tell_is_called_unknown_and_counts_as_in_flight(
    switch: Switch, engine: Agent, admission: Admission, start: Start, way: Losing, venue: VenueProcess,
    journal: JournalView,
) -> None:  # fmt: skip
    """After its time the order has an outcome and the queue goes on; the fleet is not quiet until the venue answers."""
    gateway = start(f"tcp://127.0.0.1:{way.port}", max_age_ms=5000)
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    way.mute = True
    send(engine, admission, "o-1")
    eventually(lambda: way.lost, why="the answer is lost")
    way.black_hole()
    assert journal.outcome("o-1") == ("unknown", "unanswered")
    assert switch.control.engage("stop", wait_s=0.3).verdict is not Verdict.QUIET
    way.heal()
    eventually(
        lambda: switch.control.engage("stop again", wait_s=1).verdict is Verdict.QUIET,
        timeout_s=20,
        why="it is settled",
    )
    assert [order["client_id"] for order in venue.status()["orders"]] == ["o-0"]
    assert gateway.end()


def test_venue_that_is_away_does_not_hold_up_a_stop(
    switch: Switch, engine: Agent, admission: Admission, start: Start, way: Losing, venue: VenueProcess,
    journal: JournalView,
) -> None:  # fmt: skip
    """Nothing was sent to it, so the fleet is quiet at once, and the waiting order is refused."""
    start(f"tcp://127.0.0.1:{way.port}")
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    way.black_hole()
    clock.sleep(1.1)  # what the gateway knows of the session is old by then, so it asks before it sends
    send(engine, admission, "o-1")
    assert switch.control.engage("stop", wait_s=5).verdict is Verdict.QUIET
    assert journal.outcome("o-1") == ("refused", "engaged")
    assert [event["order"] for event in venue.arrivals()] == ["o-0"]


def test_gateway_goes_on_after_redis_was_restarted(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """It comes back by itself; what the lost Redis had held is gone, and nothing is sent twice."""
    start()
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    switch.server.restart(wipe=True)
    switch.control.init()
    permit(switch.control)
    eventually(lambda: blocked(engine, admission, "o-1") is None, timeout_s=20, why="orders are admitted again")
    again = JournalView(switch.url)
    assert again.outcome("o-1") == ("forwarded", "open")
    again.close()
    assert [event["order"] for event in venue.arrivals()] == ["o-0", "o-1"]


def test_sender_that_heard_nothing_asks_again_and_the_order_arrives_once(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """Across an unknown answer and its repetition the venue sees one order."""
    start()
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    switch.server.sigstop()
    with pytest.raises(AdmissionUnknown):
        send(engine, admission, "o-1", patient=False)
    switch.server.sigcont()
    send(engine, admission, "o-1")
    journal.outcome("o-1")
    journal.drained()
    assert len(venue.arrivals(order="o-1")) <= 1


def test_library_that_was_lost_and_loaded_again_costs_no_order(
    switch: Switch, engine: Agent, admission: Admission, start: Start, venue: VenueProcess, journal: JournalView
) -> None:
    """The gateway's gate closes with the library and opens with it; the order in between waits for it."""
    start()
    send(engine, admission, "o-0")
    journal.outcome("o-0")
    switch.raw("FUNCTION", "FLUSH")
    clock.sleep(0.1)
    switch.control.init()
    send(engine, admission, "o-1")
    assert journal.outcome("o-1") == ("forwarded", "open")
