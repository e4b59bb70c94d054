"""The chain over the record: whatever is done to what was sealed is found, and what is in order is called so."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from killswitch.core.chain import RawEntry, Seal, parse_seal
from killswitch.core.findings import Kind, Verification
from tests.support.records import FIRST_MS, anchor_at, change, history, renumbered, sealed, verify

few = settings(max_examples=40)
WORDS = st.lists(st.binary(max_size=12), min_size=2, max_size=8).filter(lambda words: len(words) % 2 == 0)
KEYS = st.sampled_from(["", "0123456789abcdef"])


def kinds(found: Verification) -> set[Kind]:
    """What was found."""
    return {finding.kind for finding in found.findings}


@few
@given(count=st.integers(0, 30), sealed_count=st.integers(0, 30), key=KEYS)
def test_an_untouched_record_is_intact_and_its_tail_is_counted(count: int, sealed_count: int, key: str) -> None:
    """No false alarm: whatever part is sealed, nothing is found, and the rest is the tail with its age."""
    entries = history(count)
    seals = sealed(entries, key)[:sealed_count]
    found = verify(entries, seals, [anchor_at(seal) for seal in seals], key)
    assert found.intact, found.findings
    assert not found.notes
    assert (found.position, found.unsealed) == (len(seals), count - len(seals))
    assert found.keyed == (len(seals) if key else 0)
    assert found.unsealed_ms == (10_000_000 - 1000 * (len(seals) + 1) if found.unsealed else 0)


@few
@given(data=st.data(), count=st.integers(1, 12), key=KEYS)
def test_any_edit_of_any_entry_is_found(data: st.DataObject, count: int, key: str) -> None:
    """Another byte, another name, a field more or less: the position that was edited is named."""
    entries = history(count)
    seals = sealed(entries, key)
    at = data.draw(st.integers(0, count - 1))
    words = list(entries[at].words)
    place = data.draw(st.integers(0, len(words) - 1))
    how = data.draw(st.sampled_from(["word", "more", "less", "twice", "moved"]))
    if how == "word":
        words[place] = data.draw(st.binary(max_size=300))
    elif how == "more":
        words += [b"note", b"x"]
    elif how == "less":
        del words[place - place % 2 : place - place % 2 + 2]
    elif how == "twice":
        words += words[:2]
    else:
        words = words[2:] + words[:2]
    assume(tuple(words) != entries[at].words)
    edited = [*entries[:at], replace(entries[at], words=tuple(words)), *entries[at + 1 :]]
    found = verify(edited, seals, key=key)
    assert [f.first for f in found.findings if f.kind is Kind.EDITED] == [at + 1]


@few
@given(data=st.data(), count=st.integers(1, 12))
def test_any_entry_that_is_gone_is_found(data: st.DataObject, count: int) -> None:
    """One, several, the first, the last, all: each is named by its position."""
    entries = history(count)
    gone = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    found = verify([entry for at, entry in enumerate(entries) if at not in gone], sealed(entries))
    named = [at for f in found.findings if f.kind is Kind.MISSING for at in range(f.first, f.last + 1)]
    assert named == [at + 1 for at in sorted(gone)]
    assert kinds(found) == {Kind.MISSING}


@few
@given(data=st.data(), count=st.integers(1, 12), words=WORDS)
def test_any_entry_that_was_put_in_is_found(data: st.DataObject, count: int, words: list[bytes]) -> None:
    """Before the last sealed entry nothing can be put in; it is named by its id."""
    entries = history(count)
    at = data.draw(st.integers(0, count - 1))
    strange = RawEntry(f"{FIRST_MS + 1000 * at + 500}-0", tuple(words))
    found = verify([*entries[:at], strange, *entries[at:]], sealed(entries))
    assert strange.entry_id in [f.entry_id for f in found.findings if f.kind is Kind.INSERTED]


@few
@given(data=st.data(), count=st.integers(2, 12), how=st.sampled_from(["contents", "renumbered"]))
def test_any_two_entries_that_changed_places_are_found(data: st.DataObject, count: int, how: str) -> None:
    """A stream keeps its ids in order, so entries change places by their contents, or in a stream written anew."""
    entries = history(count)
    one, other = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=2, max_size=2)))
    swapped = list(entries)
    swapped[one], swapped[other] = entries[other], entries[one]
    if how == "contents":
        swapped = [RawEntry(kept.entry_id, entry.words) for kept, entry in zip(entries, swapped, strict=True)]
    else:
        swapped = renumbered(swapped)
    found = verify(swapped, sealed(entries))
    assert Kind.REORDERED in kinds(found)
    if how == "contents":
        assert [f.first for f in found.findings if f.kind is Kind.REORDERED] == [one + 1, other + 1]


def _alter(seal: Seal, field: str) -> Seal:
    other = "0" * 64 if getattr(seal, field) != "0" * 64 else "1" * 64
    return replace(seal, link=other) if field == "link" else replace(seal, content=other)


@few
@given(data=st.data(), count=st.integers(1, 12), key=KEYS)
def test_any_seal_that_was_altered_taken_or_put_in_is_found(data: st.DataObject, count: int, key: str) -> None:
    """The seals lie where the entries lie, so they are as little beyond reach: each change of them is found."""
    entries = history(count)
    seals = sealed(entries, key)
    at = data.draw(st.integers(0, count - 1))
    how = data.draw(st.sampled_from(["link", "content", "position", "taken", "junk", "put in"]))
    if how in ("link", "content"):
        seals[at] = _alter(seals[at], how)
    elif how == "position":
        seals[at] = replace(seals[at], position=data.draw(st.integers(1, 99).filter(lambda n: n != at + 1)))
    elif how == "taken":
        assume(at < count - 1)  # the last ones gone: an unsealed tail, see below
        del seals[at]
    elif how == "junk":
        seals[at] = parse_seal(seals[at].entry_id, {"n": "x"})
    else:
        seals.insert(at, replace(seals[at], entry_id=f"{FIRST_MS + 1000 * at + 500}-0"))
    found = verify(entries, seals, key=key)
    assert not found.intact
    assert kinds(found) <= {Kind.BROKEN, Kind.EDITED, Kind.SEALS_MISSING, Kind.NO_SEAL, Kind.MISSING, Kind.INSERTED}


@few
@given(count=st.integers(2, 12), data=st.data())
def test_lost_seals_of_entries_that_are_there_are_told_from_inserted_entries(count: int, data: st.DataObject) -> None:
    """Seals that are gone, from the front too, with the chain going on behind them: no entry is called a stranger."""
    entries = history(count)
    first = data.draw(st.integers(1, count - 1))
    last = data.draw(st.integers(first, count - 1))
    seals = sealed(entries)
    found = verify(entries, [*seals[: first - 1], *seals[last:]])
    assert [(f.kind, f.first, f.last) for f in found.findings] == [(Kind.SEALS_MISSING, first, last)]
    assert "as they were sealed" in found.findings[0].text


@few
@given(count=st.integers(1, 12), kept=st.integers(0, 11), built=st.booleans())
def test_a_cut_end_is_found_against_an_anchor_and_only_so(count: int, kept: int, built: bool) -> None:
    """The end of both streams gone, or others put in its place: the chain looks whole, and the anchor contradicts."""
    assume(kept < count)
    entries = history(count)
    anchors = [anchor_at(seal) for seal in sealed(entries)]
    left = entries[:kept] + ([change(n, reason="forged") for n in range(kept + 1, count + 1)] if built else [])
    assert verify(left, sealed(left)).intact
    found = verify(left, sealed(left), anchors)
    assert kinds(found) == {Kind.NOT_AS_ANCHORED if built else Kind.CUT}


@few
@given(count=st.integers(2, 12), cut=st.integers(1, 11))
def test_a_cut_front_is_found_without_an_anchor(count: int, cut: int) -> None:
    """The first seal stands at position 1: without the entries, without their seals, and without both."""
    assume(cut < count)
    entries = history(count)
    seals = sealed(entries)
    assert kinds(verify(entries[cut:], seals)) == {Kind.MISSING}
    assert kinds(verify(entries, seals[cut:])) == {Kind.SEALS_MISSING}
    assert kinds(verify(entries[cut:], seals[cut:])) == {Kind.SEALS_MISSING}


@few
@given(count=st.integers(1, 12), cut=st.integers(1, 11))
def test_a_front_cut_and_sealed_anew_is_found_against_an_anchor(count: int, cut: int) -> None:
    """Who can write both streams can build a chain that is whole in itself. That is said, and the anchor finds it."""
    assume(cut < count)
    entries = history(count)
    left = entries[cut:]
    found = verify(left, sealed(left))
    assert found.intact
    assert [note.kind for note in found.notes] == [Kind.BEGINS_LATE]
    assert not verify(left, sealed(left), [anchor_at(sealed(entries)[-1])]).intact


@few
@given(count=st.integers(1, 12), kept=st.integers(0, 11))
def test_seals_cut_at_the_end_are_an_unsealed_tail_and_found_against_an_anchor(count: int, kept: int) -> None:
    """With the entries still there nothing is lost; an anchor tells that they were sealed once."""
    assume(kept < count)
    entries = history(count)
    seals = sealed(entries)
    assert verify(entries, seals[:kept]).unsealed == count - kept
    found = verify(entries, seals[:kept], [anchor_at(seals[-1])])
    assert kinds(found) == {Kind.SEALS_MISSING}
    assert sealed(entries) == seals, "sealing again gives the same chain, so anchors go on holding"


def test_anchors_that_contradict_each_other_are_found() -> None:
    """Two heads at one position: one of them is not of this chain, whatever it says today."""
    entries = history(3)
    good = anchor_at(sealed(entries)[-1])
    found = verify(entries, sealed(entries), [good, replace(good, link="0" * 64)])
    assert kinds(found) == {Kind.NOT_AS_ANCHORED}


def test_anchors_of_another_prefix_do_not_concern_this_record() -> None:
    """A shared log holds the heads of several switches."""
    entries = history(3)
    other = anchor_at(sealed(history(9), prefix="other")[-1], "other")
    found = verify(entries, sealed(entries), [other])
    assert (found.intact, found.anchors) == (True, 0)
