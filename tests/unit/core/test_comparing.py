"""Where state, ledger, record and workers do not agree: each disagreement is named, and agreement is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from killswitch import AuditEntry, Code, FleetStatus, Mode
from killswitch.core.comparing import Difference, LastChanges, compare
from tests.unit.ops.pictures import engaged, member, state, status


def entry(**changes: Any) -> AuditEntry:
    """The last change of the switch in `pictures.status`."""
    made = AuditEntry("5-0", 7, "switch", "ENGAGED x", "SAFE", "go live", "alice", "command", "o", 1_000_000)
    return replace(made, **changes)


def last(*entries: AuditEntry, whole: bool = True) -> LastChanges:
    """What the record tells."""
    return LastChanges({one.scope: one for one in entries}, max([0, *(one.epoch for one in entries)]), whole)


def found(picture: FleetStatus, record: LastChanges | None = None) -> list[tuple[Difference, str]]:
    """Names and subjects."""
    return [(one.difference, one.subject) for one in compare(picture, record or last(entry()), "1.0")]


STOPPED = engaged(actor="alice", why="go live", epoch=7)
STOP = entry(after="ENGAGED fat finger")
QUIET = member(closed=True, mode="ENGAGED", code="engaged", quiet_epoch=7)
WORDS = engaged(text="SAFE (for 6 s)", actor="alice", why="go live", epoch=7, via="raw")
PART = state(scope="a:1", text="ENGAGED x", mode=Mode.ENGAGED, code=Code.ENGAGED, epoch=6, why="x", actor="bob")
OF_PART = entry(scope="a:1", epoch=6, after="ENGAGED x", reason="x", actor="bob")


@pytest.mark.parametrize(
    ("picture", "record"),
    [
        (status(), last(entry())),
        (status(switch=STOPPED, members=(QUIET,)), last(STOP)),
        (status(scopes=(PART,), members=(member(),)), last(entry(), OF_PART)),
        (status(scopes=(state(scope="b:2", text="(absent)", epoch=0, actor="", why="", via=""),)), last(entry())),
        (status(switch=state(ttl_ms=5000)), last(entry(after="SAFE (for 6 s)"))),
        (status(), last(entry(after="SAFE (while renewed, 8 s at a time)"))),
        (status(switch=state(ttl_ms=5000, via="raw")), last(entry(after="SAFE (for 6 s)", via="raw"))),
        (status(switch=WORDS, members=(QUIET,)), last(entry(after="SAFE (for 6 s)", via="raw"))),
        (status(epoch=12), last(entry())),
        (status(members=()), last(entry())),
        (status(members=(member(code="lease_expired", closed=False),)), last(entry())),
    ],
)
def test_what_agrees_is_left_alone(picture: FleetStatus, record: LastChanges) -> None:
    """Stopped and quiet, permitted and open, a part that nobody follows, a permission for a while or while it is
    renewed, by a function or by hand, words that only look like one, a counter ahead."""
    assert found(picture, record) == []


def test_a_record_that_begins_anew_needs_no_entry_of_what_was_before() -> None:
    """What an earlier chain tells of is no disagreement; in a record that begins with the first change it is."""
    alone: dict[str, Any] = {"switch": state(epoch=9), "epoch": 9, "members": ()}
    picture = status(**alone, scopes=(PART,), persons=2, on_failover="resume")
    anew = replace(last(entry(epoch=9)), first=9)
    assert found(picture, anew) == []
    wrong = [(Difference.NO_ENTRY, "a:1"), (Difference.NO_ENTRY, "on_failover"), (Difference.NO_ENTRY, "persons")]
    assert found(picture, replace(anew, first=1)) == wrong
    assert found(status(**alone, scopes=(replace(PART, epoch=9),)), anew) == wrong[:1]


def test_a_worker_that_has_seen_more_than_what_it_follows_tells_of_a_ledger_that_was_wound_back() -> None:
    """The counter alone does not show it: a beat raises it to what the worker has seen."""
    part, of_part = (
        state(scope="a:1", epoch=6, why="x", actor="bob"),
        entry(scope="a:1", epoch=6, reason="x", actor="bob"),
    )
    picture = status(epoch=9, members=(member(epoch=9, scopes=("a:1",)),), scopes=(part,))
    assert found(picture, last(entry(), of_part)) == [(Difference.AHEAD, "w1")]
    unknown = status(epoch=9, members=(member(epoch=9, scopes=("a:1", "c:3")),), scopes=(part,))
    assert found(unknown, last(entry(), of_part)) == [], "what is not known of c:3 accuses nobody"


CASES: dict[Difference, tuple[FleetStatus, LastChanges, str]] = {
    Difference.UNRECORDED: (status(switch=state(recorded=False)), last(entry()), "switch"),
    Difference.UNAPPROVED: (status(switch=state(recorded=False, unapproved=True)), last(entry()), "switch"),
    Difference.VOID: (status(confirmed=False), last(entry()), "switch"),
    Difference.REFUSED: (status(trouble=(Code.REDIS_OOM, "OOM")), last(entry()), "switch"),
    Difference.NO_ENTRY: (status(), last(), "switch"),
    Difference.OTHER_ENTRY: (status(), last(entry(actor="mallory")), "switch"),
    Difference.NEWER_ENTRY: (status(epoch=9), last(entry(epoch=9)), "switch"),
    Difference.OTHER_STATE: (status(), last(entry(after="ENGAGED x")), "switch"),
    Difference.COUNTER: (status(epoch=6), last(entry()), "ledger"),
    Difference.UNKNOWN: (status(members=(member(known=False),)), last(entry()), "w1"),
    Difference.SILENT: (status(members=(member(beat_age_ms=60_000),)), last(entry()), "w1"),
    Difference.TWO_LIVES: (status(members=(member(rival=True),)), last(entry()), "w1"),
    Difference.OTHER_VERSION: (status(members=(member(version="0.9"),)), last(entry()), "w1"),
    Difference.AHEAD: (status(members=(member(epoch=70),)), last(entry()), "w1"),
    Difference.BEHIND: (status(members=(member(epoch=6),)), last(entry()), "w1"),
    Difference.STILL_OPEN: (status(switch=STOPPED, members=(member(),)), last(STOP), "w1"),
    Difference.NOT_QUIET: (status(switch=STOPPED, members=(replace(QUIET, in_flight=1),)), last(STOP), "w1"),
    Difference.CLOSED: (status(members=(member(closed=True, code="no_answer"),)), last(entry()), "w1"),
}


@pytest.mark.parametrize("difference", Difference)
def test_each_disagreement_is_named(difference: Difference) -> None:
    """The closed list: each has a picture in which it is found, at the right place, and a remedy."""
    picture, record, subject = CASES[difference]
    assert (difference, subject) in found(picture, record)
    assert difference.remedy.endswith((".", "?"))


@pytest.mark.parametrize(
    ("picture", "record", "expected"),
    [
        (status(), last(entry(epoch=6)), Difference.NO_ENTRY),
        (status(), last(entry(after="SAFE (looks fine)")), Difference.OTHER_STATE),
        (status(switch=state(via="raw")), last(entry(after="SAFE (for 6 s)", via="raw")), Difference.OTHER_STATE),
        (status(switch=STOPPED), last(entry(after="SAFE (while renewed, 8 s at a time)")), Difference.OTHER_STATE),
        (status(), last(entry(at_ms=1)), Difference.OTHER_ENTRY),
        (status(), last(entry(reason="another")), Difference.OTHER_ENTRY),
        (status(epoch=8), last(entry(), entry(scope="a:1", epoch=8)), Difference.NEWER_ENTRY),
        (status(members=(member(code="engaged", closed=True),)), last(entry()), Difference.CLOSED),
        (status(switch=STOPPED, members=(replace(QUIET, quiet_epoch=6),)), last(STOP), Difference.NOT_QUIET),
        (status(scopes=(PART,), members=(member(scopes=("a:1",)),)), last(entry(), OF_PART), Difference.STILL_OPEN),
    ],
)
def test_the_same_disagreement_in_other_clothes(
    picture: FleetStatus, record: LastChanges, expected: Difference
) -> None:
    """A cut end, an altered time or reason, a scope only the record knows, a worker of a stopped part."""
    assert expected in [difference for difference, _ in found(picture, record)]


def test_the_policy_of_a_fail_over_is_compared_like_a_scope_of_its_own() -> None:
    """Its entries have the scope `on_failover`, which no state key has."""
    policy = entry(scope="on_failover", epoch=5, before="halt", after="resume")
    assert found(status(on_failover="resume"), last(entry(), policy)) == []
    assert found(status(), last(entry(), policy)) == [(Difference.OTHER_ENTRY, "on_failover")]
    assert found(status(on_failover="resume"), last(entry())) == [(Difference.NO_ENTRY, "on_failover")]


def test_how_many_persons_permit_is_compared_like_that_too() -> None:
    """A ledger that was made to forget that two have to is found beside the record."""
    rule = entry(scope="persons", epoch=5, before="1", after="2")
    assert found(status(persons=2), last(entry(), rule)) == []
    assert found(status(), last(entry(), rule)) == [(Difference.OTHER_ENTRY, "persons")]
    assert found(status(persons=2), last(entry())) == [(Difference.NO_ENTRY, "persons")]


def test_a_record_that_was_not_read_to_its_beginning_is_not_called_empty() -> None:
    """A scope whose last change is very old may lie before what was read."""
    assert found(status(), last(whole=False)) == []


def test_texts_of_any_length_are_cut() -> None:
    """Somebody may have written megabytes into the ledger."""
    huge = "x" * 1_000_000
    told = compare(status(switch=state(actor=huge, why=huge)), last(entry()), "1.0")
    assert [len(one.text) <= 400 for one in told] == [True]
