"""Drills on a live fleet: who acknowledges, who does not, and that a real stop comes first."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from killswitch import Code, Controller, DrillBusy, DrillVerdict, StoreRefused, Verdict
from killswitch.core.roles import ROLES, AclUser
from killswitch.store.keys import Keys
from tests.support.agents import (
    CALM,
    PATIENCE_S,
    blocked_code,
    closes_with,
    fast_settings,
    frozen,
    hold_permit,
    open_epoch,
    release,
)
from tests.support.roles import SECRET_HASH
from tests.support.switch import STATE, TIMEOUT_MS, Switch
from tests.support.waiting import eventually

KEYS = Keys("killswitch")


def rows_say_open(switch: Switch) -> None:
    """Waits until every row of the fleet says that its gate is open: the beat that says so may be a moment away."""
    eventually(
        lambda: all(member.code == "open" and not member.closed for member in switch.control.status().members),
        timeout_s=PATIENCE_S,
        why="all rows say open",
    )


def test_every_worker_acknowledges_a_drill_and_nothing_changes(switch: Switch) -> None:
    """All within the bound, each with its own times; switch, epoch, record and rows are as before."""
    agents = [
        switch.agent(["symbol:EURUSD"], **CALM),
        switch.agent(engine="e1", **CALM),
        switch.agent(rung="tracking", **CALM),
    ]
    epochs = [open_epoch(agent) for agent in agents]
    permit = hold_permit(agents[1], "o-1")
    rows_say_open(switch)
    before, audit = switch.control.status(), switch.control.audit()
    drill = switch.control.drill("alice")
    assert (drill.verdict, drill.record.workers, drill.record.acknowledged) == (DrillVerdict.PASSED, 3, 3)
    assert {one.worker_id for one in drill.workers} == {agent.worker_id for agent in agents}
    for one in drill.workers:
        times = (0, one.shut_us, one.asked_us, one.heard_us, one.bound_ms * 1000)
        assert list(times) == sorted(times)  # type: ignore[type-var]
        assert one.recorded_us is not None
        assert one.in_flight == (one.engine == "e1")
    assert drill.record.in_flight == 1
    after = switch.control.status()
    assert (after.switch, after.epoch, after.scopes) == (before.switch, before.epoch, before.scopes)
    assert switch.control.audit() == audit
    assert all((member.closed, member.mode, member.code) == (False, "SAFE", "open") for member in after.members)
    assert [open_epoch(agent) for agent in agents] == epochs
    assert (switch.control.drills(), after.drill, after.last_drill) == ([drill.record], None, drill.record)
    release(permit)


def test_a_stopped_fleet_acknowledges_as_well_and_stays_quiet(switch: Switch) -> None:
    """The line is measured, nobody opens, and the proof of the stop stands as it was."""
    agents = [switch.agent(**CALM), switch.agent(**CALM)]
    for agent in agents:
        open_epoch(agent)
    outcome = switch.control.engage("stop", wait_s=PATIENCE_S)
    drill = switch.control.drill()
    assert (drill.verdict, drill.record.mode, drill.record.acknowledged) == (DrillVerdict.PASSED, "ENGAGED", 2)
    assert {blocked_code(agent) for agent in agents} <= {Code.ENGAGED, Code.STATE_CHANGED}
    members = switch.control.status().members
    assert [(member.quiet_epoch, member.closed) for member in members] == [(outcome.epoch, True)] * 2


@pytest.mark.faults
def test_who_does_not_acknowledge_is_named_with_the_reason(switch: Switch) -> None:
    """Frozen, an older release, one that no announcement reaches: each in its own words; the others still count."""
    long = {**CALM, "lease_ms": 3000, "patience_ms": 1500}  # though not too long: the sleeper is waited for to the end
    good, polling, sleeper = switch.agent(**long), switch.agent(rung="polling"), switch.worker(**long)
    open_epoch(good)
    open_epoch(polling)
    sleeper.opens()
    asleep = sleeper.ask("view")["worker_id"]
    # A worker of a release that knew no drills: its beats never have the field.
    switch.raw("FCALL", "ks_beat", 1, STATE, 1, "old", 0, 1, 0, 60000, 60000, "life", "rung", "bcast", "lease_ms", 300)
    frozen(sleeper)
    drill = switch.control.drill()
    assert drill.verdict is DrillVerdict.MISSED
    why = {one.worker_id: one.missing for one in drill.missing}
    assert set(why) == {polling.worker_id, asleep, "old"}
    assert "polling" in why[polling.worker_id]
    assert "does not know drills" in why["old"]
    assert why[asleep].startswith(f"no acknowledgement within {drill.record.bound_ms} ms")
    assert [one.worker_id for one in drill.workers if one.acknowledged] == [good.worker_id]
    assert set(drill.record.missing.split(", ")) == set(why)


def test_an_empty_fleet_is_no_success(switch: Switch) -> None:
    """Nobody is there to acknowledge anything."""
    drill = switch.control.drill()
    assert (drill.verdict, drill.workers) == (DrillVerdict.MISSED, ())
    assert "no worker is registered" in drill.record.note


class Waiting:
    """A drill that waits, because one worker is frozen, made by alice on a thread of its own."""

    def __init__(self, switch: Switch, lease_ms: int) -> None:
        self.sleeper = switch.worker(lease_ms=lease_ms, patience_ms=lease_ms // 2)
        self.sleeper.opens()
        self.asleep = self.sleeper.ask("view")["worker_id"]
        frozen(self.sleeper)
        self._control = Controller(switch.settings(timeout_ms=TIMEOUT_MS))
        self._results: list[Any] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        eventually(lambda: switch.control.status().drill, timeout_s=PATIENCE_S, why="the drill is under way")

    def _run(self) -> None:
        self._results.append(self._control.drill("alice"))

    def result(self) -> Any:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self._results[0]


@pytest.mark.faults
@pytest.mark.parametrize("how", ["engage", "raw", "scope"])
def test_a_real_stop_during_a_drill_comes_first(switch: Switch, how: str) -> None:
    """It is a stop like any other, with its proof; the drill gives way, long before its bound, and says why."""
    agent = switch.agent(["symbol:EURUSD"], **CALM)
    open_epoch(agent)
    waiting = Waiting(switch, lease_ms=50_000)
    if how == "raw":
        switch.engage_raw()
    else:
        outcome = switch.control.engage("real", scope="symbol:EURUSD" if how == "scope" else None, wait_s=3.0)
        assert [one.worker_id for one in outcome.pending] == ([] if how == "scope" else [waiting.asleep])
        assert outcome.verdict is (Verdict.QUIET if how == "scope" else Verdict.UNCERTAIN)
    drill = waiting.result()
    assert drill.verdict is DrillVerdict.CUT_SHORT
    assert "really changed" in drill.record.note
    closes_with(agent, Code.ENGAGED, Code.SCOPE_ENGAGED)
    assert switch.control.drills()[0].verdict == "CUT_SHORT"
    assert switch.control.status().drill is None


@pytest.mark.faults
def test_drills_do_not_get_into_each_others_way(switch: Switch) -> None:
    """A second one is refused and told by whom; a forged word on the channel neither acknowledges anything nor ends the
    wait for who is only slow; and who left meanwhile is nobody's to wait for."""
    agent, leaver = switch.agent(**CALM), switch.agent(**CALM)
    open_epoch(agent)
    open_epoch(leaver)
    waiting = Waiting(switch, lease_ms=20_000)
    with pytest.raises(DrillBusy, match="alice"):
        switch.control.drill("bob")
    with switch.server.line() as line:
        token = str(line.call("GET", KEYS.drill)).split()[0]
        line.call("PUBLISH", KEYS.acks, f"{waiting.asleep} drill:{token}")
    assert leaver.close()
    with pytest.raises(DrillBusy):
        switch.control.drill("bob")
    waiting.sleeper.send(signal.SIGCONT)
    drill = waiting.result()
    assert drill.verdict is DrillVerdict.PASSED
    assert {one.worker_id for one in drill.workers} == {waiting.asleep, agent.worker_id}


