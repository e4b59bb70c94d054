"""The function library: its text, and engaging, which works on anything. On every backend."""

from __future__ import annotations

import hashlib

import pytest

from killswitch.errors import StoreRefused
from killswitch.store.functions import LIBRARY, LIBRARY_VERSION, OPERATIONS, library_source
from tests.support.library import Library

# A changed text needs a new LIBRARY_VERSION from the first release on; until then only this line changes.


LIBRARY_SHA256 = {4: "b942f49ddbc2a2e2b497d59d60a6e1cc67b1d11267bd3d7363699fef96cd4346"}


def test_text_of_the_library_belongs_to_its_version() -> None:
    """A changed function under an old version would be taken for the old one by every worker."""
    found = hashlib.sha256(library_source().encode()).hexdigest()
    assert LIBRARY_SHA256.get(LIBRARY_VERSION) == found, "the Lua text changed: raise LIBRARY_VERSION, pin its sha256"


def test_every_operation_is_registered_and_only_engaging_has_a_flag(library: Library) -> None:
    """ks_read has no flags, so that Redis refuses it whenever it would refuse a SET; engaging ignores full memory."""
    (found,) = library.raw("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY)
    flags = {item[b"name"].decode(): sorted(item[b"flags"]) for item in found[b"functions"]}
    assert flags == {name: [b"allow-oom"] if name == "ks_engage" else [] for name in OPERATIONS}
    with pytest.raises(StoreRefused):
        library.raw("FCALL_RO", "ks_read", 1, library.keys.state, "n")


# -- engage ---------------------------------------------------------------------------------------------------------


def test_engage_on_nothing_stops_and_is_on_record(library: Library) -> None:
    """State, ledger and audit entry agree, and the answer tells all of it."""
    change = library.engage("fat finger", op="op1")
    assert (change.epoch, change.was, change.state, change.repeated) == (1, "(absent)", "ENGAGED fat finger", False)
    assert library.get() == "ENGAGED fat finger"
    (entry,) = library.audit()
    assert entry.items() >= {
        "epoch": "1", "scope": "switch", "from": "(absent)", "to": "ENGAGED fat finger", "reason": "fat finger",
        "actor": "alice", "via": "test", "op": "op1", "at_ms": str(change.at_ms),
    }.items()  # fmt: skip
    assert library.ledger()["switch:epoch"] == library.ledger()["epoch"] == "1"


def test_each_engage_has_a_higher_epoch_than_all_before(library: Library) -> None:
    """No two changes share an epoch, across scopes too."""
    epochs = [library.engage(scope=scope).epoch for scope in (None, "a:1", None, "b:2", "a:1")]
    assert epochs == [1, 2, 3, 4, 5]


def test_same_operation_again_changes_nothing_and_answers_the_same(library: Library) -> None:
    """A lost answer may be asked for again."""
    first = library.engage(op="op1")
    again = library.engage(op="op1")
    assert again.repeated
    assert (again.epoch, again.state, again.at_ms) == (first.epoch, first.state, first.at_ms)
    permitted = library.reset(first.epoch, op="op2")
    assert library.reset(first.epoch, op="op2").epoch == permitted.epoch
    reduced = library.reduce(op="op3")
    assert library.reduce(op="op3").epoch == reduced.epoch
    assert [entry["op"] for entry in library.audit()] == ["op1", "op2", "op3"]


def test_operation_id_of_another_verb_or_scope_stops_no_engagement(library: Library) -> None:
    """An id that was used for a permission, or elsewhere, never keeps an engagement from being made."""
    library.reset(library.engage(op="x").epoch, op="y")
    assert library.engage(op="y").epoch == 3
    assert library.get() == "ENGAGED stop"
    assert library.engage(op="y", scope="a:1").epoch == 4
    assert library.get("a:1") == "ENGAGED stop"


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1,2]", "null", '"x"', "{", "[" * 50, '["version",1]', "\xff"])
def test_damaged_receipt_does_not_keep_from_engaging(library: Library, content: str) -> None:
    """Whatever lies under the key of an operation, engaging with its id engages."""
    library.permit()
    library.raw("SET", f"{library.keys.prefix}:op:engage:switch:op9", content)
    assert not library.engage(op="op9").repeated
    assert library.get() == "ENGAGED stop"


def test_receipt_of_another_type_does_not_keep_from_engaging(library: Library) -> None:
    """A list under the operation's key is passed by."""
    library.raw("RPUSH", f"{library.keys.prefix}:op:engage:switch:op9", "x")
    assert not library.engage(op="op9").repeated
    assert library.engage(op="op9").repeated is False or library.get() == "ENGAGED stop"


def test_text_for_the_record_is_one_printable_line(library: Library) -> None:
    """Control bytes would forge lines in logs and terminals; empty texts get a word."""
    library.raw("FCALL", "ks_engage", 1, library.keys.state, "a\r\nb\x1b[2J\x7f", "", "", "")
    (entry,) = library.audit()
    assert entry["reason"] == "a  b [2J "
    assert (entry["actor"], entry["via"]) == ("unattributed", "redis-cli")
    library.raw("FCALL", "ks_engage", 1, library.keys.state)
    assert library.get() == "ENGAGED no reason given"


def test_long_reason_is_cut_and_still_recorded(library: Library) -> None:
    """What is written stays within what is compared to the letter."""
    library.engage("x" * 5000)
    assert library.get() == "ENGAGED " + "x" * 248
    assert library.read().rows[0].recorded
    assert library.beat().rows[0].epoch == 1


@pytest.mark.parametrize("key", ["state", "ledger", "audit", "workers"])
@pytest.mark.parametrize("kind", ["string", "list", "hash", "set", "zset", "stream"])
def test_engage_works_whatever_type_lies_under_the_keys(library: Library, key: str, kind: str) -> None:
    """Engaging is recorded with a higher epoch, and nothing but a state is overwritten on the way."""
    before = library.permit()
    name = getattr(library.keys, key)
    make = {
        "string": ("SET", name, "junk"), "list": ("RPUSH", name, "junk"), "hash": ("HSET", name, "a", "junk"),
        "set": ("SADD", name, "junk"), "zset": ("ZADD", name, 1, "junk"), "stream": ("XADD", name, "*", "a", "junk"),
    }  # fmt: skip
    library.raw("RENAME", name, name + "-kept") if library.raw("EXISTS", name) else None
    library.raw(*make[kind])
    assert library.engage().epoch > before
    assert library.get() == "ENGAGED stop"
    library.beat()
    fits = {"state": "string", "ledger": "hash", "audit": "stream", "workers": "zset"}
    damaged = [found for found in library.names() if found.startswith(f"{name}:damaged:")]
    assert len(damaged) == (0 if key == "state" or fits[key] == kind else 1)


def test_two_repairs_in_one_moment_keep_both_pieces_of_evidence(library: Library) -> None:
    """What was set aside first is not overwritten by what is set aside next."""
    for _ in range(20):
        library.raw("SET", library.keys.ledger, "junk")
        library.engage()
    assert sum(":ledger:damaged:" in name for name in library.names()) == 20


def test_exhausted_audit_stream_is_set_aside(library: Library) -> None:
    """A stream that can take no more entries does not keep from engaging."""
    library.raw("XADD", library.keys.audit, "18446744073709551615-18446744073709551615", "a", "b")
    assert library.engage().epoch == 1
    assert library.get() == "ENGAGED stop"
    assert len(library.audit()) == 1
    assert any(":audit:damaged:" in name for name in library.names())


@pytest.mark.parametrize(
    "junk", ["", "x", "1e400", "-1", "nan", "inf", "0x", str(2**63), str(2**53), "1.5", " ", "\x00", "9" * 400]
)
def test_epoch_that_is_no_epoch_is_read_from_the_audit_instead(library: Library, junk: str) -> None:
    """A damaged counter does not give an epoch out twice."""
    for _ in range(3):
        library.engage()
    library.raw("HSET", library.keys.ledger, "epoch", junk)
    assert library.engage().epoch == 4


@pytest.mark.parametrize("lost", ["epoch set back", "ledger", "audit", "epoch field and audit"])
def test_epoch_is_not_used_twice_while_one_memory_is_left(library: Library, lost: str) -> None:
    """Counter, audit stream and the scope's own record each know the last epoch."""
    for _ in range(5):
        library.engage()
    if lost == "epoch set back":
        library.raw("HSET", library.keys.ledger, "epoch", 2)
    if lost == "ledger":
        library.raw("DEL", library.keys.ledger)
    if "audit" in lost:
        library.raw("DEL", library.keys.audit)
    if lost.startswith("epoch field"):
        library.raw("HDEL", library.keys.ledger, "epoch")
    assert library.engage().epoch >= 6
