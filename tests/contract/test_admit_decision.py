"""ks_admit decides as a worker does: one rule in two languages, held together on invented histories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st

from killswitch.core.answer import decide
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.errors import ApprovalPending, Blocked, EpochConflict, PermissionEnded, StoreRefused
from killswitch.store.functions import LIBRARY_VERSION
from tests.support.library import Library

SCOPES = ("symbol:EURUSD", "strategy:meanrev", "host:a")
TEXTS = ("SAFE", "REDUCING", "ENGAGED", "ENGAGED why", "ENGAGEDwhy", "safe", "SAFE ", " SAFE", "", "x" * 300)
TOKENS = ("=SAFE", "absent", "", "=ENGAGED why", "!=SAFE")
EPOCHS = ("0", "7", "x", "1e400", "9" * 16)
ACTIONS = ("engage", "reset", "reduce", "raw reset", "delete", "list", "beat", "deadman", "nobody renews",
           "two persons")  # fmt: skip

Step = tuple[str, str | None, int]
Verdict = tuple[Code, Mode, int] | None

places = st.sampled_from((None, *SCOPES))
steps = st.one_of(
    st.tuples(st.sampled_from(ACTIONS), places, st.just(0)),
    st.tuples(st.just("text"), places, st.integers(0, len(TEXTS) - 1)),
    st.tuples(st.just("for a while"), places, st.sampled_from((1, 60_000))),
    st.tuples(st.sampled_from(("ledger", "token", "epoch", "run id")), places, st.integers(0, 9)),
)


def perform(library: Library, step: Step) -> None:
    """One thing that somebody does to the switch; what is refused is refused."""
    what, scope, number = step
    name, key = scope or "switch", library.keys.state if scope is None else f"{library.keys.state}:{scope}"
    ledger = library.keys.ledger
    known = library.ledger().get(f"{name}:epoch", "0")
    current = int(known) if known.isdigit() else 0
    actions: dict[str, Callable[[], object]] = {
        "engage": lambda: library.engage("why", scope=scope),
        "reset": lambda: library.reset(current, scope=scope),
        "reduce": lambda: library.reduce(current, scope=scope),
        "raw reset": lambda: library.set_raw("SAFE", scope),
        "delete": lambda: library.raw("DEL", key),
        "list": lambda: (library.raw("DEL", key), library.raw("RPUSH", key, "SAFE")),
        "beat": lambda: library.beat(scopes=SCOPES),
        "deadman": lambda: library.deadman(current, f"d-{current}"),
        "nobody renews": lambda: library.age_deadman(80_000) if " " in library.ledger().get("deadman", "") else None,
        "two persons": lambda: library.raw("HSET", ledger, "persons", "2"),
        "text": lambda: library.set_raw(TEXTS[number], scope),
        "for a while": lambda: library.raw("PEXPIRE", key, number),
        "ledger": lambda: library.raw("DEL", ledger) if number else library.raw("RENAME", ledger, "away"),
        "token": lambda: library.raw("HSET", ledger, f"{name}:token", TOKENS[number % 5]),
        "epoch": lambda: library.raw("HSET", ledger, f"{name}:epoch", EPOCHS[number % 5]),
        "run id": lambda: library.raw("HSET", ledger, "run_id", "" if number % 2 else "0" * 40),
    }
    if what != "ledger" or library.raw("EXISTS", ledger):
        try:
            actions[what]()
        except (ApprovalPending, EpochConflict, PermissionEnded, StoreRefused):
            pass


def gate_two(library: Library, scopes: Sequence[str], epoch: int, reduces: bool) -> Verdict:
    """What a worker that saw `epoch` last would do with an order now: its decision, then its second gate."""
    found = decide(library.read(*scopes), LIBRARY_VERSION, tuple(scopes), epoch, 0)
    if found.mode is Mode.ENGAGED:
        return found.code, Mode.ENGAGED, found.epoch
    if found.mode is Mode.REDUCING and not reduces:
        return Code.REDUCING, found.mode, found.epoch
    return (Code.STALE_SIGNAL, found.mode, found.epoch) if found.epoch != epoch else None


def admission(library: Library, scopes: Sequence[str], epoch: int, reduces: bool) -> Verdict:
    """What ks_admit did with it; that the journal grew exactly when it was admitted is asserted."""
    before = len(library.journal())
    try:
        library.admit(epoch, f"o-{before}-{epoch}-{reduces}", scopes=scopes, reduces=reduces)
    except Blocked as blocked:
        assert len(library.journal()) == before
        return blocked.code, blocked.mode, blocked.epoch
    assert len(library.journal()) == before + 1
    return None


@settings(max_examples=150)
@given(
    history=st.lists(steps, max_size=6),
    scopes=st.lists(st.sampled_from(SCOPES), unique=True, max_size=3),
    behind=st.sampled_from((0, 0, 0, 1, -1)),
)
@example(history=[], scopes=[], behind=0)
@example(history=[("reduce", None, 0)], scopes=[], behind=0)
@example(history=[("reduce", SCOPES[0], 0)], scopes=[SCOPES[0]], behind=-1)
@example(history=[("text", SCOPES[1], 0)], scopes=list(SCOPES), behind=0)
@example(history=[("text", SCOPES[1], 0), ("run id", None, 0)], scopes=list(SCOPES), behind=0)
@example(history=[("engage", None, 0), ("reset", None, 0)], scopes=[], behind=1)
@example(history=[("deadman", None, 0), ("nobody renews", None, 0)], scopes=[], behind=0)
def test_admission_decides_as_the_gate_does(
    library: Library, history: list[Step], scopes: list[str], behind: int
) -> None:
    """For any history, scopes and epoch: an order enters if the worker's own gate would pass it, else with its code."""
    library.raw("FLUSHDB")
    library.permit()
    for step in history:
        perform(library, step)
    epochs = {row.epoch for row in library.read(*scopes).rows}
    epoch = max(0, min(max(epochs) - behind, 2**53 - 1))
    for reduces in (False, True):
        expected = gate_two(library, scopes, epoch, reduces)
        found = admission(library, scopes, epoch, reduces)
        if expected != found:  # a millisecond's permission may have ended between the two questions
            expected = gate_two(library, scopes, epoch, reduces)
        assert found == expected


def test_epoch_that_nobody_gave_permits_nothing(library: Library) -> None:
    """A ledger that confirms SAFE at epoch 0 was not written by a reset: no worker opens, and no order enters."""
    library.permit()
    library.raw("HSET", library.keys.ledger, "switch:epoch", 0)
    assert gate_two(library, (), 0, False) == admission(library, (), 0, False) == (Code.EPOCH_BEHIND, Mode.ENGAGED, 0)