def test_who_breaks_off_a_drill_leaves_the_way_free(switch: Switch) -> None:
    """An exception, Ctrl-C among them, ends the drill in Redis as well; a polite end is CUT_SHORT and is not kept."""
    open_epoch(switch.agent(**CALM))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        switch.control.drill(heard=interrupt)
    assert switch.control.status().drill is None
    drill = switch.control.drill(stopping=lambda: True)
    assert (drill.verdict, drill.kept) == (DrillVerdict.CUT_SHORT, False)
    assert switch.control.drill().verdict is DrillVerdict.PASSED
    assert len(switch.control.drills()) == 1


def test_who_may_only_drill_drills_workers_that_may_only_work(switch: Switch) -> None:
    """The roles that `killswitch acl` prints are enough on both sides, and a driller can neither stop nor permit."""
    with switch.server.line() as line:
        for role in ("worker", "driller"):
            line.call(*AclUser(ROLES[role], role, "killswitch", password_hash=SECRET_HASH).command.split())
    urls = {role: f"unix://{role}:secret@{switch.server.socket_path}" for role in ("worker", "driller")}
    open_epoch(switch.agent_at(urls["worker"], **CALM))
    driller = Controller(fast_settings(urls["driller"], timeout_ms=TIMEOUT_MS))
    drill = driller.drill()
    assert (drill.verdict, drill.kept, len(driller.drills())) == (DrillVerdict.PASSED, True, 1)
    epoch = switch.control.status().switch.epoch
    for act in (lambda: driller.engage("no"), lambda: driller.reset(epoch, "no")):
        with pytest.raises(StoreRefused):
            act()
    assert (switch.control.status().switch.mode, switch.control.status().switch.epoch) == ("SAFE", epoch)


@pytest.mark.timeout(45)  # less than the limit below
def test_who_may_not_listen_is_refused_by_the_server_and_not_by_time(switch: Switch) -> None:
    """No limit is waited out for the answer that was there at once."""
    with switch.server.line() as line:
        line.call(*AclUser(ROLES["monitor"], "monitor", "killswitch", password_hash=SECRET_HASH).command.split())
    url = f"unix://monitor:secret@{switch.server.socket_path}"
    with pytest.raises(StoreRefused):
        Controller(fast_settings(url, timeout_ms=60_000)).drill()
