"""What is remembered of the record, for whoever follows other parts of it."""

from __future__ import annotations

import pytest

from killswitch.core.answer import StateRow, decide
from killswitch.core.memory import Memory
from tests.support.fakes import VERSION, answer, row

X, Y = "symbol:X", "symbol:Y"


def heard(memory: Memory, scopes: tuple[str, ...], *rows: StateRow, version: int = VERSION) -> Memory:
    """A worker that follows `scopes` and remembers `memory` is answered."""
    seen, stopped = memory.of(scopes)
    decision = decide(answer(*rows, version=version), VERSION, scopes, seen, stopped)
    memory.note(rows, scopes, decision, max(seen, decision.epoch))
    return memory


def test_nothing_is_remembered_at_first() -> None:
    """A process that saw nothing opens at any epoch."""
    assert Memory().of((X,)) == (0, 0)


def test_a_stop_of_the_switch_is_remembered_for_all_scopes() -> None:
    """P9: whoever follows the switch was stopped with it, and opens above everything that was seen by then."""
    memory = heard(Memory(), (X,), row("ENGAGED", 3), row(None, 7))
    for scopes in ((), (X,), (Y,)):
        assert memory.of(scopes) == (7, 7)


def test_a_stop_of_a_scope_holds_back_those_who_follow_it_only() -> None:
    """P9, and no more: the epoch of the switch, permitted long before, never reaches that of a scope by itself."""
    memory = heard(Memory(), (X,), row("SAFE", 2), row("ENGAGED", 7))
    assert memory.of(()) == (2, 0)
    assert memory.of((Y,)) == (2, 0)
    assert memory.of((X,)) == memory.of((X, Y)) == (7, 7)
    heard(memory, (X,), row("SAFE", 2), row(None, 8))
    assert memory.of(()) == (2, 0)
    assert memory.of((X,)) == (8, 7)


def test_it_outlives_watchers_that_follow_less() -> None:
    """P9: an idle worker between two engines of one scope does not lose what the first saw of it."""
    memory = heard(Memory(), (X,), row("SAFE", 2), row("ENGAGED", 7))
    heard(memory, (), row("SAFE", 2))
    assert memory.of((X,)) == (7, 7)


def test_numbers_only_rise() -> None:
    """A record that went back takes nothing of what was seen away."""
    memory = heard(Memory(), (), row("ENGAGED", 9))
    heard(memory, (), row("SAFE", 4))
    heard(memory, (), row("ENGAGED", 5))
    assert memory.of(()) == (9, 9)


@pytest.mark.parametrize(("limit_ms", "stopped"), [(-1, 0), (50, 0), (0, 6)])
def test_a_permission_that_ran_out_is_a_stop_of_the_switch_alone(limit_ms: int, stopped: int) -> None:
    """P9: it is over for good for all who follow the switch, and the scopes that were open stopped nobody."""
    memory = heard(Memory(), (X,), row("SAFE", 4, pttl_ms=limit_ms), row(None, 6))
    assert memory.of(())[1] == stopped
    assert memory._stopped.get(X, 0) == 0


def test_what_another_version_of_the_library_says_is_no_stop() -> None:
    """An answer that cannot be trusted to mean the same only raises what was seen."""
    memory = heard(Memory(), (), row("ENGAGED", 3), version=VERSION + 1)
    assert memory.of(()) == (3, 0)


def test_what_another_remembers_is_learned() -> None:
    """P9: the higher number of both, part by part."""
    mine = heard(Memory(), (X,), row("SAFE", 5), row(None, 0))
    other = heard(Memory(), (Y,), row("SAFE", 2), row("ENGAGED", 4))
    mine.learn(other)
    assert mine.of(()) == (5, 0)
    assert mine.of((Y,)) == (5, 4)
    assert other.of((X,)) == (2, 0)
