"""ks_admit: an order enters the journal only while the worker's own decision would let it pass. On every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import Blocked, OrderConflict, StoreRefused
from tests.support.library import Library

S1, S2 = "symbol:EURUSD", "strategy:meanrev"
NOBODY = "18446744073709551615-18446744073709551615"


def refused(library: Library, epoch: int, *, scopes: tuple[str, ...] = (S1,), reduces: bool = False) -> Blocked:
    """The refusal of an order; that it left nothing behind is asserted."""
    before = library.names()
    with pytest.raises(Blocked) as caught:
        library.admit(epoch, scopes=scopes, reduces=reduces)
    assert library.names() == before, "a refusal wrote something"
    return caught.value


def test_permitted_order_enters_with_all_that_a_gateway_needs(library: Library) -> None:
    """The entry carries the order, who sent it, and the epoch and scopes under which it was permitted."""
    epoch = library.permit()
    entry_id = library.admit(epoch, "o-1", scopes=(S1, S2), reduces=True, worker="w7", order='{"quantity":5}')
    ((found_id, fields),) = library.journal()
    assert found_id == entry_id
    at_ms = int(fields.pop("at_ms"))
    assert abs(at_ms - int(entry_id.partition("-")[0])) < 1000
    assert fields == {
        "epoch": str(epoch), "worker": "w7", "order_id": "o-1", "reduces": "1", "scopes": f"{S1},{S2}",
        "order": '{"quantity":5}',
    }  # fmt: skip


def test_orders_keep_their_sequence_and_journals_are_apart(library: Library) -> None:
    """Ids rise within a journal; another name is another journal."""
    epoch = library.permit()
    ids = [library.admit(epoch, f"o-{number}") for number in range(20)]
    other = library.admit(epoch, "o-1", journal="crypto.spot")
    assert [entry_id for entry_id, _ in library.journal()] == ids
    assert [entry_id for entry_id, _ in library.journal("crypto.spot")] == [other]


Trouble = Callable[[Library], object]
REFUSALS: dict[str, tuple[Trouble, Code, str]] = {
    "engaged": (lambda lib: lib.engage("fat finger"), Code.ENGAGED, "the switch is engaged: fat finger"),
    "engaged by hand": (lambda lib: lib.set_raw("ENGAGED"), Code.ENGAGED, "the switch is engaged: no reason given"),
    "deleted": (lambda lib: lib.raw("DEL", lib.keys.state), Code.STATE_MISSING, "there is no state key"),
    "flushed": (lambda lib: lib.raw("FLUSHALL"), Code.STATE_MISSING, "there is no state key"),
    "another text": (lambda lib: lib.set_raw("safe"), Code.STATE_UNRECOGNISED, "none of the three modes"),
    "SAFE with a blank": (lambda lib: lib.set_raw("SAFE "), Code.STATE_UNRECOGNISED, ""),
    "SAFE and a megabyte": (lambda lib: lib.set_raw("SAFE" * 262144), Code.STATE_UNRECOGNISED, ""),
    "not UTF-8": (lambda lib: lib.set_raw(b"\xff\xfe\r\n"), Code.STATE_UNRECOGNISED, ""),
    "an error's words": (lambda lib: lib.set_raw("ENGAGED NOPERM Function not found"), Code.ENGAGED, "NOPERM"),
    "a list": (
        lambda lib: (lib.raw("DEL", lib.keys.state), lib.raw("RPUSH", lib.keys.state, "SAFE")),
        Code.STATE_WRONG_TYPE,
        "the switch holds a list instead of a string",
    ),
    "scope engaged": (lambda lib: lib.engage("feed", scope=S1), Code.SCOPE_ENGAGED, f"scope {S1} is engaged: feed"),
    "scope of another text": (lambda lib: lib.set_raw("?", S1), Code.STATE_UNRECOGNISED, f"scope {S1}"),
    "permitted by hand": (
        lambda lib: (lib.engage(), lib.raw("SET", lib.keys.state, "SAFE")),
        Code.UNRECORDED,
        "the state was changed by hand and is being recorded",
    ),
    "scope permitted by hand": (lambda lib: lib.set_raw("SAFE", S1), Code.UNRECORDED, ""),
    "time limit taken off": (
        lambda lib: (lib.reset(lib.engage().epoch, ttl_ms=60_000), lib.raw("PERSIST", lib.keys.state)),
        Code.UNRECORDED,
        "",
    ),
    "another server": (
        lambda lib: lib.raw("HSET", lib.keys.ledger, "run_id", "0" * 40),
        Code.INCARNATION_CHANGED,
        "Redis restarted or failed over since trading was permitted",
    ),
    "ledger gone": (lambda lib: lib.raw("DEL", lib.keys.ledger), Code.INCARNATION_CHANGED, ""),
    "ledger of another type": (
        lambda lib: (lib.raw("DEL", lib.keys.ledger), lib.raw("RPUSH", lib.keys.ledger, "x")),
        Code.INCARNATION_CHANGED,
        "",
    ),
    "permitted anew": (lambda lib: lib.reset(lib.engage().epoch), Code.STALE_SIGNAL, "the epoch is now 4"),
    "record set back": (
        lambda lib: lib.raw("HSET", lib.keys.ledger, "switch:epoch", 1),
        Code.EPOCH_BEHIND,
        "the record is at epoch 1, this worker has seen 2",
    ),
    "epoch that is none": (lambda lib: lib.raw("HSET", lib.keys.ledger, "switch:epoch", "x"), Code.EPOCH_BEHIND, ""),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_order_is_refused_with_the_reason_and_leaves_nothing(library: Library, name: str) -> None:
    """Whatever closes a worker's gate keeps an order out of the journal, with the same code."""
    trouble, code, reason = REFUSALS[name]
    epoch = library.permit()
    trouble(library)
    found = refused(library, epoch)
    assert found.code is code
    assert reason in found.reason
    assert library.journal() == []


