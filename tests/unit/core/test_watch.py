"""Single decisions of the watcher, each a guarantee of its own; `tests/property/test_watch.py` mixes them."""

from __future__ import annotations

import pytest

from killswitch.core.reasons import Code
from killswitch.core.watch import Ask, Connect, Drain, Drop, Phase, Show
from tests.support.fakes import MS, Stage, answer, row


def test_first_picture_is_closed_and_starting_connects() -> None:
    """Before the first answer nothing passes."""
    stage = Stage()
    assert not stage.picture.is_open
    stage.start()
    assert [type(action) for action in stage.actions] == [Show, Connect]
    assert stage.picture.code is Code.NO_STATE_YET
    stage.start()
    assert stage.actions == [], "started twice"


def test_push_while_open_closes_then_drains_then_asks() -> None:
    """The gate is closed before the push socket is emptied, and a beat asks what changed."""
    stage = Stage().run_until_open()
    stage.push()
    assert [type(action) for action in stage.actions] == [Show, Drain, Ask]
    assert isinstance(stage.actions[2], Ask)
    assert stage.actions[2].beat
    assert stage.actions[2].closed


def test_push_while_a_question_is_under_way_voids_its_answer() -> None:
    """The answer to a question from before the change is thrown away, and the next question follows it."""
    stage = Stage().run_until_open()
    stage.tick(250)
    stage.execute()
    stage.push()
    assert [type(action) for action in stage.actions] == [Show, Drain]
    stage.deliver()
    assert not stage.picture.is_open
    assert [type(action) for action in stage.actions] == [Ask]
    stage.execute()
    stage.deliver()
    assert stage.picture.is_open


def test_answer_with_another_nonce_drops_the_connection() -> None:
    """A line that is out of step is not trusted again."""
    stage = Stage().run_until_open()
    stage.tick(250)
    assert stage.asked is not None
    stage.deliver(answer(row("SAFE", 9), nonce=stage.asked.ask.nonce - 1))
    assert stage.picture.code is Code.BAD_ANSWER
    assert isinstance(stage.actions[-1], Drop)
    assert stage.watch.phase is Phase.WAITING


def test_answer_without_a_question_drops_the_connection() -> None:
    """Nobody asked, so nobody believes it."""
    stage = Stage().run_until_open()
    stage.deliver(answer(row("SAFE", 9)))
    assert stage.picture.code is Code.BAD_ANSWER


def test_stop_read_by_a_renewal_is_acknowledged_by_a_beat_at_once() -> None:
    """On the polling rung no push comes: the renewal finds the stop, and a beat tells that the gate is closed."""
    stage = Stage().run_until_open()
    stage.tick(250)
    assert stage.asked is not None
    assert not stage.asked.ask.beat
    stage.redis.record(0, "ENGAGED now")
    stage.execute()
    stage.deliver()
    assert stage.picture.code is Code.ENGAGED
    assert stage.asked.ask.beat
    assert stage.asked.ask.closed
    stage.execute()
    stage.deliver()
    assert stage.asked is None, "acknowledged once is enough"


def test_beat_sent_while_open_is_no_acknowledgement() -> None:
    """What a beat said of the gate was true when it was sent; closed since then needs a beat of its own."""
    stage = Stage().run_until_open()
    stage.clock.advance_ms(999)
    stage.tick()
    assert stage.asked is not None
    assert stage.asked.ask.beat
    assert not stage.asked.ask.closed
    stage.redis.record(0, "ENGAGED now")
    stage.execute()
    stage.deliver()
    assert stage.asked.ask.closed


@pytest.mark.parametrize("code", [Code.REDIS_OOM, Code.LIBRARY_MISSING, Code.REDIS_DENIED, Code.REDIS_BUSY])
def test_refused_renewal_closes_and_tries_again_with_a_beat(code: Code) -> None:
    """What refuses a renewal would refuse an engagement, so the gate closes at once and not at the end of the lease."""
    stage = Stage().run_until_open()
    stage.tick(250)
    stage.refuse(code)
    assert stage.picture.code is code
    assert stage.watch.phase is Phase.CONNECTED
    stage.tick(250)
    assert stage.asked is not None
    assert stage.asked.ask.beat


def test_read_only_server_is_left() -> None:
    """A demoted master is dropped: only a new connection finds the new one."""
    stage = Stage().run_until_open()
    stage.tick(250)
    stage.refuse(Code.REDIS_READONLY)
    assert stage.watch.phase is Phase.WAITING
    assert isinstance(stage.actions[-1], Drop)


def test_silent_redis_is_dropped_after_patience_and_the_gate_closes_with_it() -> None:
    """A black hole is noticed within patience_ms of the question."""
    stage = Stage().run_until_open()
    stage.tick(250)
    stage.tick(499)
    assert stage.picture.is_open
    stage.tick(1)
    assert stage.picture.code is Code.NO_ANSWER
    assert stage.watch.phase is Phase.WAITING


def test_lease_runs_out_by_the_clock_alone() -> None:
    """The picture names its own end, and the first tick after it shows the closed gate with the reason."""
    stage = Stage().run_until_open()
    until = stage.picture.signal_until_ns
    assert stage.watch.deadline_ns() is not None
    stage.clock.now_ns = until
    stage.tick()
    assert not stage.picture.is_open


