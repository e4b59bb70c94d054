"""ks_outcome: each entry of a journal is answered for once, by the gateway that owns the journal. On every backend."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch.errors import StoreRefused
from tests.support.library import Library

POSITION, FENCE = "killswitch:journal:orders:position", "killswitch:journal:orders:fence"
OUTCOMES = "killswitch:journal:orders:outcomes"


def outcome(library: Library, token: int, entry_id: str, order_id: str = "o-1", what: str = "forwarded") -> Any:
    """The outcome of one entry; position and whether it was written."""
    words = (token, entry_id, order_id, what, "open", "the venue has it")
    return library.raw("FCALL", "ks_outcome", 1, library.keys.state, "orders", *words)[1:]


def take(library: Library, token: int) -> str:
    """The journal is taken under `token`; the position."""
    position: bytes = library.raw("FCALL", "ks_outcome", 1, library.keys.state, "orders", token)[1]
    return position.decode()


def test_outcome_is_written_the_entry_taken_out_and_the_position_moved(library: Library) -> None:
    """All three or none: what lies in the journal has not been dealt with."""
    epoch = library.permit()
    first, second = (library.admit(epoch, f"o-{number}") for number in (1, 2))
    assert take(library, 5) == "0-0"
    assert outcome(library, 5, first) == [first.encode(), 1]
    assert [entry_id for entry_id, _ in library.journal()] == [second]
    (found,) = library.outcomes()
    assert int(found.pop("at_ms")) > 0
    assert found == {
        "entry": first, "order_id": "o-1", "outcome": "forwarded", "code": "open", "reason": "the venue has it",
    }  # fmt: skip
    assert library.raw("GET", POSITION) == first.encode()
    assert take(library, 6) == first


def test_second_outcome_of_one_entry_is_not_written(library: Library) -> None:
    """Nobody reads that an order was refused after it was forwarded."""
    entry_id = library.admit(library.permit())
    assert outcome(library, 5, entry_id)[1] == 1
    assert outcome(library, 5, entry_id, what="refused")[1] == 0
    assert [found["outcome"] for found in library.outcomes()] == ["forwarded"]


def test_gateway_that_was_replaced_changes_nothing(library: Library) -> None:
    """A token below the highest that took the journal is refused: taking, and answering for an entry."""
    entry_id = library.admit(library.permit())
    take(library, 5)
    take(library, 7)
    for call in (lambda: take(library, 6), lambda: outcome(library, 5, entry_id)):
        with pytest.raises(StoreRefused, match="LOST 7 "):
            call()
    assert library.outcomes() == []
    assert len(library.journal()) == 1
    assert outcome(library, 7, entry_id)[1] == 1


def test_stream_does_not_give_an_id_twice_after_it_was_emptied(library: Library) -> None:
    """An order admitted into an emptied journal comes after all that were dealt with."""
    epoch = library.permit()
    first = library.admit(epoch, "o-1")
    outcome(library, 5, first)
    assert library.journal() == []
    second = library.admit(epoch, "o-2")
    assert tuple(map(int, second.split("-"))) > tuple(map(int, first.split("-")))


def test_outcomes_do_not_grow_without_bound(library: Library) -> None:
    """The newest ten thousand or so are kept."""
    entry_id = library.admit(library.permit())
    for _ in range(11_000):
        library.raw("XADD", OUTCOMES, "*", "a", "b")
    outcome(library, 5, entry_id)
    assert 10_000 <= library.raw("XLEN", OUTCOMES) <= 10_200


@pytest.mark.parametrize("key", [POSITION, FENCE, OUTCOMES])
@pytest.mark.parametrize("junk", ["text", "list"])
def test_damaged_keys_of_a_journal_do_not_block_it(library: Library, key: str, junk: str) -> None:
    """Position and fence are written anew, outcomes of another type are moved aside."""
    entry_id = library.admit(library.permit())
    library.raw("SET", key, "\xff junk") if junk == "text" else library.raw("RPUSH", key, "junk")
    assert take(library, 5) == "0-0"
    assert outcome(library, 5, entry_id) == [entry_id.encode(), 1]
    assert library.journal() == []
    assert take(library, 5) == entry_id
    assert len(library.outcomes()) == 1
    assert any(":outcomes:damaged:" in name for name in library.names()) == (key == OUTCOMES)


@pytest.mark.parametrize(
    "args",
    [[], ["orders"], ["a:b", 5], ["orders", "x"], ["orders", 5, "1-1"], ["orders", 5, "x", "o", "forwarded", "c", "r"]],
)
def test_malformed_outcome_is_refused(library: Library, args: list[str | int]) -> None:
    """Whatever can be misread changes nothing."""
    library.admit(library.permit())
    with pytest.raises(StoreRefused):
        library.raw("FCALL", "ks_outcome", 1, library.keys.state, *args)
    assert len(library.journal()) == 1


def test_engaged_switch_does_not_keep_outcomes_from_being_told(library: Library) -> None:
    """Stopping blinds nobody: what became of the orders on the way is written while engaged."""
    entry_id = library.admit(library.permit())
    library.engage()
    assert outcome(library, 5, entry_id, what="refused")[1] == 1
    assert [found["outcome"] for found in library.outcomes()] == ["refused"]
