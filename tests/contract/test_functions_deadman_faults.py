"""The function library: a dead man's switch with a damaged record, a moved clock, missing rights. On every backend."""

from __future__ import annotations

import pytest

from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import PermissionEnded, StoreRefused
from killswitch.store.fleet import FleetStore
from tests.support.library import Library

LIFE_MS = 80_000
OVER = "ENGAGED nobody renewed the permission: its dead man's switch ran out"


def armed(library: Library) -> int:
    """Permits, puts the permission under a dead man's switch, and returns its epoch."""
    return library.deadman(library.permit()).epoch


@pytest.mark.parametrize("left_ms", [1_500, 60_000])
def test_end_that_moved_away_has_come(library: Library, left_ms: int) -> None:
    """A clock of the server that was set back by more than a second would prolong what nobody renewed: it ends."""
    epoch = armed(library)
    library.age_deadman(-left_ms - 10_000)
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    with pytest.raises(PermissionEnded):
        library.renew(epoch)
    library.beat(seen=epoch)
    assert library.get() == OVER


def test_damaged_record_ends_the_permission_and_not_the_next_one(library: Library) -> None:
    """What cannot be read has run out; it does not keep the fleet closed for ever."""
    epoch = armed(library)
    library.raw("HSET", library.keys.ledger, "deadman", "soon")
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    library.beat(seen=epoch)
    assert library.get() == OVER
    library.reset(epoch + 1)
    assert library.verdict(seen=epoch + 1).mode is Mode.SAFE


def test_worker_that_may_not_write_the_state_keeps_it_from_reviving(real_library: Library) -> None:
    """Where the stop cannot be put into words, the record alone ends the permission for good."""
    library = real_library
    epoch = armed(library)
    library.age_deadman(LIFE_MS)
    library.raw("ACL", "SETUSER", "default", "-set")
    library.beat(seen=epoch)
    assert library.get() == "SAFE"
    assert library.deadman_record()[:2] == [epoch, 0]
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    library.raw("ACL", "SETUSER", "default", "+set")
    with pytest.raises(PermissionEnded):
        library.renew(epoch)
    library.beat(seen=epoch)
    assert library.get() == OVER


@pytest.mark.parametrize(
    "words",
    [
        ("x", 1, 1, "r", "a", "op"), (2, 0, 5, "r", "a", "op"), (2, 5, 4, "r", "a", "op"),
        (2, 1, 86_400_001, "r", "a", "op"), (2, 1, "1e3x", "r", "a", "op"), (2, 1, 5, "r", "a", ""),
        (2, 1, 5, "r", "a", "o p"), (2, 1, 5, "r", "a"), (2,), (),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_nothing_done(library: Library, words: tuple[str | int, ...]) -> None:
    """A time that is none, a name that is none."""
    library.permit()
    with pytest.raises(StoreRefused):
        library.raw("FCALL", "ks_deadman", 1, library.keys.state, *words)
    with pytest.raises(StoreRefused, match="for the switch only"):
        library.raw("FCALL", "ks_deadman", 1, f"{library.keys.state}:a:1", 2, 1, 5, "r", "a", "op")
    assert "deadman" not in library.ledger()


def test_status_tells_both_limits_and_who_renews(library: Library) -> None:
    """The key's own limit beside the renewals, with what is left of each."""
    store = FleetStore(library.caller, library.keys)
    permitted = library.reset(library.engage().epoch, ttl_ms=500_000)
    assert store.status().deadman is None
    library.deadman(permitted.epoch)
    library.age_deadman(25_000)
    found = store.status()
    assert found.switch.ttl_ms is not None
    assert 400_000 < found.switch.ttl_ms <= 500_000
    held = found.deadman
    assert held is not None
    assert (held.actor, held.every_ms, held.life_ms, held.operation) == ("alice", 20_000, LIFE_MS, "desk")
    assert 45_000 < held.left_ms <= 55_000
    assert held.ends_at_ms == library.deadman_record()[1] == held.renewed_at_ms + LIFE_MS
    assert not held.overdue
    library.age_deadman(10_000)
    overdue = store.status().deadman
    assert overdue is not None
    assert overdue.overdue
    library.engage()
    assert store.status().deadman is None


@pytest.mark.parametrize("policy", ["halt", "resume"])
def test_restart_is_settled_by_a_beat_before_anything_is_renewed(library: Library, policy: str) -> None:
    """Renewals go on where the permission is carried on, and are over where it is not."""
    library.raw("FCALL", "ks_policy", 1, library.keys.state, policy)
    epoch = armed(library)
    library.raw("HSET", library.keys.ledger, "run_id", "0" * 40)
    with pytest.raises(StoreRefused, match="INCARNATION"):
        library.renew(epoch)
    library.beat(seen=epoch)
    if policy == "resume":
        library.age_deadman(30_000)
        assert library.renew(epoch) == library.deadman_record()[1]
        assert library.verdict().mode is Mode.SAFE
    else:
        with pytest.raises(PermissionEnded, match="changed"):
            library.renew(epoch)
        assert library.verdict().mode is Mode.ENGAGED