def test_refusal_tells_mode_and_epoch(library: Library) -> None:
    """What Blocked says of the switch is what the step found."""
    epoch = library.permit()
    library.engage("fat finger")
    found = refused(library, epoch)
    assert (found.mode, found.epoch, found.reason) == (Mode.ENGAGED, 3, "the switch is engaged: fat finger")


def test_reducing_lets_only_reducing_orders_in(library: Library) -> None:
    """REDUCING on the switch or a scope: the order must say that it reduces."""
    library.permit()
    epoch = library.reduce().epoch
    found = refused(library, epoch)
    assert (found.code, found.mode, found.epoch) == (Code.REDUCING, Mode.REDUCING, epoch)
    library.admit(epoch, "o-2", reduces=True)
    epoch = library.reset(epoch).epoch
    epoch = library.reduce(scope=S1).epoch
    assert refused(library, epoch).reason == f"scope {S1} permits only reducing orders"
    library.admit(epoch, "o-3", scopes=(S1,), reduces=True)
    assert [fields["order_id"] for _, fields in library.journal()] == ["o-2", "o-3"]


def test_epoch_is_the_highest_of_the_keys_that_are_followed(library: Library) -> None:
    """A change in a part that the worker does not follow does not void its orders, one in its own part does."""
    first = library.permit()
    library.reset(library.engage(scope=S2).epoch, scope=S2)
    library.admit(first, "o-1", scopes=(S1,))
    later = library.reset(library.engage(scope=S1).epoch, scope=S1).epoch
    library.raw("DEL", f"{library.keys.prefix}:op:admit:orders:o-1")
    assert refused(library, first).code is Code.STALE_SIGNAL
    library.admit(later, "o-2", scopes=(S1,))


def test_refused_order_may_be_admitted_later_under_the_same_id(library: Library) -> None:
    """A refusal is not remembered."""
    library.engage()
    refused(library, 1, scopes=())
    epoch = library.reset(1).epoch
    assert library.admit(epoch, "o-1")


def test_repeated_order_is_admitted_once(library: Library) -> None:
    """A lost answer may be asked for again, also when the switch was engaged meanwhile, and nothing changes."""
    epoch = library.permit()
    first = library.admit(epoch, "o-1", order='{"a":1}')
    assert library.admit(epoch, "o-1", order='{"a":1}') == first
    library.engage()
    assert library.admit(epoch, "o-1", order='{"a":1}') == first
    assert len(library.journal()) == 1
    assert 0 < library.raw("PTTL", f"{library.keys.prefix}:op:admit:orders:o-1") <= 600_000


def test_another_order_under_a_used_id_is_refused(library: Library) -> None:
    """An id never stands for two orders, so nobody takes the answer to one for the answer to the other."""
    epoch = library.permit()
    first = library.admit(epoch, "o-1", order='{"a":1}')
    with pytest.raises(OrderConflict) as caught:
        library.admit(epoch, "o-1", order='{"a":2}')
    assert caught.value.entry_id == first
    assert library.admit(epoch, "o-1", journal="others", order='{"a":2}')
    assert len(library.journal()) == 1


