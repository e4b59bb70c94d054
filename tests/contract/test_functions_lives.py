"""The function library: what was held up on the way, or comes from another life of a worker, proves nothing."""

from __future__ import annotations

from tests.support.library import Library


def test_beat_that_was_overtaken_writes_nothing(library: Library) -> None:
    """P6: a beat says how things were when it was sent; one held up on a dead connection is no proof of quiet now."""
    library.engage()
    library.beat(nonce=10, closed=False, held=1)
    library.beat(nonce=9, closed=True, held=0)
    row = library.worker()
    assert (row["quiet_epoch"], row["in_flight"], row["nonce"]) == ("0", "1", "10")


def test_beat_in_its_turn_is_the_proof(library: Library) -> None:
    """The guard against late beats does not keep a worker from being called quiet."""
    epoch = library.engage().epoch
    library.beat(nonce=10, closed=False, held=1)
    library.beat(nonce=11, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_late_goodbye_of_an_earlier_life_takes_nobody_off(library: Library) -> None:
    """A successor under the same id stays in the membership."""
    library.beat(instance="first", closed=True)
    library.beat(instance="second", closed=False, held=1)
    assert library.raw("FCALL", "ks_leave", 1, library.keys.state, "w1", "first") == 0
    assert library.members() == {"w1"}
    assert library.raw("FCALL", "ks_leave", 1, library.keys.state, "w1", "second") == 1
    assert library.members() == set()


def goodbye(library: Library, instance: str) -> object:
    """One life of w1 takes its leave."""
    return library.raw("FCALL", "ks_leave", 1, library.keys.state, "w1", instance)


def test_life_that_leaves_does_not_take_the_row_of_another_along(library: Library) -> None:
    """P6, S11: the row is the only trace of the life that may be frozen with an order in flight; it stays in the
    membership and is not called quiet, and nobody is told that the worker has left."""
    library.permit()
    library.beat(instance="a", nonce=5, closed=False, held=1)
    library.engage()
    library.beat(instance="b", nonce=1, closed=True, held=0)
    assert goodbye(library, "b") == 0
    assert library.members() == {"w1"}
    row = library.worker()
    assert (row["quiet_epoch"], row["rival"], row["instance"]) == ("0", "a", "")
    assert int(row["rival_until_ms"]) > 0
    assert goodbye(library, "a") == 1
    assert library.members() == set()


def test_life_that_stays_is_not_held_up_by_the_one_that_took_its_leave(library: Library) -> None:
    """What ended in order is no rival: the other one's next beat is the proof again."""
    library.permit()
    library.beat(instance="a", nonce=5)
    library.beat(instance="b", nonce=1)
    epoch = library.engage().epoch
    library.beat(instance="b", nonce=2, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == "0"
    assert goodbye(library, "b") == 0
    library.beat(instance="a", nonce=6, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_late_goodbye_ends_the_wait_for_that_life(library: Library) -> None:
    """A goodbye that was overtaken by the successor's first beat takes nobody off, and is heard all the same."""
    library.permit()
    library.beat(instance="a", nonce=5)
    library.beat(instance="b", nonce=1)
    assert goodbye(library, "a") == 0
    epoch = library.engage().epoch
    library.beat(instance="b", nonce=2, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_one_goodbye_of_several_lives_is_not_enough(library: Library) -> None:
    """P6: with three lives under one id the row does not know who all the others are, and waits until they are
    forgotten; the goodbye of a stranger, or a repeated one, changes nothing."""
    library.permit()
    for instance in ("a", "b", "c"):
        library.beat(instance=instance, nonce=1)
    for gone in ("a", "stranger", "b", "a"):
        assert goodbye(library, gone) == 0
    library.engage()
    library.beat(instance="c", nonce=2, closed=True, held=0)
    assert (library.worker()["quiet_epoch"], library.worker()["rival"]) == ("0", "*")
    assert goodbye(library, "c") == 0
    assert library.members() == {"w1"}
    assert library.leave("w1") == 1


def test_damaged_word_about_a_rival_counts_as_one(library: Library) -> None:
    """What cannot be read may have been another life; by hand it is taken off."""
    library.beat(instance="a", nonce=1)
    library.raw("HSET", library.keys.worker("w1"), "rival_until_ms", "\x1b[31m")
    assert goodbye(library, "a") == 0
    assert library.members() == {"w1"}
    assert library.leave("w1") == 1


def test_two_lives_under_one_id_are_not_called_quiet(library: Library) -> None:
    """P6: one closed process does not speak for another that was open or had an order in flight."""
    library.engage()
    library.beat(instance="a", nonce=5, closed=True, held=1)
    library.beat(instance="b", nonce=1, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == "0"
    library.beat(instance="b", nonce=2, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == "0"


def test_life_that_was_closed_when_it_asked_may_have_opened_by_the_answer(library: Library) -> None:
    """P6: a first beat is sent closed and opens by its answer; another life under the id does not speak for it."""
    library.permit()
    library.beat(instance="a", nonce=5, closed=True, held=0)
    library.engage()
    library.beat(instance="b", nonce=1, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == "0"


def test_successor_of_a_life_that_ended_closed_is_called_quiet(library: Library) -> None:
    """A restart under the same id after a clean end is not a conflict."""
    epoch = library.engage().epoch
    library.beat(instance="a", nonce=5, closed=True, held=0)
    library.beat(instance="b", nonce=1, closed=True, held=0)
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_member_whose_row_is_lost_is_not_quiet_until_another_life_must_have_spoken(library: Library) -> None:
    """P6: a clock that jumped ends the rows, and with them what is known of a second life that was just cut off."""
    library.permit()
    library.beat(instance="a", closed=False)
    library.raw("DEL", library.keys.worker("w1"))
    epoch = library.engage().epoch
    library.beat(instance="b", lease_ms="500", beat_ms="400")
    row = library.worker()
    assert row["quiet_epoch"] == "0"
    assert int(row["rival_until_ms"]) - int(row["beat_at_ms"]) in (1100, 1101)
    library.raw("HSET", library.keys.worker("w1"), "rival_until_ms", row["beat_at_ms"])
    library.beat(instance="b", lease_ms="500", beat_ms="400")
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_row_lost_with_a_life_that_told_no_lease_is_remembered_as_long_as_a_member(library: Library) -> None:
    """P6: what is not known counts for as long as anything does."""
    library.beat(instance="a", closed=False)
    library.raw("DEL", library.keys.worker("w1"))
    library.engage()
    library.beat(instance="b", retain_ms=60_000)
    row = library.worker()
    assert (row["quiet_epoch"], int(row["rival_until_ms"]) - int(row["beat_at_ms"])) == ("0", 60_000)


def test_first_beat_under_a_new_name_is_called_quiet_at_once(library: Library) -> None:
    """Nobody waits for another life where there was none."""
    epoch = library.engage().epoch
    library.beat(instance="a")
    assert library.worker()["quiet_epoch"] == str(epoch)


def test_worker_lost_with_an_order_in_flight_stays_until_taken_off_by_hand(library: Library) -> None:
    """P7: an order in flight is not forgotten because time went by."""
    library.beat(closed=False, held=1, ttl_ms=1, retain_ms=1)
    library.beat("w2", retain_ms=1)
    assert library.raw("PTTL", library.keys.worker("w1")) == -1
    assert "w1" in library.members()
    assert library.leave("w1") == 1
    assert "w1" not in library.members()


def test_engage_repeated_after_a_reset_engages_again(library: Library) -> None:
    """P8: an answer that was lost is not made up for by telling of a stop that somebody has undone since."""
    first = library.engage("stop", op="one")
    library.reset(first.epoch)
    again = library.engage("stop", op="one")
    assert not again.repeated
    assert again.epoch > first.epoch
    assert library.get() == "ENGAGED stop"


def test_huge_value_is_seen_by_its_beginning_and_length(library: Library) -> None:
    """P5: whatever its size, another text closes; and it is not read as a whole."""
    library.permit()
    library.set_raw("SAFE" + " " * 300_000)
    library.beat()
    row = library.read().rows[0]
    assert (row.length, len(row.text), row.recorded) == (300_004, 256, True)
    library.set_raw("SAFE" + " " * 300_001)
    assert not library.read().rows[0].recorded
