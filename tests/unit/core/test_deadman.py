"""The dead man's switch as rules: what the record says, and what its holder may believe of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killswitch.core.deadman import Renewal, parse_deadman

MS = 1_000_000
RECORD = "7 180000 80000 20000 desk 100000"


@pytest.mark.parametrize(
    ("at_ms", "left", "overdue"),
    [(100_000, 80_000, False), (130_000, 50_000, False), (130_001, 49_999, True), (180_000, 0, True), (1, 0, False)],
)
def test_record_is_read_with_what_is_left_of_it(at_ms: int, left: int, overdue: bool) -> None:
    """Its end, and whether a renewal should have come: half an interval late is late."""
    found = parse_deadman(RECORD, 7, "alice", at_ms)
    assert found is not None
    assert (found.left_ms, found.overdue, found.renewed_at_ms) == (left, overdue, 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "7 180000 80000 20000", "7 180000 80000 20000 a b", "-7 1 1 1 a 1", "7 1e9 1 1 a 1", "7 9 9 9 a 1 1",
        "7 180000 80000 20000 desk", "7 180001 80000 20000 desk 100000", "8 180000 80000 20000 desk 100000",
    ],
)  # fmt: skip
def test_record_that_is_not_there_or_cannot_be_read_has_run_out(text: str) -> None:
    """Fails closed, whatever stands there: nothing, words of another epoch, an end that nobody would write."""
    found = parse_deadman(text, 7, "alice", 100_000)
    assert found is not None
    assert found.left_ms == 0


def test_record_says_that_nothing_limits_a_permission() -> None:
    """In so many words: that is the one text that permits without a limit."""
    assert parse_deadman("-", 8, "alice", 100_000) is None


@pytest.mark.parametrize(("at_ms", "left"), [(129_000, 51_000), (128_999, 0), (100_000, 0), (1, 0)])
def test_a_clock_below_what_was_seen_of_it_ends_the_permission(at_ms: int, left: int) -> None:
    """Also where the end is still within a life: the clock was set back by more than a second."""
    found = parse_deadman("7 180000 80000 20000 desk 130000", 7, "alice", at_ms)
    assert found is not None
    assert found.left_ms == left


@given(text=st.text(max_size=80), epoch=st.integers(0, 2**53), at_ms=st.integers(0, 2**53))
def test_any_text_reads_as_something(text: str, epoch: int, at_ms: int) -> None:
    """Anybody may have written there."""
    found = parse_deadman(text, epoch, "", at_ms)
    assert found is None or 0 <= found.left_ms <= found.life_ms + 1000


def renewal() -> Renewal:
    """Every 20 s, a life of 80 s; an answer at second 10 told that the server's clock showed 500 000 ms."""
    made = Renewal(20_000, 80_000)
    made.heard(580_000, 500_000, 10_000 * MS)
    return made


def test_what_is_asked_for_counts_from_the_sending() -> None:
    """A renewal that waits on its way asks for what it would have asked for at once."""
    made = renewal()
    assert made.ask(25_000 * MS) == 515_000 + 80_000
    assert made.due_ns() == 45_000 * MS


def test_next_renewal_is_due_an_interval_after_the_last_was_sent() -> None:
    """Not after its answer, which may take its time."""
    made = renewal()
    assert made.due_ns() == 30_000 * MS
    made.ask(30_000 * MS)
    made.heard(600_000, 520_000, 34_000 * MS)
    assert made.due_ns() == 50_000 * MS


def test_unanswered_renewal_may_have_got_through() -> None:
    """What is confirmed and what is possible are told apart: the fleet is closed by the later of both."""
    made = renewal()
    made.ask(70_000 * MS)
    assert (made.left_ms(70_000 * MS), made.over_in_ms(70_000 * MS)) == (20_000, 80_000)
    assert (made.left_ms(95_000 * MS), made.over_in_ms(95_000 * MS)) == (0, 55_000)
    assert made.over_in_ms(150_000 * MS) == 0
    assert (made.ends_at_ms, made.over_at_ms) == (580_000, 640_000)


@given(
    delays=st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 5_000), st.integers(0, 5_000)), max_size=12),
    drift=st.floats(0.999, 1.001),
)
def test_holder_never_asks_for_more_than_a_life_from_its_sending(
    delays: list[tuple[int, int, int]], drift: float
) -> None:
    """With answers that take their time, the end asked for is no later than a life after the renewal was sent (but for
    the error of the holder's clock since the last answer)."""
    made = Renewal(20_000, 80_000)
    server = 1_000_000.0
    own = 0.0
    made.heard(1_080_000, 1_000_000, 0)
    for pause, up, down in delays:
        own, server = own + pause, server + pause * drift
        wanted = made.ask(int(own * MS))
        assert wanted <= server + 80_000 + 2 + 40_000 * abs(drift - 1)
        stamp = server + up * drift
        own, server = own + up + down, server + (up + down) * drift
        made.heard(int(wanted), int(stamp), int(own * MS))
