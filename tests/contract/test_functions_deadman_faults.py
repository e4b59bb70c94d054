"""The function library: a dead man's switch with a damaged record, a moved clock, missing rights. On every backend."""

from __future__ import annotations

import pytest

from killswitch.clock import NS_PER_MS, now_ns
from killswitch.core.comparing import LastChanges, compare
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import Blocked, PermissionEnded, StoreRefused
from killswitch.store.audit import read_audit
from killswitch.store.fleet import FleetStore
from tests.support.library import Library

LIFE_MS = 80_000
_STEP_MS, _SLACK_MS = 700, 1000
OVER = "ENGAGED nobody renewed the permission: its dead man's switch ran out"


def armed(library: Library) -> int:
    """Permits, puts the permission under a dead man's switch, and returns its epoch."""
    return library.deadman(library.permit()).epoch


def disagreements(library: Library) -> list[str]:
    """What the four places tell differently of the switch."""
    last = {entry.scope: entry for entry in read_audit(library.caller, library.keys, 100)}
    changes = LastChanges(last, max(entry.epoch for entry in last.values()), whole=True)
    found = compare(FleetStore(library.caller, library.keys).status(), changes, "1")
    return [f"{one.difference}: {one.text}" for one in found if one.subject == "switch"]


def test_record_and_state_of_a_renewed_permission_agree(library: Library) -> None:
    """`audit diff` finds nothing wrong with a permission that somebody renews."""
    armed(library)
    assert disagreements(library) == []


@pytest.mark.parametrize("back_ms", [3_000, 60_000])
@pytest.mark.parametrize("seen_by", ["taking", "renewal", "beat", "beat of another"])
def test_clock_that_was_set_back_ends_the_permission(library: Library, back_ms: int, seen_by: str) -> None:
    """By more than a second below what was seen of it: else nobody would know when the permission was to end."""
    began = now_ns()
    epoch = armed(library)
    if seen_by != "taking":
        library.age_deadman(30_000)
    if seen_by == "renewal":
        library.renew(epoch, ends_ms=1)
    elif seen_by.startswith("beat"):
        library.beat("w2" if seen_by.endswith("another") else "w1", seen=epoch)
    library.age_deadman(-back_ms - (now_ns() - began) // NS_PER_MS)  # below what was seen, however long this took
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    held = FleetStore(library.caller, library.keys).status().deadman
    assert held is not None
    assert held.left_ms == 0
    with pytest.raises(PermissionEnded, match="ran out"):
        library.renew(epoch)
    library.beat(seen=epoch)
    assert library.get() == OVER


def test_small_steps_back_are_added_up(library: Library) -> None:
    """Each below the slack, together above it: what was seen is the latest time, not the last."""
    began = now_ns()
    epoch = armed(library)
    library.age_deadman(10 * _STEP_MS)  # so that the end gives nothing away: it stays nearer than a whole life
    steps = 0
    while library.verdict().mode is Mode.SAFE:
        assert steps * _STEP_MS - (now_ns() - began) / NS_PER_MS <= _SLACK_MS, "it was to end"
        library.beat(seen=epoch)
        library.age_deadman(-_STEP_MS)
        steps += 1
    assert steps > 1
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    library.beat(seen=epoch)
    assert library.get() == OVER


DAMAGES = {
    "missing": None, "empty": "", "nonsense": "soon", "another epoch": "0 0 0 0 x 0", "older form": "2 9 9 9 desk",
    "end that nobody writes": "{epoch} 4503599627370496 80000 20000 desk 1",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_record_ends_the_permission_and_not_the_next_one(library: Library, damage: str) -> None:
    """Whatever the field holds, a permission that had to be renewed never reads as one without a limit; and it does not
    keep the fleet closed for ever."""
    epoch = armed(library)
    text = DAMAGES[damage]
    if text is None:
        library.raw("HDEL", library.keys.ledger, "deadman")
    else:
        library.raw("HSET", library.keys.ledger, "deadman", text.format(epoch=epoch))
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    with pytest.raises(Blocked) as caught:
        library.admit(epoch)
    assert caught.value.code is Code.PERMISSION_EXPIRED
    library.beat(seen=epoch)
    assert library.get() == OVER
    library.reset(epoch + 1)
    assert library.verdict(seen=epoch + 1).mode is Mode.SAFE


@pytest.mark.parametrize("mode", ["SAFE", "REDUCING"])
def test_worker_that_may_not_write_the_state_keeps_it_from_reviving(real_library: Library, mode: str) -> None:
    """Where the stop cannot be put into words, the record alone ends the permission for good, once, and without a try
    that fails on every beat."""
    library = real_library
    epoch = armed(library)
    if mode == "REDUCING":
        epoch = library.reduce().epoch
    library.age_deadman(LIFE_MS)
    library.raw("ACL", "SETUSER", "default", "-set")
    for _ in range(3):
        library.beat(seen=epoch)
    assert library.get() == mode
    assert library.deadman_record()[:2] == [epoch + 1, 0]
    assert library.verdict().code is Code.PERMISSION_EXPIRED
    assert library.verdict().epoch == epoch + 1
    assert [entry["epoch"] for entry in library.audit() if entry["via"] == "expiry"] == [str(epoch + 1)]
    assert library.audit()[-1].items() >= {"from": mode, "to": OVER, "actor": "killswitch"}.items()
    assert library.raw("ACL", "LOG") == [], "it did not even try"
    assert disagreements(library) == []
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
    assert library.ledger()["deadman"] == "-"


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
