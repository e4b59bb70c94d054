"""A permission under a dead man's switch: trading is not disturbed while it is renewed, and over when it is not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from killswitch import Agent, Code, PermissionEnded, Renewer, StoreRefused, StoreUnavailable, View, clock
from killswitch.clock import NS_PER_MS
from killswitch.store.wire import connect
from tests.support.agents import CALM, closes_with, last_pass_ns, open_epoch, stays_closed
from tests.support.proxy import Proxy
from tests.support.switch import STATE, TIMEOUT_MS, Switch
from tests.support.waiting import eventually

OVER = "ENGAGED nobody renewed the permission: its dead man's switch ran out"

LIFE_S = 3.0
"""Of a permission that is to live on by its renewals: no stall of the machine between two of them lasts as long."""

Held = tuple[Renewer, int]


def taken(switch: Switch, *, every_s: float = 0.2, grace_s: float = 0.4, url: str = "") -> Held:
    """A renewer that has taken the permission of `switch`, and the time at which it had."""
    settings = switch.settings(timeout_ms=TIMEOUT_MS, **({"redis_url": url} if url else {}))
    renewer = Renewer(settings, every_s=every_s, grace_s=grace_s)
    renewer.take(switch.control.status().switch.epoch, "at the desk", "alice")
    return renewer, clock.now_ns()


def test_renewals_close_no_gate_and_change_no_epoch(switch: Switch) -> None:
    """Trading goes on under one epoch, unannounced, for longer than the permission would last without renewals."""
    agent = switch.agent(**CALM)
    renewer, taken_ns = taken(switch, every_s=0.05, grace_s=LIFE_S - 0.05)
    eventually(lambda: open_epoch(agent) == renewer.epoch, why="the new epoch is known")
    closed: list[Code] = []
    agent.on_close(lambda view: closed.append(view.code))
    until_ns = taken_ns + int(1.5 * LIFE_S * 1e9)
    while clock.now_ns() < until_ns:
        assert renewer.renew() > 0
        clock.sleep(0.02)
    assert Code.STATE_CHANGED not in closed
    assert open_epoch(agent) == renewer.epoch
    assert len(switch.control.audit()) == renewer.epoch


def test_no_check_passes_after_the_life_of_the_last_renewal(switch: Switch) -> None:
    """Bounded from the last renewal on, with nobody to tell the worker that its time is over; and written down."""
    agent = switch.agent(lease_ms=1000, renew_ms=250, beat_ms=20_000)  # it asks, and hardly ever beats
    open_epoch(agent)
    renewer, _ = taken(switch, every_s=0.5, grace_s=3.5)
    eventually(lambda: open_epoch(agent) == renewer.epoch, why="the new epoch is known")
    renewer.renew()
    renewed_ns = clock.now_ns()
    end_ns = renewed_ns + renewer.renewal.life_ms * NS_PER_MS
    last_ns = last_pass_ns(agent, end_ns + 500 * NS_PER_MS)
    assert 0 < last_ns <= end_ns
    assert "nobody renewed the permission" in closes_with(agent, Code.ENGAGED)
    assert switch.server.cli("GET", STATE) == OVER
    newest = switch.control.audit(1)[0]
    assert (newest.via, newest.actor, newest.before) == ("expiry", "killswitch", "SAFE")
    with pytest.raises(PermissionEnded):
        renewer.renew()
    stays_closed(agent)


def test_server_that_slept_through_the_end_revives_nothing(switch: Switch) -> None:
    """A renewal that lay in front of a frozen Redis is answered when it wakes: too late, and nothing opens."""
    agent = switch.agent()
    open_epoch(agent)
    renewer, taken_ns = taken(switch, grace_s=4.0)
    operation = switch.control.status().deadman
    assert operation is not None
    with contextlib.closing(connect(renewer.settings.endpoint, 10.0)) as wire:
        switch.server.sigstop()
        try:
            wire.send("FCALL", "ks_renew", 1, STATE, renewer.epoch, operation.operation, renewer.renewal.ask(taken_ns))
            with pytest.raises(StoreUnavailable), hasty(renewer):
                renewer.renew()
            assert renewer.renewal.over_in_ms(clock.now_ns()) > 0, "the one on its way may get through"
            clock.sleep(renewer.renewal.over_in_ms(clock.now_ns()) / 1000 + 0.05)
        finally:
            switch.server.sigcont()
        found = wire.next_answer()
    assert isinstance(found, StoreRefused)
    assert found.reason.startswith("ENDED")
    assert "nobody renewed" in closes_with(agent, Code.ENGAGED)
    with pytest.raises(PermissionEnded):
        renewer.renew()
    stays_closed(agent)


def test_renewal_whose_answer_was_lost_is_repeated_to_no_effect(switch: Switch) -> None:
    """The holder hears of it in the second attempt; the permission is the same one."""
    with Proxy(switch.server.port) as proxy:
        renewer, _ = taken(switch, grace_s=30, url=proxy.url)
        entries = len(switch.control.audit())
        proxy.delay_down_ns = 600 * NS_PER_MS
        asked_ns = proxy.asked_ns
        with pytest.raises(StoreUnavailable), hasty(renewer):
            renewer.renew()
        assert proxy.asked_ns > asked_ns
        proxy.delay_down_ns = 0
        assert renewer.renew() > 0
    assert len(switch.control.audit()) == entries
    assert switch.control.status().switch.epoch == renewer.epoch


@contextlib.contextmanager
def hasty(renewer: Renewer) -> Iterator[None]:
    """The holder has little patience meanwhile."""
    patient = renewer.settings
    renewer.settings = patient.model_copy(update={"timeout_ms": 200})
    try:
        yield
    finally:
        renewer.settings = patient


def test_engaging_ends_every_renewal_that_races_it(switch: Switch) -> None:
    """Whatever the order: after the engagement no renewal is confirmed, and the state says so."""
    agent = switch.agent()
    open_epoch(agent)
    renewer, _ = taken(switch, grace_s=30)
    confirmed_ns: list[int] = []
    ended: list[str] = []

    def renew() -> None:
        with contextlib.suppress(StoreUnavailable):
            while True:
                begun_ns = clock.now_ns()
                try:
                    renewer.renew()
                except PermissionEnded as error:
                    ended.append(error.reason)
                    return
                confirmed_ns.append(begun_ns)

    racing = threading.Thread(target=renew)
    racing.start()
    eventually(lambda: len(confirmed_ns) > 5, why="renewals are under way")
    outcome = switch.control.engage("fat finger", "bob")
    engaged_ns = clock.now_ns()
    racing.join(10)
    assert ended == ["the switch was changed"]
    assert max(confirmed_ns) <= engaged_ns
    assert switch.server.cli("GET", STATE) == "ENGAGED fat finger"
    assert switch.control.status().switch.epoch == outcome.epoch
    closes_with(agent, Code.ENGAGED)


def test_worker_that_saw_the_end_opens_only_at_a_newer_permission(switch: Switch) -> None:
    """A record that says otherwise afterwards, by a late hand, is of an epoch at which it was told of the end."""
    agent: Agent = switch.agent()
    open_epoch(agent)
    renewer, _ = taken(switch, grace_s=30)
    eventually(lambda: open_epoch(agent) == renewer.epoch, why="the new epoch is known")
    opened: list[View] = []
    switch.raw("ACL", "SETUSER", "default", "-set")  # so that no beat can put the end into words
    try:
        ledger = "killswitch:ledger"
        record = switch.server.cli("HGET", ledger, "deadman").strip('"')
        switch.raw("HSET", ledger, "deadman", record.replace(record.split()[1], "1"))
        closes_with(agent, Code.PERMISSION_EXPIRED)
        agent.on_open(opened.append)
        ended = eventually(lambda: _over(switch), why="the end is on record, if not in the state")
        switch.raw("HSET", ledger, "deadman", f"{ended} {record.partition(' ')[2]}")
        stays_closed(agent)
        assert opened == []
    finally:
        switch.raw("ACL", "SETUSER", "default", "+set")
    switch.control.reset(switch.control.status().switch.epoch, "again")
    assert open_epoch(agent) > renewer.epoch


def _over(switch: Switch) -> int:
    """The epoch at which the end was recorded, 0 before that."""
    newest = switch.control.audit(1)[0]
    return newest.epoch if newest.via == "expiry" else 0
