"""How the end of `killswitch down` is told."""

from __future__ import annotations

import pytest

from ops.console import Console
from ops.launching.down import _tell_end
from ops.launching.stopping import Ended
from tests.unit.ops.launch_doubles import Control

DOWN, THERE = Ended("a", "stopped"), Ended("b", "still there")


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ((DOWN,), "1 of 1 engine is down."),
        ((THERE,), "0 of 1 engine is down."),
        ((DOWN, THERE), "1 of 2 engines is down."),
        ((DOWN, DOWN), "2 of 2 engines are down."),
    ],
)
def test_engines_are_counted_as_people_say_it(
    ended: tuple[Ended, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is one, and more are more."""
    _tell_end(ended, Control().controller, Console(), whole=True, unseen=False)
    assert told in capsys.readouterr().out
