"""The chain: what a key adds, what the entries themselves must tell, and the written form of a seal."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from killswitch.core.chain import HMAC, Chain, RawEntry, content_of, parse_seal, seal_fields
from killswitch.core.findings import Kind, Verification
from tests.support.records import PREFIX, change, history, sealed, verify

few = settings(max_examples=40)
WORDS = st.lists(st.binary(max_size=12), min_size=2, max_size=8).filter(lambda words: len(words) % 2 == 0)
KEYS = st.sampled_from(["", "0123456789abcdef"])


def kinds(found: Verification) -> set[Kind]:
    """What was found."""
    return {finding.kind for finding in found.findings}


KEY = "correct horse battery"


def test_a_chain_built_anew_without_the_key_is_found() -> None:
    """Who can write to Redis and has not the key can not make a chain that holds, neither plain nor with a guess."""
    forged = [change(n, reason="forged") for n in range(1, 5)]
    assert kinds(verify(forged, sealed(forged), key=KEY)) == {Kind.UNKEYED}
    assert kinds(verify(forged, sealed(forged, "another key"), key=KEY)) == {Kind.BROKEN}


def test_seals_without_the_key_behind_such_with_it_are_found() -> None:
    """A forged continuation of a chain with a key."""
    entries = history(5)
    seals = sealed(entries[:3], KEY)
    plain = Chain(PREFIX)
    for entry in entries[3:]:
        seals.append(plain.seal(len(seals) + 1, seals[-1].link, entry))
    found = verify(entries, seals, key=KEY)
    assert [(f.kind, f.first, f.last) for f in found.findings] == [(Kind.UNKEYED, 4, 5)]


def test_what_was_sealed_before_the_key_is_covered_by_the_first_seal_with_it() -> None:
    """Setting a key does not void the record; until the next change is sealed it can not be told from a forgery."""
    entries = history(5)
    seals = sealed(entries[:3])
    keyed = Chain(PREFIX, KEY)
    for entry in entries[3:]:
        seals.append(keyed.seal(len(seals) + 1, seals[-1].link, entry))
    found = verify(entries, seals, key=KEY)
    assert found.intact
    assert [(note.kind, note.first, note.last) for note in found.notes] == [(Kind.BEFORE_THE_KEY, 1, 3)]


def test_without_the_key_its_links_are_counted_as_unchecked_and_the_rest_is_checked() -> None:
    """Nobody is told that all is well where it could not be looked at."""
    entries = history(4)
    seals = sealed(entries, KEY)
    found = verify(entries, seals)
    assert (found.intact, found.unchecked, found.keyed) == (True, 4, 4)
    assert kinds(verify(entries[1:], seals)) == {Kind.MISSING}
    assert kinds(verify([change(1, reason="x"), *entries[1:]], seals)) == {Kind.EDITED}


# -- what entries tell ------------------------------------------------------------------------------------------------


def test_epochs_that_do_not_rise_in_their_scope_are_found_and_leaps_are_noted() -> None:
    """An entry written by hand was sealed honestly: its epoch gives it away. A leap is no violation."""
    entries = [change(1), change(2, "symbol:A"), change(3, epoch=1), change(4, "symbol:B", epoch=1000)]
    found = verify(entries, sealed(entries))
    assert [(f.kind, f.first) for f in found.findings] == [(Kind.EPOCHS, 3)]
    assert [(n.kind, n.first, n.text) for n in found.notes] == [(Kind.GAP, 4, "3 to 999")]


@pytest.mark.parametrize(
    "words",
    [
        (b"epoch", b"2"),
        (b"epoch", b"x", b"scope", b"switch", b"at_ms", b"1"),
        (b"kind", b"song", b"epoch", b"2", b"scope", b"switch", b"at_ms", b"1"),
        (b"\xff", b"\xfe"),
        (b"epoch", b"2", b"scope", b"switch", b"at_ms"),
    ],
)
def test_an_entry_that_no_function_writes_is_called_foreign(words: tuple[bytes, ...]) -> None:
    """Somebody wrote into the stream by hand and an honest sealer sealed it."""
    entries = [change(1), RawEntry(change(2).entry_id, words)]
    assert kinds(verify(entries, sealed(entries))) == {Kind.FOREIGN}


def test_entries_that_the_stream_has_held_and_are_gone_unsealed_are_found() -> None:
    """What was trimmed before anybody sealed it leaves no seal; the stream's own count tells."""
    found = verify([], [], removed=3)
    assert [(f.kind, f.text) for f in found.findings] == [(Kind.REMOVED, "3 more under killswitch:audit")]


