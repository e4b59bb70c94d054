"""What a launch checks besides preflight: may it permit, are there workers, can ticks be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from killswitch import Code, FleetStatus, Grade, InvalidInput, Mode
from ops.launching.findings import (
    Permission,
    Stance,
    feeds,
    permission,
    permission_from,
    stance,
    worker_count,
)
from ops.launching.fleet_file import Engine, Fleet
from tests.unit.ops.pictures import state, status

ALICE = Permission("alice", "go live")


def looked(text: str, epoch: int, *, confirmed: bool = True, **changes: Any) -> FleetStatus:
    """A switch that holds `text`."""
    mode = Mode(text) if text in ("SAFE", "REDUCING") else Mode.ENGAGED
    made = state(text=text, mode=mode, code=Code.OPEN, epoch=epoch, **changes)
    return replace(status(), switch=made, confirmed=confirmed)


CASES = [
    # nobody permits: an engaged switch stays, any other would let engines trade unasked
    (looked("ENGAGED initialised", 1), None, Stance.STAYS),
    (looked("(absent)", 0), None, Stance.STAYS),
    (looked("ENGAGED fat finger", 7), None, Stance.STAYS),
    (looked("SAFE", 2), None, Stance.TRADES),
    (looked("SAFE", 2, confirmed=False), None, Stance.TRADES),
    (looked("REDUCING", 2), None, Stance.TRADES),
    # --permit alone opens only what nobody decided
    (looked("ENGAGED initialised", 1), ALICE, Stance.OPEN),
    (looked("(absent)", 0), ALICE, Stance.OPEN),
    (looked("(absent)", 5), ALICE, Stance.ASK),
    (looked("ENGAGED fat finger", 7), ALICE, Stance.ASK),
    (looked("safe", 7), ALICE, Stance.ASK),
    (looked("REDUCING", 7), ALICE, Stance.ASK),
    (looked("SAFE", 2), ALICE, Stance.DONE),
    (looked("SAFE", 2, confirmed=False), ALICE, Stance.ASK),
    (looked("SAFE", 2, recorded=False), ALICE, Stance.ASK),
    # with the epoch that was looked at it opens that one and no newer
    (looked("ENGAGED fat finger", 7), replace(ALICE, epoch=7), Stance.OPEN),
    (looked("ENGAGED fat finger", 8), replace(ALICE, epoch=7), Stance.MOVED),
    (looked("ENGAGED initialised", 8), replace(ALICE, epoch=7), Stance.MOVED),
    (looked("SAFE", 2, confirmed=False), replace(ALICE, epoch=2), Stance.OPEN),
    (looked("(absent)", 5), replace(ALICE, epoch=5), Stance.OPEN),
]


@pytest.mark.parametrize(("seen", "wanted", "expected"), CASES, ids=lambda value: str(value)[:30])
def test_a_launch_permits_only_what_nobody_decided_or_what_was_named(
    seen: FleetStatus, wanted: Permission | None, expected: Stance
) -> None:
    """An engagement that somebody made is undone by its epoch alone, and nothing trades unasked."""
    assert stance(seen, wanted) is expected
    found = permission(seen, wanted)
    fine = expected in (Stance.STAYS, Stance.DONE, Stance.OPEN)
    assert found.verdict is (Grade.OK if fine else Grade.FAIL)
    assert bool(found.remedy) is not fine


def test_whose_engagement_it_is_is_told_cleanly() -> None:
    """The actor and the reason come out of Redis, so they are shown and not obeyed."""
    found = permission(looked("ENGAGED bad", 7, actor="bo\x1b[2Jb", why="pri\nces"), ALICE)
    assert "by bo\\x1b[2Jb: pri\\nces" in found.found
    assert found.remedy.endswith("--epoch 7")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ((True, "alice", None, None), "--permit needs --actor and --reason"),
        ((True, None, "why", None), "--permit needs --actor and --reason"),
        ((True, "alice", "two\nlines", None), "one plain line"),
        ((True, "a" * 201, "why", None), "one plain line"),
        ((False, "alice", "why", None), "are for --permit"),
        ((False, None, None, 3), "are for --permit"),
    ],
)
def test_half_a_permission_is_none(given: tuple[Any, ...], part: str) -> None:
    """Who and why belong to it, and without --permit neither is silently dropped."""
    with pytest.raises(InvalidInput, match=part):
        permission_from(*given)


def test_whole_permission_is_taken_and_none_is_none() -> None:
    """An actor alone names who initialises."""
    assert permission_from(True, "alice", "why ", 3) == Permission("alice", "why", 3)
    assert permission_from(False, "alice", None, None) is None


def fleet(**engine: Any) -> Fleet:
    """A fleet of one engine."""
    return Fleet(engine=(Engine.model_validate({"name": "e1", "symbol": "EURUSD", **engine}),))


def test_too_few_workers_fail_and_say_how_many_are_missing() -> None:
    """An engine without a process would wait for ever."""
    assert worker_count(fleet(), 1).verdict is Grade.OK
    found = worker_count(fleet(), 0)
    assert (found.verdict, "start 1 more" in found.remedy) == (Grade.FAIL, True)


def test_feeds_that_cannot_be_read_fail_and_those_elsewhere_warn(tmp_path: Path) -> None:
    """A file on another host is not called well, because it was not looked at."""
    assert feeds(fleet().engine).verdict is Grade.SKIP
    (tmp_path / "x.zip").write_text("no ticks")
    bad = feeds(fleet(feed={"kind": "replay", "files": [str(tmp_path / "x.zip")]}).engine)
    assert bad.verdict is Grade.FAIL
    far = feeds(fleet(feed={"kind": "replay", "files": ["/nowhere/x.zip"]}).engine)
    assert (far.verdict, far.found.startswith("could not look")) == (Grade.WARN, True)
