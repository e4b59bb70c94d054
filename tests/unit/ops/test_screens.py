"""The status screen and the lines of watch: what is in force is told, never what was hoped for."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import Code, FleetStatus, Mode, SwitchState
from ops.changes import between, opening
from ops.commands.watch import screen
from ops.render import Paint
from ops.screens import counts, headline, state_words, status_lines, worker_lines
from tests.unit.ops.pictures import engaged, member, state, status

PLAIN = Paint(False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "SAFE: trading permitted"),
        ({"switch": state(text="REDUCING", mode=Mode.REDUCING)}, "REDUCING: only orders that reduce a position pass"),
        ({"switch": engaged()}, "ENGAGED: fat finger"),
        ({"switch": engaged(text="ENGAGED")}, "ENGAGED: no reason given"),
        ({"switch": engaged(text="x", reason="the switch holds 'x'")}, "ENGAGED: the switch holds 'x'"),
        ({"trouble": (Code.REDIS_OOM, "OOM")}, "SAFE is written, but no gate can be open"),
        ({"confirmed": False}, "SAFE is written, but void"),
        ({"switch": state(recorded=False)}, "SAFE was written by hand"),
    ],
)
def test_headline_tells_what_is_in_force(changes: dict[str, Any], told: str) -> None:
    """SAFE is called permitted only where a worker could open by it."""
    assert headline(status(**changes))[0].startswith(told)


@pytest.mark.parametrize(
    ("switch", "why"),
    [
        (
            engaged(text="(absent)", reason="there is no state key", why="the permission ran out"),
            "the permission ran out",
        ),
        (engaged(text="(absent)", reason="there is no state key", why="by hand, noted: x: risk rule"), "risk rule"),
        (engaged("fat finger", why="fat finger"), ""),
        (engaged("nobody renewed it: over", why="nobody renewed it"), ""),
        (engaged("stop", why="changed by hand"), "changed by hand"),
        (state(why="go live"), "go live"),
    ],
)
def test_the_reason_of_the_last_change_is_always_to_be_seen(switch: SwitchState, why: str) -> None:
    """Also where the key is gone, and never twice."""
    lines = status_lines(status(switch=switch), "1.0", PLAIN)
    told = [line for line in lines if line.startswith("  why: ")]
    assert len(told) == bool(why)
    assert why in "".join(told)


@pytest.mark.parametrize(("via", "told"), [("incarnation", True), ("reassert", True), ("command", False)])
def test_after_a_fail_over_it_is_said_that_the_stop_of_a_scope_may_be_lost(via: str, told: bool) -> None:
    """A stop of the whole fleet stands where one of a scope was: who resets it must know to put that back first."""
    text = " ".join(status_lines(status(switch=engaged(via=via)), "1.0", PLAIN, 80))
    assert ("a stop of a scope that Redis lost with it" in text) == told
    assert ("killswitch audit list" in text) == told


def test_two_persons_are_told_and_whom_the_second_has_to_follow() -> None:
    """S7: the rule, and each approval that waits, of the switch and of a scope; SAFE by hand is not called pending."""
    scopes = (
        engaged("bad prices", scope="a:b", epoch=9, approved_by="bob", approved_what="REDUCING"),
        state(scope="c:d"),
    )
    picture = status(switch=engaged(approved_by="alice", approved_what="SAFE:0"), scopes=scopes, persons=2)
    text = " ".join(" ".join(status_lines(picture, "1.0", PLAIN, 80)).split())
    assert "a permission takes two persons" in text
    assert "alice has approved trading, epoch 8; it takes another person" in text
    assert "bob has approved reducing orders of a:b, epoch 9; it takes another person" in text
    assert "persons" not in "".join(status_lines(status(), "1.0", PLAIN))
    by_hand = headline(status(switch=state(recorded=False), persons=2))
    assert by_hand[0].startswith("SAFE was written by hand; what loosens opens nothing")


def test_what_one_person_lifted_by_hand_is_not_shown_as_permitted() -> None:
    """S7: neither the switch nor a scope, although the key says so."""
    refused = state(recorded=False, unapproved=True, actor="unattributed", why="by hand")
    lines = status_lines(status(switch=refused, persons=2), "1.0", PLAIN)
    assert lines[0] == "SAFE was written by hand, and opens nothing: two persons have to permit"
    assert "epoch 7, not accepted, by unattributed" in lines[1]
    gone = state(scope="a:b", text="(absent)", recorded=False, unapproved=True)
    row = next(line for line in status_lines(status(scopes=(gone,), persons=2), "1.0", PLAIN) if line.startswith("a:b"))
    assert "ENGAGED" in row
    assert "lifted by hand" in row


def test_a_change_that_is_not_on_record_has_not_the_name_of_the_one_before() -> None:
    """Who made the last recorded change did not make this one."""
    lines = status_lines(status(switch=state(recorded=False, why="go live")), "1.0", PLAIN)
    assert lines[1].startswith("  by hand, not recorded yet; on record before it: epoch 7, by alice")
    assert "go live" not in "".join(lines)
    part = engaged("ENGAGED typo", text="ENGAGED typo", why="go live", scope="a:b", recorded=False)
    rows = [" ".join(line.split()) for line in status_lines(status(scopes=(part,)), "1.0", PLAIN)]
    assert "a:b ENGAGED nobody typo; by hand, not recorded yet" in rows


def test_a_state_that_is_gone_may_be_data_that_is_lost() -> None:
    """Nobody resets without having read that stops of scopes and the rule of two persons may be lost with it."""
    gone = status(switch=engaged(text="(absent)", via="raw"), members=())
    behind = status(switch=engaged("initialised"), members=(member(epoch=99),))
    never = status(switch=engaged(text="(absent)", epoch=0, recorded=False, actor=""), members=(), epoch=0)
    assert status_lines(never, "1.0", PLAIN)[1].strip() == "by hand, not recorded yet"
    pictures = ((gone, True), (behind, True), (never, False), (status(), False), (status(switch=engaged("x")), False))
    for picture, told in pictures:
        text = " ".join(" ".join(status_lines(picture, "1.0", PLAIN)).split())
        assert ("Redis lost its data, and with it its scopes and the rules for the fleet" in text) is told, text


def test_a_scope_tells_who_follows_it_and_its_reason_once() -> None:
    """Their number, and two by name of their engine or their own; nobody is said."""
    members = tuple(member(f"w{n}", scopes=("symbol:EURUSD",), engine="e1" * (n == 1)) for n in (1, 2, 3))
    scopes = (
        engaged("bad prices", why="bad prices", scope="symbol:EURUSD"),
        engaged("stop", why="changed by hand", scope="a:b"),
        engaged(text="x", reason="scope c:d holds 'x'", why="", scope="c:d"),
        state(text="(absent)", why="old", scope="e:f"),
    )
    assert max(map(len, status_lines(status(scopes=scopes, members=members), "1.0", PLAIN, 80))) <= 80
    for limit in (100, 200):
        lines = status_lines(status(scopes=scopes, members=members), "1.0", PLAIN, limit)
        rows = [" ".join(line.split()) for line in lines]
        assert "symbol:EURUSD ENGAGED 8 alice 3: e1, w2, ... bad prices" in rows
        assert "a:b ENGAGED 8 alice nobody stop; changed by hand" in rows
        assert "c:d ENGAGED 8 alice nobody scope c:d holds 'x'" in rows
        assert "e:f as the switch 7 alice nobody" in rows
        assert max(map(len, lines)) <= limit


def test_a_library_that_is_missing_is_told_once() -> None:
    """With the code before the reason, and without a remedy that the reason names already."""
    trouble = (Code.LIBRARY_MISSING, "the function library is not loaded in this Redis: run `killswitch init`")
    text = "\n".join(status_lines(status(trouble=trouble), "1.0", PLAIN))
    assert "no worker can renew [library_missing]: the function library is not loaded" in text
    assert text.count("killswitch init") == 1
    assert Code.REDIS_OOM.remedy in "\n".join(status_lines(status(trouble=(Code.REDIS_OOM, "OOM")), "1.0", PLAIN))


def test_at_80_columns_a_worker_is_told_without_what_everybody_says() -> None:
    """The usual rung and version are left out; another one of anybody is shown."""
    usual = member("web1.example.com-4711")
    lines = worker_lines([usual], "1.0", PLAIN, 80)
    assert "VERSION" not in lines[0]
    assert "web1.example.com-4711" in lines[1]
    assert "0.9" in worker_lines([usual, member(version="0.9")], "1.0", PLAIN, 80)[2]
    assert "VERSION" in worker_lines([usual], "1.0", PLAIN, 100)[0]


def test_a_limited_permission_is_told_with_its_end() -> None:
    """How long, and when by the server's clock."""
    lines = status_lines(status(switch=state(ttl_ms=3_600_000)), "1.0", PLAIN)
    assert "  the permission ends in 1 h 0 min (1970-01-01 01:17:40.000Z)" in lines
    assert state_words("SAFE (for 28800 s)", "command") == "SAFE: trading permitted for 8h"
    assert state_words("SAFE (for 28800 s)") == "SAFE (for 28800 s)", "these may be somebody's own words"