def test_key_with_a_short_life_bounds_the_lease_and_names_the_reason() -> None:
    """SAFE EX closes at its end without anybody's doing."""
    stage = Stage()
    stage.start()
    stage.connect()
    stage.redis.rows[0] = row("SAFE", 2, pttl_ms=300)
    stage.execute()
    assert stage.asked is not None
    sent_ns = stage.asked.at_ns
    stage.deliver()
    assert stage.picture.signal_until_ns == sent_ns + 300 * MS
    assert stage.picture.limited_by is Code.PERMISSION_EXPIRED
    stage.clock.now_ns = stage.picture.signal_until_ns
    stage.tick()
    assert stage.picture.code is Code.PERMISSION_EXPIRED


def test_last_permit_back_while_closed_is_told_at_once() -> None:
    """The acknowledgement does not wait for the next heartbeat, also when a question is under way."""
    stage = Stage().run_until_open()
    stage.drained()
    assert stage.actions == [], "open: nothing to tell"
    stage.redis.record(0, "ENGAGED now")
    stage.push()
    stage.drained()
    assert stage.actions == [], "one question at a time"
    stage.execute()
    stage.deliver()
    assert stage.asked is not None, "told after the answer"
    assert stage.asked.ask.beat
    stage.execute()
    stage.deliver()
    assert stage.asked is None
    stage.drained()
    assert stage.asked is not None
    assert stage.asked.ask.beat


def test_reconnecting_backs_off_with_jitter_up_to_a_limit() -> None:
    """A fleet that lost Redis at one moment does not come back at one moment, and nobody waits for long."""
    waits = set()
    for seed in range(5):
        stage = Stage(seed=seed)
        stage.start()
        for _ in range(12):
            stage.trouble(Code.UNREACHABLE)
            due = stage.watch.deadline_ns()
            assert due is not None
            wait_ms = (due - stage.clock()) / MS
            assert 5 <= wait_ms <= 500
            waits.add(wait_ms)
            stage.clock.now_ns = due
            stage.tick()
            assert isinstance(stage.actions[-1], Connect)
    assert len(waits) == 60


def test_stopped_watch_ignores_every_event() -> None:
    """After the end nothing opens and nothing is asked."""
    stage = Stage().run_until_open()
    stage.stop()
    assert stage.picture.code is Code.STOPPED
    for event in (stage.stop, stage.push, stage.connect, stage.drained, stage.tick):
        event()
        assert stage.actions == []
    assert stage.watch.trouble(stage.clock(), Code.DISCONNECTED, "") == []
    assert stage.watch.answered(stage.clock(), answer()) == []
    assert stage.watch.refused(stage.clock(), Code.REDIS_OOM, "") == []
    assert stage.watch.deadline_ns() is None


def test_events_of_a_connection_that_is_gone_change_nothing() -> None:
    """While waiting to connect, what the old connection might still say is not heard."""
    stage = Stage().run_until_open()
    stage.trouble()
    for event in (stage.push, stage.connect, stage.drained):
        event()
        assert stage.actions == []
    assert stage.watch.answered(stage.clock(), answer(row("SAFE", 99))) == []
    assert stage.watch.refused(stage.clock(), Code.REDIS_OOM, "") == []


def test_two_watches_renew_at_different_moments() -> None:
    """Renewals are spread by up to a tenth of their period, and never later than it."""
    due = {Stage(seed=seed).run_until_open().watch.deadline_ns() for seed in range(8)}
    assert len(due) == 8
    assert all(225 * MS <= (moment or 0) - 10_000 * MS <= 250 * MS for moment in due)


def test_unrecorded_state_is_beaten_into_the_record_before_it_opens() -> None:
    """SET SAFE by hand permits nothing until a beat gave it an epoch."""
    stage = Stage().run_until_open()
    stage.redis.record(0, "ENGAGED now")
    stage.push()
    stage.settle(100)
    stage.redis.set_raw(0, "SAFE")
    stage.tick(250)
    assert stage.asked is not None
    assert not stage.asked.ask.beat
    stage.execute()
    stage.deliver()
    assert stage.picture.code is Code.UNRECORDED
    assert stage.asked.ask.beat
    stage.execute()
    stage.deliver()
    assert stage.picture.is_open


def test_scopes_bind_only_who_follows_them_and_the_strictest_wins() -> None:
    """A stopped scope closes; an absent one follows the switch; under REDUCING only reducing orders pass."""
    stage = Stage(("symbol:X", "account:7")).run_until_open()
    stage.redis.record(2, "REDUCING")
    stage.push()
    stage.settle(100)
    assert stage.picture.signal_until_ns > 0
    assert stage.picture.order_until_ns == 0
    stage.redis.record(1, "ENGAGED x")
    stage.push()
    stage.settle(100)
    assert stage.picture.code is Code.SCOPE_ENGAGED
    stage.redis.record(1, None)
    stage.redis.record(2, "SAFE")
    stage.push()
    stage.settle(100)
    assert stage.picture.order_until_ns > 0
