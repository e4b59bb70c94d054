"""What an agent begins with: what its process has seen already."""

from __future__ import annotations

from typing import Any

import pytest

from killswitch import Agent, Settings
from killswitch.core.answer import decide
from killswitch.gate.watcher import Watcher
from killswitch.store.functions import LIBRARY_VERSION
from tests.support.fakes import answer, row


def agent(**changes: Any) -> Agent:
    """One that was not started."""
    return Agent(Settings(_env_file=None, **changes), worker_id="w-1")


def stopped(made: Agent, epoch: int) -> Agent:
    """As if its watcher had found the switch engaged at `epoch`."""
    rows = (row("ENGAGED", epoch),)
    made._memory.note(rows, (), decide(answer(*rows, version=LIBRARY_VERSION), LIBRARY_VERSION, (), 0, 0), epoch)
    return made


def begins_with(made: Agent) -> tuple[int, int]:
    """The epochs that a watcher of `made` starts with: the highest seen, and the highest at which it saw a stop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watcher, "start", lambda _: None)
        made.start()
    watcher, made._watcher = made._watcher, None
    assert watcher is not None
    watcher.abandon()
    made.gate.let_go()
    return watcher.watch.seen_epoch, watcher.watch.engaged_epoch


def test_first_agent_of_a_process_has_seen_nothing() -> None:
    """Whoever joins registers and reads."""
    assert begins_with(agent()) == (0, 0)


def test_agent_that_is_started_again_has_forgotten_nothing() -> None:
    """P9: a worker never opens at or below an epoch at which it saw a stop, whichever of its watchers saw it."""
    assert begins_with(stopped(agent(), 9)) == (9, 9)


def test_child_of_a_fork_has_forgotten_nothing() -> None:
    """P9: what the parent's watcher saw holds for the child's."""
    made = stopped(agent(), 9)
    made._after_fork_in_child()
    assert begins_with(made) == (9, 9)


@pytest.mark.parametrize("unleft", [False, True])
def test_successor_has_forgotten_nothing_whether_or_not_the_one_before_left(unleft: bool) -> None:
    """P9: of any line of agents each knows what all before it saw; saying goodbye for the last is another matter."""
    second, third = agent(), agent()
    first = stopped(agent(), 9)
    begins_with(first)
    second.succeed(first, unleft=unleft)
    third.succeed(second)
    assert begins_with(third) == (9, 9)
    assert (second._unleft, third._unleft) == (first._instance if unleft else "", "")


@pytest.mark.parametrize("changes", [{"prefix": "another"}, {"redis_url": "redis://elsewhere:6379/0"}])
def test_another_switch_is_another_record(changes: dict[str, str]) -> None:
    """Epochs of one switch mean nothing at another, where they might keep a worker closed for ever."""
    made = agent(**changes)
    made.succeed(stopped(agent(), 9))
    assert begins_with(made) == (0, 0)