def test_a_worker_row_shows_what_differs() -> None:
    """A closed gate, another version, a lower rung, an order in flight and a silent worker are all to be seen."""
    odd = member("w2", mode="ENGAGED", code="lease_expired", closed=True, in_flight=2, rung="polling", version="0.9")
    silent = member("w3", beat_age_ms=60_000)
    gone = member("w4", known=False)
    lines = worker_lines([member(), odd, silent, gone], "1.0", Paint(True))
    assert "\x1b" not in lines[1].replace("\x1b[1;32mSAFE", "").replace("\x1b[0m", "")
    for part in ("lease_expired", "closed", "polling", "0.9", "2"):
        assert part in lines[2]
    assert "silent" in lines[3]
    assert "unknown" in lines[4]
    assert ("was SAFE" in lines[3], "run out" in lines[3]) == (True, True)
    told = "3 workers: 1 closed, 1 open, 1 with its lease run out, 2 orders in flight, 1 silent"
    assert counts([member(), odd, silent]) == told
    (late,) = worker_lines([member(beat_age_ms=3500, beat_ms=1000)], "1.0", PLAIN)[1:]
    assert ("was" in late, "run out" in late) == (True, True)
    assert counts([]) == "no worker is registered"


def test_the_screen_fits_100_columns_with_the_longest_words() -> None:
    """Long names are cut in the table; nothing runs over."""
    long = member("host-with-a-very-long-name.example.com-123456-abcdef", engine="e" * 64, code="c" * 30, epoch=2**53)
    picture = status(
        members=(long,), switch=engaged("r" * 200, actor="a" * 200), scopes=(state(scope="symbol:" + "S" * 64),)
    )
    assert max(map(len, status_lines(picture, "1.0", PLAIN))) <= 100


