"""The function library: a permission under a dead man's switch ends unless it is renewed, on every backend."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import EpochConflict, PermissionEnded, StoreRefused
from killswitch.store.switch import as_text
from tests.support.library import Library

LIFE_MS = 80_000
OVER = "ENGAGED nobody renewed the permission: its dead man's switch ran out"


def armed(library: Library) -> int:
    """Permits, puts the permission under a dead man's switch, and returns its epoch."""
    return library.deadman(library.permit()).epoch


def left(library: Library) -> int:
    """What a worker is told of the permission: how long it may be believed, 0 where it may not."""
    verdict = library.verdict()
    return (verdict.ttl_ms or 0) if verdict.mode is Mode.SAFE else 0


def test_permission_under_it_is_bounded_and_on_record(library: Library) -> None:
    """A new epoch and an entry, the state untouched, and every worker is told until when to believe it."""
    permitted = library.permit()
    pttl = library.raw("PTTL", library.keys.state)
    change = library.deadman(permitted)
    assert change.epoch == permitted + 1
    assert (library.get(), library.raw("PTTL", library.keys.state)) == ("SAFE", pttl)
    assert library.audit()[-1].items() >= {
        "epoch": str(change.epoch), "from": "SAFE", "to": "SAFE (while renewed, 80 s at a time)", "actor": "alice",
        "reason": "at the desk", "via": "test", "op": "desk",
    }.items()  # fmt: skip
    assert LIFE_MS - 10_000 < left(library) <= LIFE_MS
    assert 0 < library.beat(seen=change.epoch).rows[0].pttl_ms <= LIFE_MS
    assert library.read().rows[0].recorded


def test_renewal_prolongs_and_writes_nothing_else(library: Library) -> None:
    """No epoch, no entry, and nothing under the prefix whose changes close gates."""
    epoch = armed(library)
    library.age_deadman(50_000)
    assert left(library) <= 30_000
    before, dump = library.audit(), library.raw("DUMP", library.keys.state)
    ledger = library.ledger()
    library.renew(epoch)
    assert left(library) > LIFE_MS - 10_000
    assert library.audit() == before
    assert library.raw("DUMP", library.keys.state) == dump
    changed = {name for name, value in library.ledger().items() if ledger[name] != value}
    assert changed == {"deadman"}


def test_renewal_gives_no_more_than_was_asked_for_and_never_more_than_a_life(library: Library) -> None:
    """One that was held up on the way prolongs by what is left of it; a wish beyond one life is cut to that."""
    epoch = armed(library)
    library.age_deadman(60_000)
    ends = library.deadman_record()[1]
    assert library.renew(epoch, ends_ms=ends + 5_000) == ends + 5_000
    assert library.renew(epoch, ends_ms=ends + 2_000) == ends + 5_000, "a late one takes nothing back"
    most = library.renew(epoch, ends_ms=ends + 10 * LIFE_MS)
    assert ends + 60_000 <= most <= ends + 70_000
    assert left(library) <= LIFE_MS


def test_permission_that_nobody_renewed_closes_and_is_engaged_in_writing(library: Library) -> None:
    """The reading closes at once; the first beat writes it into the state and the record, as an expiry."""
    epoch = armed(library)
    library.age_deadman(LIFE_MS)
    assert library.verdict(seen=epoch).code is Code.PERMISSION_EXPIRED
    answer = library.beat(seen=epoch)
    assert (library.get(), answer.rows[0].epoch) == (OVER, epoch + 1)
    assert library.audit()[-1].items() >= {
        "epoch": str(epoch + 1), "from": "SAFE", "to": OVER, "actor": "killswitch", "via": "expiry",
    }.items()  # fmt: skip
    library.beat(seen=epoch + 1)
    assert len(library.audit()) == epoch + 1, "it is recorded once"
    assert library.worker()["quiet_epoch"] == str(epoch + 1)


@pytest.mark.parametrize("beaten", [False, True])
def test_renewal_that_comes_too_late_does_not_revive(library: Library, beaten: bool) -> None:
    """What ran out stays ended, before and after somebody wrote that down."""
    epoch = armed(library)
    library.age_deadman(LIFE_MS)
    if beaten:
        library.beat(seen=epoch)
    with pytest.raises(PermissionEnded, match="changed" if beaten else "ran out before"):
        library.renew(epoch)
    assert left(library) == 0
    library.beat(seen=epoch)
    assert library.get() == OVER


