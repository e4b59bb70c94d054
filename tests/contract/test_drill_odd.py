"""A drill in Redis beside what no drill wrote, and with workers that know more than Redis. On every backend."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch.core.drill import parse_acknowledgement
from killswitch.core.modes import Mode
from killswitch.core.reasons import Code
from killswitch.store.drill import DrillStore
from tests.support.library import Library

TOKEN, OTHER = "00ff00ff00ff00ff", "12341234"


def drills(library: Library) -> DrillStore:
    """The drills of that switch."""
    return DrillStore(library.caller, library.keys)


def member(library: Library) -> int:
    """A worker that trades under the permission in force; its epoch."""
    epoch = library.permit()
    library.beat(seen=epoch, closed=False, line="", mode="SAFE", code="open", closed_ms="0")
    return epoch


def answered(library: Library) -> str:
    """What its row says of a drill."""
    return library.worker().get("drill", "")


@pytest.mark.parametrize("limit", [(), ("PX", 660_000), ("EX", 10**9)], ids=["none", "long", "years"])
def test_what_no_drill_can_be_keeps_nobody_from_drilling(library: Library, limit: tuple[str | int, ...]) -> None:
    """A key without an end, or with one that no drill has, is nobody's drill: not told, not answered, written over."""
    epoch = member(library)
    library.raw("SET", library.keys.drill, f"{TOKEN} 1 eve", *limit)
    assert drills(library).running() is None
    library.beat(seen=epoch, line="1 2 3")
    assert answered(library) == ""
    drills(library).begin(OTHER, 600_000, "alice")
    running = drills(library).running()
    assert running is not None
    assert running.actor == "alice"


@pytest.mark.parametrize("ahead", ["epoch seen", "stop seen"])
def test_a_worker_that_is_ahead_of_the_record_is_not_told_as_open(library: Library, ahead: str) -> None:
    """It acknowledges, and stays closed: after its answer as before, so its row goes on saying so."""
    epoch = member(library)
    shut: dict[str, Any] = {"mode": "ENGAGED", "code": "epoch_behind", "closed_ms": "7"}
    seen, stopped = (epoch + 5, 0) if ahead == "epoch seen" else (epoch, epoch)
    for line in ("", "1 2 3"):
        if line:
            drills(library).begin(TOKEN, 5000, "alice")
        library.beat(seen=seen, stop_epoch=str(stopped), line=line, **shut)
    assert parse_acknowledgement(answered(library), TOKEN) is not None
    assert library.verdict(seen=seen, stopped=stopped).code is Code.EPOCH_BEHIND
    row = library.worker()
    assert (row["closed"], row["mode"], row["code"], row["closed_ms"]) == ("1", "ENGAGED", "epoch_behind", "7")


LIES = ("", "x", "zz 1 me", f"{TOKEN} soon me", f"{TOKEN} 1", "f" * 100_000, "\x1b[2J 1 x", f"{TOKEN} {9**20} x")


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_nonsense_where_the_drill_stands_harms_no_beat(library: Library, lie: str) -> None:
    """Whoever may write there cannot keep a worker from beating, nor open or stop anything by it."""
    epoch = member(library)
    library.raw("SET", library.keys.drill, lie, "PX", 60_000)
    answer = library.beat(seen=epoch, line="1 2 3")
    assert (answer.rows[0].text, answer.confirmed) == ("SAFE", True)
    assert library.verdict(seen=epoch).mode is Mode.SAFE
    library.raw("DEL", library.keys.drill)
    library.raw("RPUSH", library.keys.drill, "x")
    assert library.beat(seen=epoch, line="1 2 3").rows[0].text == "SAFE"
    drills(library).begin(TOKEN, 5000, "alice")  # a key of another type is no drill under way
    assert drills(library).running() is not None