def test_a_small_terminal_shows_that_lines_are_missing() -> None:
    """The first lines and the last one stay; how many are hidden is said."""
    lines = screen(status(members=tuple(member(f"w{n}") for n in range(50))), "", 0, PLAIN, 80, 12)
    assert len(lines) == 12
    assert lines[0].startswith("SAFE")
    assert "more lines" in lines[-2]
    assert max(map(len, lines)) < 80


def test_an_outage_is_marked_above_the_last_picture() -> None:
    """What is old is never shown as if it were new."""
    lines = screen(status(), "no answer", 1_000_000, PLAIN, 100, 40)
    assert lines[0].startswith("Redis has not answered since 1970-01-01")
    assert lines[1] == "what follows is the last that was seen"


CHANGES: list[tuple[FleetStatus, FleetStatus, list[str]]] = [
    (status(), status(at_ms=2_000_000), []),
    (status(), status(switch=engaged()), ["switch: ENGAGED: fat finger (epoch 8, by alice)"]),
    (status(), status(switch=state(epoch=9)), ["switch: SAFE: trading permitted (epoch 9, by alice)"]),
    (status(members=()), status(), ["joined: worker w1 (eurusd): open, open, epoch 7"]),
    (status(), status(members=()), ["worker w1 (eurusd): left"]),
    (
        status(),
        status(members=(member(closed=True, code="engaged", epoch=8, quiet_epoch=8),)),
        ["quiet: worker w1 (eurusd): closed, engaged, epoch 8"],
    ),
    (status(), status(members=(member(in_flight=2),)), ["worker w1 (eurusd): open, open, epoch 7, 2 in flight"]),
    (status(), status(members=(member(beat_age_ms=9000),)), ["worker w1 (eurusd): silent for 9.0 s"]),
    (status(members=(member(beat_age_ms=9000),)), status(), ["worker w1 (eurusd): beats again"]),
    (status(), status(members=(member(rung="polling"),)), ["worker w1 (eurusd): rung bcast -> polling"]),
    (status(), status(members=(member(known=False, beat_age_ms=1),)), ["worker w1: its last words are gone"]),
    (
        status(scopes=(state(scope="a:b", text="(absent)"),)),
        status(scopes=(engaged("x", scope="a:b"),)),
        ["scope a:b: ENGAGED: x (epoch 8)"],
    ),
]


@pytest.mark.parametrize(("old", "new", "lines"), CHANGES)
def test_each_change_is_one_line(old: FleetStatus, new: FleetStatus, lines: list[str]) -> None:
    """What changed between two looks is told once; what only grew older is not."""
    told = [line for line in between(old, new) if "silent" not in line or "silent for" in line]
    assert told == lines or told[: len(lines)] == lines


def test_opening_tells_how_things_are() -> None:
    """The first lines of a log say everything that later lines change."""
    lines = opening(status(scopes=(state(scope="a:b", text="(absent)"), engaged("x", scope="c:d"))))
    assert lines[0].startswith("switch: SAFE")
    assert lines[1] == "scope c:d: ENGAGED: x (epoch 8)"
    assert lines[2].startswith("1 worker: 0 closed, 1 open")
