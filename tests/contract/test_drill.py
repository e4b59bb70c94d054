"""A drill in Redis: announced, acknowledged by rows, kept; nothing else is touched. On every backend."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from killswitch.core.drill import parse_acknowledgement
from killswitch.core.drill_record import DrillRecord, parse_record, record_fields
from killswitch.errors import DrillBusy, StoreRefused
from killswitch.store.drill import DrillStore
from tests.support.library import Library

TOKEN, OTHER = "00ff00ff00ff00ff", "12341234"
SCRATCH = "state:drill:fleet"
STOP_FIELDS: dict[str, Any] = {"mode": "ENGAGED", "code": "state_changed", "closed_ms": "7"}
OPEN_FIELDS: dict[str, Any] = {"mode": "SAFE", "code": "open", "closed_ms": "0"}


def drills(library: Library) -> DrillStore:
    """The drills of that switch."""
    return DrillStore(library.caller, library.keys)


def member(library: Library, worker: str = "w1", instance: str = "life") -> int:
    """A worker that trades under the permission in force; its epoch."""
    epoch = library.permit()
    library.beat(worker, seen=epoch, closed=False, instance=instance, line="", **OPEN_FIELDS)
    return epoch


def answered(library: Library, worker: str = "w1") -> str:
    """What the row says of a drill."""
    return library.worker(worker).get("drill", "")


def everything(library: Library) -> tuple[object, ...]:
    """All that a drill must not touch."""
    return library.get(), library.ledger(), library.audit(), library.members()


def test_a_drill_leaves_nothing_behind_but_its_entry(library: Library) -> None:
    """The scratch scope is gone in the step that wrote it, the run with the end; the rest is as before."""
    member(library)
    before, names = everything(library), library.names()
    drills(library).begin(TOKEN, 5000, "alice")
    assert library.names() - names == {"killswitch:drill"}
    running = drills(library).running()
    assert running is not None
    assert running.actor == "alice"
    assert 0 < library.raw("PTTL", library.keys.drill) <= 5000
    entry, at_ms = drills(library).end(TOKEN, {"verdict": "PASSED", "workers": "1"})
    assert library.names() - names == {"killswitch:drills"}
    assert everything(library) == before
    kept = drills(library).history(10)
    assert [(one.entry_id, one.at_ms, one.verdict, one.workers) for one in kept] == [(entry, at_ms, "PASSED", 1)]


def test_the_beat_after_the_announcement_acknowledges(library: Library) -> None:
    """Token, time by the server's own clock, orders in flight and the worker's own times, in the worker's row."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    answer = library.beat(seen=epoch, held=2, line="11 22 33", **STOP_FIELDS)
    found = parse_acknowledgement(answered(library), TOKEN)
    assert found is not None
    assert (found.in_flight, found.shut_us, found.asked_us, found.answer_us) == (2, 11, 22, 33)
    assert 0 <= found.recorded_us < 10_000_000
    assert (answer.rows[0].text, answer.rows[0].epoch, answer.counter) == ("SAFE", epoch, epoch)


@pytest.mark.parametrize(("mode", "code"), [("SAFE", "open"), ("REDUCING", "reducing")])
def test_an_acknowledgement_is_no_word_of_a_stop(library: Library, mode: str, code: str) -> None:
    """The row says that the worker trades, because it does: the gate was closed for that question only."""
    epoch = member(library)
    if mode == "REDUCING":
        epoch = library.reduce().epoch
    library.beat(seen=epoch, closed=False, mode=mode, code=code, closed_ms="0")
    before = library.worker()
    drills(library).begin(TOKEN, 5000, "alice")
    library.beat(seen=epoch, held=1, line="11 22 33", **STOP_FIELDS)
    after = library.worker()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= {"drill", "line", "nonce", "beat_at_ms", "in_flight"}
    assert (after["mode"], after["code"], after["closed"], after["quiet_epoch"]) == (mode, code, "0", "0")
    library.beat(seen=epoch, line="11 22 33", **STOP_FIELDS)  # a change elsewhere is told as ever
    assert library.worker()["code"] == "state_changed"


