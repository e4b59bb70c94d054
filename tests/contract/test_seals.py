"""Seals on every backend: one chain without gaps, whoever seals; and nothing else of the record is changed by it."""

from __future__ import annotations

import pytest

from killswitch import EpochConflict, StoreRefused
from killswitch.core.audit import OUTCOME, REFUSED
from killswitch.core.chain import Chain
from killswitch.core.findings import Kind, Verification
from killswitch.core.verification import Checker, walk
from killswitch.store.audit import read_audit
from killswitch.store.portions import Portions
from killswitch.store.seals import Sealing, last_seal, make_seal, seal_record
from tests.support.library import Library

ALL = 2**62


def seal(library: Library, limit: int = ALL, key: str = "") -> Sealing:
    """One sealer."""
    return seal_record(library.caller, library.keys, Chain(library.keys.prefix, key), limit)


def verify(library: Library, key: str = "") -> Verification:
    """One look."""
    entries = Portions(library.caller, library.keys.audit, lambda entry: entry)
    seals = Portions(library.caller, library.keys.seals, make_seal, on_portion=entries.look_again)
    checker = Checker(Chain(library.keys.prefix, key), library.keys.prefix)
    walk(entries, seals, checker)
    return checker.finish(0)


def call(library: Library, *words: str | int) -> list[object]:
    """ks_seal by hand."""
    found: list[object] = library.raw("FCALL", "ks_seal", 1, library.keys.state, *words)
    return found


def proved(library: Library, *words: str | int, scope: str | None = None) -> list[object]:
    """ks_proved by hand."""
    key = library.keys.state if scope is None else f"{library.keys.state}:{scope}"
    found: list[object] = library.raw("FCALL", "ks_proved", 1, key, *words)
    return found


def test_what_was_recorded_is_sealed_and_verifies(library: Library) -> None:
    """Every entry gets one seal, in order, under its own id; a second sealing has nothing to do."""
    for number in range(5):
        library.permit()
        library.set_raw(f"ENGAGED {number}")
        library.beat()
    done = seal(library)
    entries = library.audit()
    assert (done.sealed, done.position, done.obstacle) == (len(entries), len(entries), "")
    assert seal(library).sealed == 0
    found = verify(library)
    assert (found.intact, found.position, found.unsealed) == (True, len(entries), 0)
    assert found.link == done.link
    library.engage()
    assert verify(library).unsealed == 1


def test_sealing_changes_nothing_but_the_seals(library: Library) -> None:
    """State, ledger, record and membership are as they were."""
    library.permit()
    library.beat()
    before = (library.get(), library.ledger(), library.audit(), library.worker())
    seal(library)
    assert (library.get(), library.ledger(), library.audit(), library.worker()) == before
    assert f"{library.keys.prefix}:seals" in library.names()


def test_a_sealer_that_comes_second_goes_on_behind_the_first(library: Library) -> None:
    """Both read the same head; one is told that it is another one by now, appends nothing and continues from there."""
    for _ in range(4):
        library.engage()
    seal(library, limit=2)
    head = last_seal(library.caller, library.keys)
    assert head is not None
    seal(library, limit=1)
    answer = call(library, head.entry_id, head.link, "sha256", "1-1", "c", "l")
    assert answer[1:3] == [0, 3]
    assert seal(library).sealed == 1
    assert verify(library).intact


def test_a_sealer_that_dies_half_way_leaves_a_shorter_chain(library: Library) -> None:
    """What was sealed is whole; the next sealer goes on, and the chain is the one that one sealer alone makes."""
    for _ in range(7):
        library.engage()
    seal(library, limit=3)
    found = verify(library)
    assert (found.intact, found.position, found.unsealed) == (True, 3, 4)
    link = seal(library).link
    library.raw("DEL", library.keys.seals)
    assert seal(library).link == link


def test_only_the_next_entries_are_sealed(library: Library) -> None:
    """An entry that is not there, is left out, or is sealed already gets no seal, whoever asks."""
    for _ in range(3):
        library.engage()
    ids = [entry_id for entry_id, _ in library._stream(library.keys.audit)]
    for wrong in (("9-9", "c", "l"), (ids[1], "c", "l"), (ids[0], "c", "l", ids[2], "c", "l")):
        with pytest.raises(StoreRefused, match="goes on with another entry"):
            call(library, "", "", "sha256", *wrong)
        library.raw("DEL", library.keys.seals)
    seal(library)
    head = last_seal(library.caller, library.keys)
    assert head is not None
    with pytest.raises(StoreRefused, match="goes on with another entry"):
        call(library, head.entry_id, head.link, "sha256", ids[2], "c", "l")
    for usage in ((), ("", ""), ("", "", "sha256", "1-1"), ("", "", "sha256", *["x"] * 603)):
        with pytest.raises(StoreRefused, match="usage"):
            call(library, *usage)


def test_whatever_lies_among_the_seals_is_no_error_of_the_record(library: Library) -> None:
    """A wrong type is moved aside and sealing goes on; junk at the end stops sealing, and the look names it."""
    library.engage()
    library.raw("SET", library.keys.seals, "junk")
    assert seal(library).position == 1
    assert verify(library).intact
    assert any(name.startswith(f"{library.keys.seals}:damaged:") for name in library.names())
    library.raw("XADD", library.keys.seals, "*", "a", "b")
    library.engage()
    assert "is none" in seal(library).obstacle
    assert Kind.NO_SEAL in {finding.kind for finding in verify(library).findings}
    assert library.engage().epoch == 3, "nobody who stops is in its way"


