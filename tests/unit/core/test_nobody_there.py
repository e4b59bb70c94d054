"""Why a stop stopped nobody is told in a line, whatever workers say that they follow."""

from __future__ import annotations

from killswitch.core.fleet import nobody_there
from tests.unit.ops.pictures import member, status


def test_the_reason_is_short_however_many_and_long_the_scopes_are() -> None:
    """Anybody who may beat writes scopes: five are named, each cut, and the rest counted."""
    crowd = [member(scopes=tuple(f"a{number}:{'x' * 5000}" for number in range(9)))]
    told = nobody_there(crowd, "a:1")
    assert told.startswith("no worker follows a:1, so this stopped nobody; followed are a0:xxx")
    assert told.endswith(" and 4 more")
    assert len(told) < 600
    assert nobody_there([member(scopes=())], "a:1").endswith("all of them follow the switch alone")


def test_a_picture_says_why_only_where_nobody_follows() -> None:
    """A member of the scope, and one that cannot be asked, count as followers."""
    assert status(members=(member(scopes=("a:1",)),)).nobody_there("a:1") == ""
    assert status(members=(member(known=False),)).nobody_there("a:1") == ""
    assert "no worker is registered" in status(members=()).nobody_there("a:1")