def test_an_acknowledgement_does_not_open_what_is_not_confirmed(library: Library) -> None:
    """In another incarnation nobody trades: the row says what the worker said."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    library.raw("HSET", library.keys.ledger, "run_id", "another")
    stopped = library.beat(seen=epoch, line="1 2 3", **STOP_FIELDS)
    assert stopped.rows[0].text.startswith("ENGAGED")
    assert library.worker().items() >= {**STOP_FIELDS, "closed": "1"}.items()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"line": ""}, "the first beat of a connection follows no announcement"),
        ({}, "nor does a periodic one"),
        ({"line": "1 2 3", "closed": False}, "the gate was open when it was sent"),
        ({"line": "1 2 3", "nonce": 1}, "it was held up on a dead connection"),
        ({"line": "1 2 3", "behind": 1}, "there is news for this worker on record"),
    ],
)
def test_what_is_no_acknowledgement(library: Library, words: dict[str, object], why: str) -> None:
    """Only a closed worker to which the announcement told nothing new has acknowledged a drill."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    said = {name: value for name, value in words.items() if name != "behind"}
    library.beat(seen=epoch - int(str(words.get("behind", 0))), **said)  # type: ignore[arg-type]
    assert answered(library) == "", why


def test_a_real_stop_during_a_drill_is_a_stop(library: Library) -> None:
    """P6: the worker that reads the stop acknowledges that, in full, and not the drill; its row says so."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    stop = library.engage().epoch
    library.beat(seen=epoch, line="1 2 3", **STOP_FIELDS)
    row = library.worker()
    assert (row["quiet_epoch"], row["closed"], row["code"]) == (str(stop), "1", "state_changed")
    assert answered(library) == ""
    assert drills(library).mark() == ("ENGAGED stop", str(stop))


@pytest.mark.parametrize("scope", [None, "symbol:EURUSD"])
def test_a_stop_by_hand_during_a_drill_is_a_stop(library: Library, scope: str | None) -> None:
    """Also a raw SET that nobody has recorded yet, and one of a scope."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    library.set_raw("ENGAGED by hand", scope)
    library.beat(seen=epoch, scopes=["symbol:EURUSD"], line="1 2 3", **STOP_FIELDS)
    assert library.worker()["quiet_epoch"] == str(epoch + 1)
    assert answered(library) == ""


def test_a_drill_proves_no_stop(library: Library) -> None:
    """A worker that acknowledged a drill before a stop is not quiet at it, and one stopped stays as quiet as it was."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    library.beat(seen=epoch, line="1 2 3", **STOP_FIELDS)
    stop = library.engage().epoch
    assert library.worker()["quiet_epoch"] == "0"
    library.beat(seen=epoch, line="1 2 3", **STOP_FIELDS)
    drills(library).end(TOKEN, {})
    drills(library).begin(OTHER, 5000, "alice")
    library.beat(seen=stop, line="1 2 3", **STOP_FIELDS)
    row = library.worker()
    assert parse_acknowledgement(answered(library), OTHER) is not None
    assert (row["quiet_epoch"], row["closed"], library.get()) == (str(stop), "1", "ENGAGED stop")


def test_one_drill_is_acknowledged_once(library: Library) -> None:
    """The first answer stands; a later announcement during the same drill does not change its times."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    library.beat(seen=epoch, line="1 2 3")
    first = answered(library)
    library.beat(seen=epoch, line="7 8 9")
    assert answered(library) == first
    drills(library).end(TOKEN, {})
    drills(library).begin(OTHER, 5000, "bob")
    library.beat(seen=epoch, line="7 8 9")
    assert parse_acknowledgement(answered(library), OTHER) is not None


def test_a_second_drill_is_told_of_the_first_and_announces_nothing(library: Library) -> None:
    """One at a time, by whoever; when the first is over, also by itself, the second may begin."""
    member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    with pytest.raises(DrillBusy, match="alice"):
        drills(library).begin(OTHER, 5000, "bob")
    with pytest.raises(DrillBusy):
        drills(library).begin(TOKEN, 5000, "alice")
    drills(library).end(OTHER, {})  # somebody else's end does not end it
    assert drills(library).running() is not None
    library.raw("PEXPIRE", library.keys.drill, 0)
    drills(library).begin(OTHER, 5000, "bob")