def test_a_chain_with_a_key_is_not_continued_without_it(library: Library) -> None:
    """Otherwise anybody's seals would follow those that cannot be forged."""
    key = "0123456789abcdef"
    library.engage()
    assert seal(library, key=key).position == 1
    library.engage()
    assert "KILLSWITCH_AUDIT_KEY" in seal(library).obstacle
    assert seal(library, key=key).position == 2
    assert verify(library, key).intact
    assert verify(library, key).keyed == 2


def test_a_record_that_was_replaced_by_an_older_one_is_not_sealed_over(library: Library) -> None:
    """Ids that run backwards: the chain does not go on, and says why."""
    library.engage()
    seal(library)
    library.raw("DEL", library.keys.audit)
    library.raw("XADD", library.keys.audit, "5-5", "epoch", "1")
    assert "the record was lost or replaced" in seal(library).obstacle


# -- the end of a wait ---------------------------------------------------------------------------------------------


def test_the_outcome_is_an_entry_that_counts_as_no_change(library: Library) -> None:
    """It names the stop it is about; epoch, ledger and state are as before, and the next change gets the next epoch."""
    epoch = library.engage(op="o-1").epoch
    before = (library.get(), library.ledger())
    answer = proved(library, epoch, "UNCERTAIN", 512, 3, "w1, w2", "alice", "o-1", "command")
    assert answer[2] == 0
    entry = library.audit()[-1]
    assert (entry["kind"], entry["epoch"], entry["verdict"], entry["waited_ms"]) == (OUTCOME, "1", "UNCERTAIN", "512")
    assert (entry["pending"], entry["members"], entry["op"], entry["scope"]) == ("w1, w2", "3", "o-1", "switch")
    assert (library.get(), library.ledger()) == before
    assert library.engage().epoch == epoch + 1
    seal(library)
    assert verify(library).intact


def test_the_outcome_told_twice_is_one_entry(library: Library) -> None:
    """Who does not know whether it was written tells it again; two waits for one stop are two."""
    epoch = library.engage(op="o-1").epoch
    words = (epoch, "QUIET", 5, 2, "", "alice", "o-1", "command")
    first = proved(library, *words)
    assert proved(library, *words)[1:] == [first[1], 1]
    assert len(library.audit()) == 2
    proved(library, epoch, "QUIET", 6, 2, "", "alice", "o-1", "command")
    assert len(library.audit()) == 3


def test_an_outcome_of_an_older_stop_does_not_set_the_epochs_back(library: Library) -> None:
    """The record remembers the counter when the ledger is lost, also where its last entry is about an older one."""
    old = library.engage().epoch
    newest = library.permit()
    proved(library, old, "QUIET", 5, 2, "")
    library.raw("DEL", library.keys.ledger)
    assert library.engage().epoch > newest


def test_what_was_refused_is_on_record_and_changes_nothing(library: Library) -> None:
    """A reset and a reduction against an epoch that is not current: who tried, what was named; told twice it is one."""
    epoch = library.engage().epoch
    library.engage()
    before = (library.get(), library.ledger())
    for _ in range(2):
        with pytest.raises(EpochConflict):
            library.reset(epoch, op="r-1")
    with pytest.raises(EpochConflict):
        library.reduce(epoch)
    assert (library.get(), library.ledger()) == before
    reset, reduction = library.audit()[2:]
    assert (reset["kind"], reset["verb"], reset["named"], reset["epoch"]) == (REFUSED, "reset", "1", "2")
    assert (reset["actor"], reset["reason"], reset["via"], reset["op"]) == ("alice", "checked", "test", "r-1")
    assert (reduction["verb"], reduction["op"]) == ("reduce", "")
    assert library.engage().epoch == 3
    seal(library)
    assert verify(library).intact
    assert [entry.epoch for entry in read_audit(library.caller, library.keys, 10)] == [1, 2, 3]


@pytest.mark.parametrize(
    "words",
    [
        (),
        (0, "QUIET", 1, 1, ""),
        (9, "QUIET", 1, 1, ""),
        (1, "GREEN", 1, 1, ""),
        (1, "QUIET", -1, 1, ""),
        (1, "QUIET", "x", 1, ""),
        (1, "QUIET", 1, "", ""),
    ],
)
def test_an_outcome_that_cannot_be_is_refused(library: Library, words: tuple[str | int, ...]) -> None:
    """Of a stop that never was, with another word, without numbers: nothing is written."""
    library.engage()
    with pytest.raises(StoreRefused, match="usage"):
        proved(library, *words)
    assert len(library.audit()) == 1


def test_what_is_sealed_while_it_is_looked_through_is_not_taken_for_missing(library: Library) -> None:
    """A look takes time, and changes go on: also when it had come to the end of the entries, those that were sealed
    meanwhile are found with their seals, and only the one that is gone is missing."""
    for _ in range(3):
        library.engage()
    seal(library)
    library.raw("XDEL", library.keys.audit, library._stream(library.keys.audit)[-1][0])
    looks: list[int] = []

    def meanwhile(entries: int) -> None:
        looks.append(entries)
        if looks == [1, 2, 2]:  # behind the last seal, whose entry is gone
            for _ in range(60):
                library.engage()
            seal(library)

    entries = Portions(library.caller, library.keys.audit, lambda entry: entry)
    seals = Portions(library.caller, library.keys.seals, make_seal, on_portion=entries.look_again)
    checker = Checker(Chain(library.keys.prefix), library.keys.prefix)
    walk(entries, seals, checker, meanwhile)
    found = checker.finish(0)
    assert found.counts["missing"] == 1
    assert (found.position, found.unsealed) == (63, 0)