@pytest.mark.parametrize("content", ["", "{}", "1-1", "1-1 ", "1-1 xyz", "x 1-1 abc", "\xff"])
def test_damaged_receipt_admits_nothing(library: Library, content: str) -> None:
    """Where it is not certain whether an order was admitted before, it is not admitted."""
    epoch = library.permit()
    library.raw("SET", f"{library.keys.prefix}:op:admit:orders:o-1", content)
    assert refused(library, epoch).code is Code.REDIS_REFUSED
    assert library.admit(epoch, "o-2")


def test_receipt_of_another_type_admits_nothing(library: Library) -> None:
    """The same for a list under the order's key."""
    epoch = library.permit()
    library.raw("RPUSH", f"{library.keys.prefix}:op:admit:orders:o-1", "x")
    assert refused(library, epoch).code is Code.REDIS_REFUSED


@pytest.mark.parametrize("kind", ["string", "list", "hash", "set", "zset"])
def test_journal_of_another_type_admits_nothing_and_engaging_goes_on(library: Library, kind: str) -> None:
    """What lies under the journal's key is left alone; the switch does not depend on it."""
    epoch = library.permit()
    name = library.keys.journal("orders")
    library.raw(*{
        "string": ("SET", name, "junk"), "list": ("RPUSH", name, "junk"), "hash": ("HSET", name, "a", "junk"),
        "set": ("SADD", name, "junk"), "zset": ("ZADD", name, 1, "junk"),
    }[kind])  # fmt: skip
    assert "WRONGTYPE" in refused(library, epoch).reason
    assert library.admit(epoch, "o-1", journal="others")
    assert library.engage().epoch == epoch + 1
    assert library.beat().rows[0].text == "ENGAGED stop"


def test_exhausted_journal_admits_nothing_and_takes_the_receipt_back(library: Library) -> None:
    """An order that could not be entered is not remembered as one that was."""
    epoch = library.permit()
    library.raw("XADD", library.keys.journal("orders"), NOBODY, "a", "b")
    with pytest.raises(Blocked):
        library.admit(epoch, "o-1")
    library.raw("DEL", library.keys.journal("orders"))
    library.raw("DEL", f"{library.keys.prefix}:op:admit:orders:o-1")  # it would be gone within a millisecond
    assert library.admit(epoch, "o-1")


def test_full_journal_admits_nothing_more(library: Library) -> None:
    """Without a gateway orders do not pile up without bound, to be sent all at once hours later."""
    epoch = library.permit()
    for _ in range(10_000):
        library.raw("XADD", library.keys.journal("orders"), "*", "a", "b")
    found = refused(library, epoch)
    assert (found.code, found.mode) == (Code.JOURNAL_FULL, Mode.ENGAGED)
    library.raw("XTRIM", library.keys.journal("orders"), "MAXLEN", 9_999)
    assert library.admit(epoch, "o-1")


STATE, SCOPE = "killswitch:state", f"killswitch:state:{S1}"
GOOD: list[str | int] = ["orders", "w1", 2, "0", "o-1", "{}"]


@pytest.mark.parametrize(
    ("keys", "args"),
    [
        ([STATE], GOOD[:-1]),
        ([STATE], [*GOOD, "more"]),
        ([STATE], []),
        ([STATE], ["", *GOOD[1:]]),
        ([STATE], ["orders:position", *GOOD[1:]]),
        ([STATE], ["o" * 65, *GOOD[1:]]),
        ([STATE], ["orders", "", *GOOD[2:]]),
        ([STATE], ["orders", "w1", "two", *GOOD[3:]]),
        ([STATE], ["orders", "w1", -1, *GOOD[3:]]),
        ([STATE], ["orders", "w1", "1e400", *GOOD[3:]]),
        ([STATE], ["orders", "w1", 2, "yes", *GOOD[4:]]),
        ([STATE], ["orders", "w1", 2, "0", "", "{}"]),
        ([STATE], ["orders", "w1", 2, "0", "a\nb", "{}"]),
        ([STATE], ["orders", "w1", 2, "0", "o" * 257, "{}"]),
        ([STATE], ["orders", "w1", 2, "0", "o-1", "x" * 16385]),
        ([SCOPE], GOOD),
        ([SCOPE, STATE], GOOD),
        ([STATE, STATE], GOOD),
        ([STATE, "other:state:symbol:EURUSD"], GOOD),
        (["elsewhere"], GOOD),
    ],
)  # fmt: skip
def test_malformed_question_is_refused(library: Library, keys: list[str], args: list[str | int]) -> None:
    """Whatever can be misread admits nothing."""
    assert library.permit() == 2
    before = library.names()
    with pytest.raises(StoreRefused):
        library.raw("FCALL", "ks_admit", len(keys), *keys, *args)
    assert library.names() == before
    assert library.raw("FCALL", "ks_admit", 1, STATE, *GOOD)