def test_after_a_drill_nothing_is_acknowledged(library: Library) -> None:
    """A change elsewhere that comes later is no drill."""
    epoch = member(library)
    drills(library).begin(TOKEN, 5000, "alice")
    drills(library).end(TOKEN, {})
    library.beat(seen=epoch, line="1 2 3")
    assert answered(library) == ""


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("state", ("begin", TOKEN, 1000)),
        ("state:symbol:EURUSD", ("begin", TOKEN, 1000)),
        (SCRATCH, ()),
        (SCRATCH, ("begin",)),
        (SCRATCH, ("begin", "short", 1000)),
        (SCRATCH, ("begin", "x" * 16, 1000)),
        (SCRATCH, ("begin", TOKEN)),
        (SCRATCH, ("begin", TOKEN, "soon")),
        (SCRATCH, ("begin", TOKEN, 0)),
        (SCRATCH, ("begin", TOKEN, 1.5)),
        (SCRATCH, ("begin", TOKEN, 600_001)),
        (SCRATCH, ("end", TOKEN, "verdict")),
        (SCRATCH, ("end", TOKEN, *["x"] * 200)),
        (SCRATCH, ("stop", TOKEN, 1000)),
    ],
)
def test_what_is_no_drill_is_refused(library: Library, key: str, words: tuple[object, ...]) -> None:
    """Above all one under the key of the switch or of a real scope: those keys are never written."""
    member(library)
    before, names = everything(library), library.names()
    with pytest.raises(StoreRefused):
        library.raw("FCALL", "ks_drill", 1, f"killswitch:{key}", *map(str, words))
    assert (everything(library), library.names()) == (before, names)


def test_the_history_is_read_whatever_lies_in_it(library: Library) -> None:
    """What somebody added by hand reads as not told; something else under the key is moved aside, not lost."""
    library.raw("XADD", library.keys.drills, "*", "verdict", "\x1b[31m", "workers", "many", "heard", "5 4 3 2 1")
    [odd] = drills(library).history(5)
    assert (odd.workers, odd.heard, odd.at_ms) == (-1, None, -1)
    library.raw("DEL", library.keys.drills)
    library.raw("RPUSH", library.keys.drills, "x")
    drills(library).end(TOKEN, {"verdict": "PASSED\nFORGED"})
    assert [one.verdict for one in drills(library).history(5)] == ["PASSED FORGED"]
    assert len([name for name in library.names() if ":drills:damaged:" in name]) == 1


def test_a_record_is_read_back_as_it_was_written(library: Library) -> None:
    """Through Redis: every field, with its figures."""
    fields = {
        "verdict": "MISSED",
        "workers": "12",
        "heard": "3 1 2 3 4",
        "missing": "a, b",
        "note": "n",
        "mode": "SAFE",
    }
    written = parse_record("", fields)
    drills(library).end(TOKEN, record_fields(written))
    [read] = drills(library).history(1)
    told = {name: getattr(read, name) for name in DrillRecord.__slots__ if name not in ("entry_id", "at_ms")}
    assert told == {name: getattr(written, name) for name in told}
    assert read.at_ms > 0


def commands_of(library: Library, act: Callable[[], object]) -> dict[str, int]:
    """How often each command ran in `act`, inside functions too."""
    library.raw("CONFIG", "RESETSTAT")
    act()
    found = library.raw("INFO", "commandstats")
    text = found.decode() if isinstance(found, bytes) else str(found)
    calls = re.findall(r"cmdstat_(\w+):calls=(\d+)", text)
    return {name: int(count) for name, count in calls if name not in ("config", "info", "fcall")}


def test_renewals_periodic_beats_and_beats_with_news_pay_nothing_for_drills(real_library: Library) -> None:
    """What a thousand workers ask all the time, and what tells of a stop, runs the same commands as without drills."""
    epoch = member(real_library)
    drills(real_library).begin(TOKEN, 60_000, "alice")
    plain = commands_of(real_library, lambda: real_library.beat(seen=epoch, closed=False))
    assert plain["getrange"] == 1  # the state
    told = commands_of(real_library, lambda: real_library.beat(seen=epoch, line="1 2 3"))
    assert (told["getrange"], told["publish"]) == (2, 1)  # and the drill
    assert "getrange" not in commands_of(real_library, lambda: real_library.raw("PING"))
    assert commands_of(real_library, real_library.read)["getrange"] == 1
    real_library.engage()
    stopped = commands_of(real_library, lambda: real_library.beat(seen=epoch, line="1 2 3"))
    assert (stopped["getrange"], stopped["publish"]) == (1, 1)
