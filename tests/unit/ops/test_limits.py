"""The limits of a permission on screens and in lines: the time left is told, and said again before it is over."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import FleetStatus
from ops.changes import between, opening
from ops.limits import limit_lines, limit_news
from ops.render import Paint, width
from ops.screens import headline, status_lines
from tests.unit.ops.pictures import deadman, engaged, state, status

PLAIN = Paint(False)
MINUTE = 60_000


def limited(left_ms: int | None, **changes: Any) -> FleetStatus:
    """A fleet that trades for so long."""
    return status(switch=state(ttl_ms=left_ms), **changes)


def test_both_limits_are_shown_with_the_time_left_and_who_renews() -> None:
    """The key's own and the renewals'; each with its end by the server's clock."""
    found = "\n".join(limit_lines(limited(3_600_000, deadman=deadman()), PLAIN, 200))
    assert "the permission ends in 1 h 0 min (1970-01-01 01:17:40.000Z)" in found
    assert "renewed by alice every 20.0 s, last 5.0 s ago" in found
    assert "ends in 1 min 15 s (1970-01-01 00:18:55.000Z)" in found


def test_nothing_is_said_of_limits_where_nothing_is_permitted() -> None:
    """An engaged fleet has nothing that could run out."""
    assert limit_lines(status(switch=engaged(ttl_ms=5), deadman=deadman()), PLAIN, 100) == []


def test_overdue_renewal_is_told_with_what_is_left() -> None:
    """Who was to renew it, when that was last, and by when every gate is closed."""
    late = deadman(overdue=True, left_ms=9_000, renewed_at_ms=989_000, ends_at_ms=1_069_000)
    found = " ".join(status_lines(status(deadman=late), "1.0", PLAIN))
    assert "renewal overdue: alice renewed it 1 min 11 s ago; unless that comes every gate is closed in 9.0 s" in found


def test_permission_that_nobody_renewed_is_not_called_permitted() -> None:
    """Before a beat has written it down the state still says SAFE, and no gate is open."""
    over = status(deadman=deadman(left_ms=0, overdue=True))
    assert headline(over) == ("SAFE is written, but void: nobody renewed the permission", "warn")
    assert "every gate is closed" in " ".join(limit_lines(over, PLAIN, 100))


def test_hostile_holder_cannot_reach_the_terminal_nor_break_the_screen() -> None:
    """The actor comes out of Redis."""
    found = limit_lines(status(deadman=deadman(actor="\x1b[2J" + "x" * 300)), PLAIN, 100)
    assert not any("\x1b" in line for line in found)
    assert max(map(width, found)) <= 100


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, 16 * MINUTE, False), (16 * MINUTE, 14 * MINUTE, True), (14 * MINUTE, 13 * MINUTE, False),
        (3 * MINUTE, 1 * MINUTE, True), (MINUTE, 30_000, False), (None, 30_000, True), (30_000, None, False),
    ],
)  # fmt: skip
def test_end_is_announced_a_quarter_of_an_hour_and_two_minutes_before(
    before: int | None, after: int | None, said: bool
) -> None:
    """Once each, and also where the permission was short from the beginning."""
    lines = limit_news(limited(before), limited(after))
    assert bool(lines) is said
    assert not said or lines[0].startswith("the permission ends in")


def test_missed_and_resumed_renewals_are_one_line_each() -> None:
    """Not one for every look."""
    fine, late = status(deadman=deadman()), status(deadman=deadman(overdue=True, left_ms=40_000))
    later = status(deadman=deadman(overdue=True, left_ms=39_000))
    over = status(deadman=deadman(overdue=True, left_ms=0))
    assert [len(between(*pair)) for pair in ((fine, fine), (fine, late), (late, later), (late, fine))] == [0, 1, 0, 1]
    assert "renewal overdue" in between(fine, late)[0]
    assert "renewed by alice" in between(late, fine)[0]
    assert any("nobody renewed it" in line for line in between(later, over))
    assert between(over, over) == []


def test_first_lines_of_watch_tell_the_limits() -> None:
    """Whoever begins to watch learns them without a change."""
    assert any("renewed by alice" in line for line in opening(status(deadman=deadman())))
