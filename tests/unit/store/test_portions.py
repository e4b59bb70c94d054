"""Reading a stream in portions: small enough for Redis whatever the entries weigh, nothing skipped, nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from killswitch.core.chain import RawEntry
from killswitch.errors import StoreUnavailable
from killswitch.store.portions import Portions
from tests.support.library import Scripted


class Stream:
    """A stream that notes how much was asked for and given at once."""

    def __init__(self, sizes: list[int]) -> None:
        self.entries = [(f"{number}-0", [b"x", b"v" * size]) for number, size in enumerate(sizes, 1)]
        self.given: list[int] = []

    def call(self, *args: str | bytes | int) -> object:
        """XRANGE key ( COUNT n."""
        start, count = str(args[2]), int(args[5])
        after = -1 if start == "-" else int(start.removeprefix("(").partition("-")[0])
        found = [entry for entry in self.entries if int(entry[0].partition("-")[0]) > after][:count]
        self.given.append(sum(len(word) for entry in found for word in entry[1]))
        return [[entry_id.encode(), words] for entry_id, words in found]

    def call_many(self, commands: object) -> list[object]:
        raise AssertionError("one question at a time")


def read(stream: Stream) -> list[RawEntry]:
    """All of it."""
    portions = Portions(stream, "k", lambda entry: entry)
    found = []
    while (entry := portions.peek()) is not None:
        found.append(entry)
        portions.take()
    return found


@settings(max_examples=30)
@given(sizes=st.lists(st.sampled_from([0, 10, 1000, 100_000]), max_size=300))
def test_every_entry_is_read_once_and_in_order(sizes: list[int]) -> None:
    """Whatever the portions are."""
    stream = Stream(sizes)
    assert [(entry.entry_id, list(entry.words)) for entry in read(stream)] == stream.entries


def test_portions_grow_with_small_entries_and_shrink_with_huge_ones() -> None:
    """A6: a long record takes few questions, and one of huge entries takes many small ones."""
    small = Stream([10] * 5000)
    read(small)
    assert len(small.given) < 35
    huge = Stream([10] * 1000 + [1_000_000] * 300)
    read(huge)
    first = next(number for number, size in enumerate(huge.given) if size > 1_000_000)
    assert max(huge.given[first + 4 :]) <= 1_000_001, huge.given


def test_at_its_end_it_asks_again_only_when_told() -> None:
    """A walk over a lost record must not ask once for each of its seals."""
    stream = Stream([10])
    portions = Portions(stream, "k", lambda entry: entry)
    portions.peek()
    portions.take()
    for _ in range(5):
        assert portions.peek() is None
    assert len(stream.given) == 2
    stream.entries.append(("7-0", [b"x", b"y"]))
    portions.look_again()
    found = portions.peek()
    assert found is not None
    assert found.entry_id == "7-0"


@pytest.mark.parametrize("answer", [[b"x"], [[b"1-0"]], [[1, []]], ["1-0"]])
def test_replies_out_of_step_are_not_read(answer: object) -> None:
    """Nothing that comes behind them can be believed."""
    with pytest.raises(StoreUnavailable, match="something else"):
        Portions(Scripted(answer), "k", lambda entry: entry).peek()
