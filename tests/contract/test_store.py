"""Changes as operators' tools make them: believed only in the agreed form, and durable only as far as is known."""

from __future__ import annotations

import pytest

from killswitch.core.reasons import Code
from killswitch.errors import LibraryMissing, StoreRefused, StoreUnavailable
from killswitch.store.audit import read_audit
from tests.support.library import Library, Scripted

WORDS = [b"version", 1, b"epoch", b"4", b"was", b"SAFE", b"state", b"ENGAGED x", b"at_ms", b"17", b"repeated", 0]


@pytest.mark.parametrize(
    "answer", [None, b"OK", [], WORDS[:10], [*WORDS[:3], b"many", *WORDS[4:]], [b"x"] * 12, [None] * 12, 7]
)
def test_change_that_is_answered_in_another_form_is_not_believed(answer: object) -> None:
    """Engaging falls back to a plain SET; permitting is refused with what to do."""
    caller = Scripted(answer, b"OK")
    assert Library(caller, load=False).engage("r").epoch == 0
    assert caller.calls[1][:3] == ("SET", "killswitch:state", "ENGAGED r")
    with pytest.raises(LibraryMissing, match="killswitch init"):
        Library(Scripted(answer), load=False).reset(1)


def test_engaging_is_one_call_where_the_library_answers() -> None:
    """No second command follows a success."""
    caller = Scripted(WORDS)
    change = Library(caller, load=False).engage("x", op="o", scope="a:1")
    assert (change.epoch, change.was, change.state, change.at_ms) == (4, "SAFE", "ENGAGED x", 17)
    assert caller.calls == [("FCALL", "ks_engage", 1, "killswitch:state:a:1", "x", "alice", "o", "test")]


def test_unknown_outcome_is_followed_by_no_set() -> None:
    """Without an answer nothing else is sent on a wire that is broken."""
    caller = Scripted(StoreUnavailable(Code.NO_ANSWER, "silence"))
    with pytest.raises(StoreUnavailable, match="silence"):
        Library(caller, load=False).engage()
    assert len(caller.calls) == 1


def test_refusal_of_everything_is_the_first_refusal() -> None:
    """The more telling of the errors is shown: the first, unless that was only a library that is missing."""
    first, second = StoreRefused(Code.REDIS_OOM, "OOM first"), StoreRefused(Code.REDIS_READONLY, "READONLY second")
    missing = LibraryMissing(Code.LIBRARY_MISSING, "no library")
    with pytest.raises(StoreRefused, match="first"):
        Library(Scripted(first, second, second, second), load=False).engage()
    with pytest.raises(StoreRefused, match="second"):
        Library(Scripted(missing, second, second, second), load=False).engage()


def test_engage_tries_function_set_and_delete_in_this_order_and_stops_at_the_first_that_is_taken() -> None:
    """What reaches Redis is bounded: three steps, each once, and the note goes in the same step as the delete."""
    no = StoreRefused(Code.REDIS_DENIED, "NOPERM")
    caller = Scripted(no, no, no, 1)
    change = Library(caller, load=False).engage("fat finger")
    assert (change.means, change.epoch, change.state) == ("delete", 0, "(absent)")
    assert [call[0] for call in caller.calls] == ["FCALL", "SET", "SET", "DEL"]
    assert caller.calls[2][:3] == ("SET", "killswitch:note", "alice: fat finger")
    assert caller.calls[3] == ("DEL", "killswitch:state")


def test_scope_is_never_deleted() -> None:
    """An absent scope follows the switch: deleting one would loosen it."""
    no = StoreRefused(Code.REDIS_DENIED, "NOPERM")
    caller = Scripted(no, no, b"ENGAGED by a user who may only stop", no, 1)
    assert Library(caller, load=False).engage(scope="symbol:EURUSD").means == "copy"
    assert caller.calls[-1] == ("COPY", "killswitch:stopword", "killswitch:state:symbol:EURUSD", "REPLACE")


@pytest.mark.parametrize("word", [None, b"SAFE", b"REDUCING", b""])
def test_stop_word_that_is_none_is_not_copied(word: bytes | None) -> None:
    """Whoever tampered with the stop word gains nothing: a command that stops never permits."""
    no = StoreRefused(Code.REDIS_DENIED, "NOPERM")
    caller = Scripted(no, no, word)
    with pytest.raises(StoreRefused, match="stop the whole fleet instead"):
        Library(caller, load=False).engage(scope="symbol:EURUSD")
    assert len(caller.calls) == 3


# -- durability -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "aof", "replicas", "acknowledged", "durable"),
    [
        ([b"connected_slaves:2\r\n", 1, b"aof_enabled:0"], "off", 2, 1, True),
        ([b"connected_slaves:0\r\n", b"aof_enabled:1", {b"appendfsync": b"always"}], "always", 0, 0, True),
        ([b"connected_slaves:0\r\n", b"aof_enabled:1", {b"appendfsync": b"everysec"}], "everysec", 0, 0, False),
        (
            [b"connected_slaves:0\r\n", b"aof_enabled:1", StoreRefused(Code.REDIS_DENIED, "NOPERM")],
            "unknown",
            0,
            0,
            False,
        ),
        ([b"connected_slaves:0\r\n", b"aof_enabled:1", [b"appendfsync"]], "unknown", 0, 0, False),
        ([StoreRefused(Code.REDIS_DENIED, "NOPERM")] * 2, "unknown", None, 0, False),
        ([b"connected_slaves:1", StoreRefused(Code.REDIS_DENIED, "NOPERM"), b"aof_enabled:0"], "off", 1, 0, False),
    ],
)
def test_durability_says_what_is_known_and_nothing_more(
    answers: list[object], aof: str, replicas: int | None, acknowledged: int, durable: bool
) -> None:
    """What this user may not ask is unknown, and unknown is not durable."""
    found = Library(Scripted(*answers), load=False).switch.durability(100)
    assert (found.aof, found.replicas, found.acknowledged, found.durable) == (aof, replicas, acknowledged, durable)


# -- audit ----------------------------------------------------------------------------------------------------------


def test_audit_is_read_in_portions_newest_last(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long record is read piece by piece, without a gap or a double."""
    monkeypatch.setattr("killswitch.store.audit._PORTION", 3)
    for _ in range(8):
        library.engage()
    assert [entry.epoch for entry in read_audit(library.caller, library.keys, 100)] == list(range(1, 9))
    assert [entry.epoch for entry in read_audit(library.caller, library.keys, 5)] == [4, 5, 6, 7, 8]
    assert [entry.epoch for entry in read_audit(library.caller, library.keys, 0)] == []


def test_audit_shows_foreign_entries_as_they_are(library: Library) -> None:
    """What somebody wrote by hand is shown with nothing made up; nothing is no error."""
    assert read_audit(library.caller, library.keys, 10) == []
    library.raw("XADD", library.keys.audit, "*", "epoch", "junk", "reason", b"\xff")
    (entry,) = read_audit(library.caller, library.keys, 10)
    assert (entry.epoch, entry.reason, entry.actor) == (-1, "\ufffd", "")


def test_audit_of_another_type_is_refused(library: Library) -> None:
    """A record that is none is not an empty record."""
    library.raw("SET", library.keys.audit, "junk")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        read_audit(library.caller, library.keys, 10)
