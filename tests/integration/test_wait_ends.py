"""L2: the wait for the proof returns in time, whatever workers, sinks, Redis or strangers do, and tells what it saw."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from killswitch import Controller, FleetStatus, Outcome, Verdict, clock
from killswitch.core.fleet import MEMBERS_MAX
from tests.support.agents import hold_permit, release
from tests.support.server import RealServer
from tests.support.switch import STATE, Switch
from tests.support.waiting import Stopwatch

pytestmark = pytest.mark.faults

WAIT_S = 1.0
BOUND_S = WAIT_S + 1.0


def timed(engage: Callable[[Callable[[Outcome], None]], Outcome]) -> Outcome:
    """The outcome, which came within the promised time after Redis had confirmed the engagement."""
    watch = Stopwatch()
    outcome = engage(lambda _: watch.begin())
    took_s = watch.took_s
    assert took_s < BOUND_S, f"returned after {took_s:.2f} s: {outcome.note}"
    return outcome


def status(switch: Switch) -> FleetStatus:
    """What is so, by somebody who has time."""
    return Controller(switch.control.settings.model_copy(update={"timeout_ms": 60_000})).status()


def ghost(switch: Switch, worker_id: str = "w1", sinks: str = "venue/e1") -> None:
    """A worker that registered and never spoke again."""
    words = ("FCALL", "ks_beat", 1, STATE, 1, worker_id, 0, 0, 1, 60_000, 60_000, "life", "lease_ms", 300)
    switch.raw(*words, "info", json.dumps({"sinks": sinks}))


def test_redis_that_freezes_right_after_the_engagement(switch: Switch) -> None:
    """Nobody could be asked: UNCERTAIN, with the reason, in time."""
    ghost(switch)

    def engage(note: Callable[[Outcome], None]) -> Outcome:
        def engaged(outcome: Outcome) -> None:
            note(outcome)
            switch.server.sigstop()

        return switch.control.engage("stop", wait_s=WAIT_S, on_engaged=engaged)

    try:
        outcome = timed(engage)
    finally:
        switch.server.sigcont()
    assert outcome.verdict is Verdict.UNCERTAIN
    assert "the proof could not be had" in outcome.note
    assert outcome.durability is None
    assert not outcome.leases_out


def test_redis_that_freezes_during_the_wait(switch: Switch) -> None:
    """Those who were not quiet by then are named, with their last words."""
    ghost(switch)
    outcome = switch.control.engage("stop")
    watch = Stopwatch()
    try:
        outcome = switch.control.prove(outcome, WAIT_S, on_look=lambda _: switch.server.sigstop())
        took_s = watch.took_s
    finally:
        switch.server.sigcont()
    assert took_s < BOUND_S
    assert (outcome.verdict, [m.worker_id for m in outcome.pending]) == (Verdict.UNCERTAIN, ["w1"])
    assert "Redis could not be asked again" in outcome.note


def test_redis_that_cuts_every_connection_during_the_wait(switch: Switch) -> None:
    """The wait connects anew while there is time, and does not lose whom it waits for."""
    ghost(switch)

    def cut(_pending: object) -> None:
        switch.server.cli("CLIENT", "KILL", "TYPE", "normal")
        switch.server.cli("CLIENT", "KILL", "TYPE", "pubsub")

    outcome = switch.control.prove(switch.control.engage("stop"), WAIT_S, on_look=cut)
    assert (outcome.verdict, [m.worker_id for m in outcome.pending]) == (Verdict.UNCERTAIN, ["w1"])


def test_redis_that_is_gone_and_comes_back_with_its_record_still_gives_the_proof(durable_switch: Switch) -> None:
    """A connection that was lost is no verdict: who turns quiet afterwards is heard."""
    switch = durable_switch
    permit = hold_permit(switch.agent())
    looks: list[int] = []

    def looked(_pending: object) -> None:
        looks.append(1)
        if len(looks) == 1:
            switch.server.restart()
            release(permit)

    outcome = switch.control.prove(switch.control.engage("stop"), 20.0, on_look=looked)
    assert len(looks) > 1
    assert (outcome.verdict, outcome.note) == (Verdict.QUIET, "")


def test_a_membership_of_ten_thousand_strangers(switch: Switch) -> None:
    """All are counted and none is taken for quiet; the real one among them is named."""
    ghost(switch)
    fill(switch.server, 10_000 - 1)
    outcome = timed(lambda note: switch.control.engage("stop", wait_s=WAIT_S, on_engaged=note))
    assert outcome.verdict is Verdict.UNCERTAIN
    everybody = status(switch).members
    assert (len(everybody), sum(member.known for member in everybody)) == (10_000, 1)
    if not outcome.note:  # a machine that reads so many in that time; else that it could not be had is told
        assert len(outcome.pending) == len(outcome.members) == 10_000


def test_a_membership_beyond_all_measure_is_somebody_unknown(switch: Switch) -> None:
    """More than is ever read: the rest is one member that nobody knows, so there is no QUIET over it."""
    fill(switch.server, 3 * MEMBERS_MAX)
    outcome = timed(lambda note: switch.control.engage("stop", wait_s=WAIT_S, on_engaged=note))
    assert outcome.verdict is Verdict.UNCERTAIN
    rest = f"(more than {MEMBERS_MAX} members)"
    assert rest in {member.worker_id for member in status(switch).members if not member.known}
    if not outcome.note:
        assert rest in {member.worker_id for member in outcome.pending}


def fill(server: RealServer, count: int) -> None:
    """Puts garbage ids into the membership, and a row of nonsense for some of them."""
    client = server.client()
    with client.pipeline(transaction=False) as pipe:
        for start in range(0, count, 1000):
            ids = {f"stranger \x1b[2J {n}": n for n in range(start, min(start + 1000, count))}
            pipe.zadd("killswitch:workers", ids)
        for n in range(0, count, 50):
            pipe.set(f"killswitch:worker:stranger \x1b[2J {n}", "junk")
        pipe.execute()


def test_rows_of_monstrous_size(switch: Switch) -> None:
    """A hash with a hundred thousand fields, one with a field of 60 MB, one that follows ten thousand scopes."""
    for worker_id in ("many", "huge", "scopes"):
        ghost(switch, worker_id)
    client = switch.server.client()
    for start in range(0, 100_000, 10_000):
        client.hset("killswitch:worker:many", mapping={f"f{n}": "x" * 50 for n in range(start, start + 10_000)})
    client.hset("killswitch:worker:huge", "orders", "[" + "1," * 30_000_000 + "1]")
    client.hset("killswitch:worker:scopes", "scopes", ",".join(f"a:{n}" for n in range(5_000)))
    outcome = timed(lambda note: switch.control.engage("stop", wait_s=WAIT_S, on_engaged=note))
    assert outcome.verdict is Verdict.UNCERTAIN
    seen, known = status(switch), {"many": True, "huge": False, "scopes": True}
    assert {member.worker_id: member.known for member in seen.members} == known
    if not outcome.note:
        assert {member.worker_id: member.known for member in outcome.pending} == known
    assert len(seen.scopes) <= 1000


@contextmanager
def flooding(server: RealServer) -> Iterator[None]:
    """Somebody publishes acknowledgements of nobody, as fast as Redis takes them."""
    end = threading.Event()
    client = server.client()

    def publish() -> None:
        while not end.is_set():
            with client.pipeline(transaction=False) as pipe:
                for n in range(500):
                    pipe.publish("killswitch:acks", f"w{n} left")
                pipe.execute()

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(10)


def test_a_channel_flooded_with_acknowledgements(switch: Switch) -> None:
    """They only say when to look: the wait ends in time, and none of them proves anything."""
    ghost(switch)
    with flooding(switch.server):
        outcome = timed(lambda note: switch.control.engage("stop", wait_s=WAIT_S, on_engaged=note))
    assert (outcome.verdict, [m.worker_id for m in outcome.pending]) == (Verdict.UNCERTAIN, ["w1"])


def test_a_flood_does_not_hide_who_turns_quiet(switch: Switch) -> None:
    """A proof that comes in the middle of it is found."""
    agent = switch.agent()
    agent.wait_open(10)
    with flooding(switch.server):
        outcome = switch.control.engage("stop", wait_s=15.0)
    assert outcome.verdict is Verdict.QUIET


def test_sinks_that_accept_and_never_answer(switch: Switch) -> None:
    """As many as settings allow, all silent: asked side by side, named, and the wait ends in time."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(32)]
    names = [f"s{n}" for n in range(32)]
    for name in names:
        ghost(switch, f"w-{name}", f"{name}/e1")
    sinks = ",".join(
        f"{name}=tcp://127.0.0.1:{listener.getsockname()[1]}" for name, listener in zip(names, listeners, strict=True)
    )
    control = Controller(switch.settings(sinks=sinks))
    try:
        outcome = timed(lambda note: control.engage("stop", wait_s=WAIT_S, on_engaged=note))
    finally:
        for listener in listeners:
            listener.close()
    assert outcome.verdict is Verdict.UNCERTAIN
    assert len(outcome.fences) == 32
    assert all(one.missing.startswith(f"no fence at {one.worker_id[2:]}/e1") for one in outcome.fences)


def test_a_wait_that_begins_late_still_looks_once(switch: Switch) -> None:
    """Where loading the program took longer than the wait, the proof that is there already is found."""
    agent = switch.agent()
    agent.wait_open(10)
    outcome = switch.control.engage("stop", wait_s=10.0)
    again = switch.control.prove(outcome, 0.1, engaged_ns=clock.now_ns() - 5_000_000_000)
    assert (outcome.verdict, again.verdict) == (Verdict.QUIET, Verdict.QUIET)
