"""Following a stream, on fakeredis and on both real servers."""

from __future__ import annotations

import pytest

from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.tail import News, Tail
from tests.support.library import Library, Scripted

STREAM = "killswitch:audit"


def add(library: Library, *names: str) -> None:
    """Entries with these names."""
    for name in names:
        library.raw("XADD", STREAM, "*", "name", name)


def names(news: News) -> list[str]:
    """The names of what was handed out."""
    return [entry.fields()["name"] for entry in news.entries]


def test_each_entry_is_handed_out_once_and_in_order(library: Library) -> None:
    """Who counts them counts right, however often it looks."""
    tail = Tail(STREAM)
    add(library, "a", "b")
    first = tail.read(library.caller)
    assert (names(first), first.anew, first.length) == (["a", "b"], True, 2)
    nothing = tail.read(library.caller)
    assert (names(nothing), nothing.anew, nothing.length) == ([], False, 2)
    add(library, "c")
    then = tail.read(library.caller)
    assert (names(then), then.anew, then.length) == (["c"], False, 3)


def test_nothing_there_is_no_entry_and_no_error(library: Library) -> None:
    """A new switch has no record."""
    tail = Tail(STREAM)
    assert tail.read(library.caller) == News((), True, 0)
    add(library, "a")
    found = tail.read(library.caller)
    assert (names(found), found.anew, found.length) == (["a"], False, 1)


def test_replaced_stream_is_begun_anew(library: Library) -> None:
    """After a flush or a restore whatever was counted is void."""
    tail = Tail(STREAM)
    library.raw("XADD", STREAM, "99999999999999-7", "name", "future")
    tail.read(library.caller)
    library.raw("DEL", STREAM)
    gone = tail.read(library.caller)
    assert (names(gone), gone.anew, gone.length) == ([], True, 0)
    add(library, "a")
    assert names(tail.read(library.caller)) == ["a"]
    library.raw("DEL", STREAM)
    library.raw("XADD", STREAM, "1-1", "name", "restored")
    restored = tail.read(library.caller)
    assert (names(restored), restored.anew) == (["restored"], True)


def test_long_stream_is_followed_from_its_end(library: Library) -> None:
    """Its beginning is not read at every start, and a count does not depend on when one looked first."""
    add(library, *(f"n{number}" for number in range(12)))
    assert len(Tail(STREAM, history=12).read(library.caller).entries) == 12
    tail = Tail(STREAM, history=11)
    first = tail.read(library.caller)
    assert (names(first), first.anew, first.length) == ([], True, 12)
    add(library, "later")
    assert names(tail.read(library.caller)) == ["later"]


def test_portions_join_without_gap_or_repetition(library: Library) -> None:
    """More than one answer's worth comes in order."""
    wanted = [f"n{number}" for number in range(1203)]
    add(library, *wanted)
    assert names(Tail(STREAM).read(library.caller)) == wanted


def test_something_else_under_the_key_is_refused(library: Library) -> None:
    """It is told as not readable, never as an empty record."""
    library.raw("SET", STREAM, "x")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        Tail(STREAM).read(library.caller)


def test_look_that_broke_off_is_repeated() -> None:
    """What was read before the connection broke is handed out by the next look, once."""
    one, two = [b"1-1", [b"name", b"a"]], [b"1-2", [b"name", b"b"]]
    broken = StoreUnavailable(Code.NO_ANSWER, "silent")
    ends: list[object] = [2, [two]]
    caller = Scripted(*ends, [one], broken, *ends, [one, two], [])
    tail = Tail(STREAM)
    with pytest.raises(StoreUnavailable):
        tail.read(caller)
    assert names(tail.read(caller)) == ["a", "b"]


@pytest.mark.parametrize(
    "answers",
    [(b"x", []), (1, 7), (1, [[b"1-1"]]), (1, [[b"5-5", []]], [[b"?"]])],
)
def test_nonsense_is_no_stream(answers: tuple[object, ...]) -> None:
    """Replies of another form are a bad answer and end in no other error."""
    with pytest.raises(StoreUnavailable, match="something else"):
        Tail(STREAM).read(Scripted(*answers))
