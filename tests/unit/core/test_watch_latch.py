"""What a watcher remembers of a stop, and what it takes to open after it."""

from __future__ import annotations

from killswitch.core.reasons import Code
from tests.support.fakes import Stage, row


def test_engaged_epoch_never_opens_again() -> None:
    """SAFE at the epoch of a stop is a record that lost the stop."""
    stage = Stage().run_until_open()
    stage.tick(250)
    stage.redis.rows[0] = row("ENGAGED", 5)
    stage.execute()
    stage.deliver()
    stage.redis.rows[0] = row("SAFE", 5)
    stage.settle(1000)
    assert stage.picture.code is Code.EPOCH_BEHIND
    stage.redis.counter = 5
    stage.redis.record(0, "SAFE")
    stage.settle(1000)
    assert stage.picture.is_open


def test_only_the_answer_to_a_beat_opens() -> None:
    """A renewal that finds the permission is followed by a beat: whoever may be open is on record as not quiet."""
    stage = Stage().run_until_open()
    stage.redis.record(0, "ENGAGED now")
    stage.push()
    stage.execute()
    stage.deliver()
    assert stage.picture.code is Code.ENGAGED
    stage.redis.record(0, "SAFE")  # and the announcement was lost
    stage.tick(250)
    assert stage.asked is not None
    assert not stage.asked.ask.beat
    stage.execute()
    stage.deliver()
    assert not stage.picture.is_open
    assert stage.asked.ask.beat
    stage.execute()
    stage.deliver()
    assert stage.picture.is_open


def test_permission_from_before_a_stop_never_opens_again() -> None:
    """A flushed or swapped record counts from one again; when the old one comes back, its permission is void."""
    stage = Stage().run_until_open()
    permitted = stage.redis.rows[0]
    stage.tick(250)
    stage.redis.rows[0] = row("ENGAGED", permitted.epoch - 1)
    stage.execute()
    stage.deliver()
    assert stage.picture.code is Code.ENGAGED
    stage.redis.rows[0] = permitted
    stage.settle(1000)
    assert stage.picture.code is Code.EPOCH_BEHIND
    stage.redis.record(0, "SAFE")
    stage.settle(1000)
    assert stage.picture.is_open


def test_latch_survives_reconnection_and_stopping() -> None:
    """Another connection does not make a worker forget what it saw."""
    stage = Stage().run_until_open()
    stage.redis.record(0, "ENGAGED now")
    stage.push()
    stage.execute()
    stage.deliver()
    seen = stage.watch.seen_epoch
    stage.trouble()
    stage.stop()
    stage.start()
    assert (stage.watch.seen_epoch, stage.watch.engaged_epoch) == (seen, seen)