CHANGES: dict[str, Callable[[Library, int], object]] = {
    "engage": lambda library, _: library.engage(),
    "reduce": lambda library, _: library.reduce(),
    "reset": lambda library, epoch: library.reset(epoch),
    "reset for a while": lambda library, epoch: library.reset(epoch, ttl_ms=50_000),
    "raw SET ENGAGED": lambda library, _: library.set_raw("ENGAGED by hand"),
    "raw SET SAFE EX": lambda library, _: library.set_raw("SAFE", None, "EX", 500),
    "DEL": lambda library, _: library.raw("DEL", library.keys.state),
    "EXPIRE": lambda library, _: library.raw("EXPIRE", library.keys.state, 500),
    "another type": lambda library, _: (
        library.raw("DEL", library.keys.state), library.raw("RPUSH", library.keys.state, "SAFE")
    ),
    "taken over": lambda library, epoch: library.deadman(epoch, "other", take_over=True),
    "ledger lost": lambda library, _: library.raw("DEL", library.keys.ledger),
    "another incarnation": lambda library, _: library.raw("HSET", library.keys.ledger, "run_id", "0" * 40),
    "record damaged": lambda library, _: library.raw("HSET", library.keys.ledger, "deadman", "nonsense"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("beaten", [False, True])
def test_renewal_after_any_change_changes_nothing(library: Library, change: str, beaten: bool) -> None:
    """It prolongs its own permission and no other: whoever changed the switch is never overruled, nor prolonged."""
    epoch = armed(library)
    CHANGES[change](library, epoch)
    if beaten:
        library.beat(seen=epoch)
    keys = (library.keys.state, library.keys.ledger, library.keys.audit)
    before = [as_text(library.raw("DUMP", key)) for key in keys]
    unsettled = change in ("ledger lost", "another incarnation") and not beaten
    kind, words = (StoreRefused, "INCARNATION") if unsettled else (PermissionEnded, "changed|renews it|ran out")
    with pytest.raises(kind, match=words):
        library.renew(epoch)
    after = [as_text(library.raw("DUMP", key)) for key in keys]
    assert after == before


@pytest.mark.parametrize(
    ("change", "bounded"), [("reset", False), ("reset for a while", True), ("raw SET SAFE EX", True)]
)
def test_permission_given_anew_is_not_bound_by_the_old_renewals(library: Library, change: str, bounded: bool) -> None:
    """A later permission, by hand too, has the limit that its giver chose, also when the old one would have ended."""
    epoch = armed(library)
    CHANGES[change](library, epoch)
    library.beat(seen=epoch)
    assert library.ledger()["deadman"] == "-"
    verdict = library.verdict()
    assert verdict.mode is Mode.SAFE
    assert (verdict.ttl_ms is not None) is bounded


@pytest.mark.parametrize("key_ms", [0, 30_000])
def test_reducing_keeps_the_end_and_nobody_prolongs_it(library: Library, key_ms: int) -> None:
    """Whoever reduces takes away new positions and adds no time: the fleet is closed when it would have been."""
    permitted = library.reset(library.engage().epoch, ttl_ms=key_ms) if key_ms else None
    epoch = library.deadman(permitted.epoch).epoch if permitted else armed(library)
    library.age_deadman(10_000)
    ends, pttl = library.deadman_record()[1], library.raw("PTTL", library.keys.state)
    reduced = library.reduce()
    assert re.fullmatch(r"REDUCING \(for \d+ s\)", reduced.state)
    assert library.deadman_record()[:2] == [reduced.epoch, ends]
    verdict = library.verdict()
    assert (verdict.mode, library.read().rows[0].recorded) == (Mode.REDUCING, True)
    assert verdict.ttl_ms is not None
    assert verdict.ttl_ms <= (key_ms or LIFE_MS - 10_000)
    assert library.raw("PTTL", library.keys.state) <= pttl
    with pytest.raises(PermissionEnded, match="changed"):
        library.renew(epoch)
    with pytest.raises(PermissionEnded, match="changed"):
        library.renew(reduced.epoch)
    again = library.reduce(reduced.epoch)
    assert library.deadman_record()[:2] == [again.epoch, ends]
    library.age_deadman(LIFE_MS)
    assert library.verdict(seen=again.epoch).code is Code.PERMISSION_EXPIRED
    library.beat(seen=again.epoch)
    assert library.get() == OVER
    assert library.verdict().mode is Mode.ENGAGED
    anew = library.reduce(library.ledger_epoch())
    assert (anew.state, library.verdict().ttl_ms) == ("REDUCING", None), "from a stop it is a permission anew"


def test_limit_of_the_key_stays_and_the_nearer_one_holds(library: Library) -> None:
    """Taking a time-boxed permission prolongs it by nothing."""
    permitted = library.reset(library.engage().epoch, ttl_ms=30_000)
    epoch = library.deadman(permitted.epoch).epoch
    assert left(library) <= 30_000
    library.renew(epoch)
    assert left(library) <= 30_000
    library.age_deadman(70_000)
    assert left(library) <= 10_000


@pytest.mark.parametrize("given", ["below", "above", "raw", "engaged", "reducing", "absent"])
def test_only_a_permission_that_was_looked_at_is_taken(library: Library, given: str) -> None:
    """It needs SAFE at the epoch named; anything else is refused with nothing done, and never opened."""
    epoch = library.permit()
    acts: dict[str, Callable[[], object]] = {
        "raw": lambda: library.set_raw("SAFE", None, "EX", 500),
        "engaged": library.engage,
        "reducing": library.reduce,
        "absent": lambda: library.raw("DEL", library.keys.state),
    }
    if given in acts:
        acts[given]()
    named = {"below": epoch - 1, "above": epoch + 1, "raw": epoch, "absent": epoch}.get(given, epoch + 1)
    state = library.raw("DUMP", library.keys.state)
    with pytest.raises((EpochConflict, PermissionEnded)):
        library.deadman(named)
    assert library.raw("DUMP", library.keys.state) == state
    assert library.ledger()["deadman"] == "-"


def test_second_holder_is_refused_or_takes_over_in_so_many_words(library: Library) -> None:
    """Two never renew one permission; after a take-over the first one's renewals are void."""
    epoch = armed(library)
    with pytest.raises(PermissionEnded, match=r"somebody renews it already, and it has \d+ s left"):
        library.deadman(epoch, "other")
    library.age_deadman(75_000)
    taken = library.deadman(epoch, "other", take_over=True)
    assert taken.epoch == epoch + 1
    with pytest.raises(PermissionEnded, match="the switch was changed"):
        library.renew(epoch)
    with pytest.raises(PermissionEnded, match="somebody else renews it"):
        library.renew(taken.epoch)
    assert library.renew(taken.epoch, "other") > 0
    assert left(library) > LIFE_MS - 10_000


def test_what_ran_out_is_neither_taken_nor_reset_at_its_own_epoch(library: Library) -> None:
    """Nobody has looked at the stop yet that this call writes down."""
    for act in (
        lambda epoch: library.deadman(epoch, "other", take_over=True),
        lambda epoch: library.reset(epoch),
        lambda epoch: library.reduce(epoch),
    ):
        epoch = armed(library)
        library.age_deadman(LIFE_MS)
        with pytest.raises(EpochConflict) as caught:
            act(epoch)
        assert caught.value.current == epoch + 1
        assert library.get() == OVER
        library.raw("FLUSHALL")


def test_lost_answer_may_be_asked_for_again(library: Library) -> None:
    """Neither taking nor renewing twice does anything twice."""
    first = library.deadman(library.permit())
    again = library.deadman(first.epoch - 1)
    assert (again.repeated, again.epoch, again.at_ms) == (True, first.epoch, first.at_ms)
    library.age_deadman(20_000)
    wanted = library.deadman_record()[1] + 7
    assert library.renew(first.epoch, ends_ms=wanted) == library.renew(first.epoch, ends_ms=wanted)
    assert len(library.audit()) == first.epoch