# -- the form ---------------------------------------------------------------------------------------------------------


@few
@given(one=WORDS, other=WORDS)
@example(one=[b"a,", b"b"], other=[b"a", b",b"])  # the same where only what ends a text is written
@example(one=[b"ab", b"c"], other=[b"a", b"bc"])  # and where not even that is
def test_no_two_entries_have_one_content(one: list[bytes], other: list[bytes]) -> None:
    """What is hashed can be taken apart again: a byte that moves from a name to its value is another content."""
    assume(one != other)
    assert content_of(RawEntry("1-0", tuple(one))) != content_of(RawEntry("1-0", tuple(other)))
    joined = (one[0] + one[1][:1], one[1][1:], *one[2:])
    assert (content_of(RawEntry("1-0", joined)) == content_of(RawEntry("1-0", tuple(one)))) == (joined == tuple(one))


@few
@given(position=st.integers(1, 10**9), key=KEYS, words=WORDS)
def test_a_seal_is_read_back_as_it_was_written(position: int, key: str, words: list[bytes]) -> None:
    """What a sealer writes is what a verifier reads."""
    seal = Chain("p", key).seal(position, "", RawEntry("5-1", tuple(words)))
    assert parse_seal("5-1", seal_fields(seal)) == seal
    assert seal.readable


@few
@given(fields=st.dictionaries(st.sampled_from(["n", "content", "link", "by", "x"]), st.text(max_size=70)))
def test_anything_else_is_no_seal(fields: dict[str, str]) -> None:
    """Nothing that somebody writes among the seals is an error, and nothing half right is taken for one."""
    assert not parse_seal("1-0", fields).readable


def test_the_links_are_those_of_the_written_form() -> None:
    """The format is fixed: a chain that was sealed by this release is verified by the next one. Figures from sha256sum
    and openssl."""
    entry = RawEntry("1700000000000-0", (b"epoch", b"1", b"scope", b"switch"))
    seal = Chain("killswitch").seal(1, "", entry)
    assert seal.content == "016fe1a8f7cff88668980856aa53ac1feb3575287e8cf679b34d00ea709209e9"
    assert seal.link == "954642d93f98b501f80ebd50f6076b22d4f50b37ba2009c9d1a5c37c7b841ff5"
    assert (
        Chain("killswitch", KEY).seal(1, "", entry).link
        == "853e13df89251045c629589937e1ba162cee1892a30d35550bd5ac805761c8e2"
    )
    assert Chain("killswitch", KEY).seal(1, "", entry).algorithm == HMAC


def test_a_link_covers_prefix_place_id_and_content() -> None:
    """A sealed entry of another switch, or of another place, does not fit in here."""
    link = Chain("a").link("b", 1, "1-0", "c")
    others = [
        Chain("x").link("b", 1, "1-0", "c"),
        Chain("a").link("x", 1, "1-0", "c"),
        Chain("a").link("b", 2, "1-0", "c"),
        Chain("a").link("b", 1, "2-0", "c"),
        Chain("a").link("b", 1, "1-0", "x"),
        Chain("a", KEY).link("b", 1, "1-0", "c"),
    ]
    assert link not in others
    assert len(set(others)) == len(others)
