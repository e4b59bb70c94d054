"""The end of `down`: its exit code says no more than was seen."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest
import redis

from killswitch import Settings
from ops.console import console
from ops.exit_codes import Exit
from ops.launching import down, stopping
from ops.launching.deployment import LaunchStopped
from ops.launching.phases import reaching
from tests.unit.ops.launch_doubles import Control, Queue
from workers import queues
from workers.roster import Place
from workers.settings import load

Take = Callable[[Queue, Control], tuple[Exit, dict[str, object]]]


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Take:
    """Takes all engines of a queue that follows a script down."""
    slept_s: list[float] = []
    monkeypatch.setattr(stopping, "sleep", slept_s.append)
    monkeypatch.setattr(stopping, "now_ns", lambda: int(sum(slept_s) * 1e9))
    monkeypatch.setattr(queues, "connect", lambda _url: contextlib.nullcontext())
    monkeypatch.setattr(down, "closing", lambda made: made)

    def run(queue: Queue, control: Control) -> tuple[Exit, dict[str, object]]:
        monkeypatch.setattr(down, "Roster", lambda *_a, **_k: queue.roster)
        monkeypatch.setattr(down, "Controller", lambda *_a, **_k: control.controller)
        console.begin()
        monkeypatch.setattr(console, "json", True)
        wanted = down.Down(Settings(redis_url="redis://127.0.0.1:1/0"), load(), None, (), (), None, None, 5.0)
        code = down.take_down(wanted, console)
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def runs() -> Queue:
    """One engine that runs, and ends when it is told to."""
    queue = Queue(a=Place.RUNNING)

    def stopped(name: str) -> None:
        queue.places.pop(name)
        queue.ends[name] = ("stopped", {}, "")

    queue.on_stop = stopped
    return queue


def test_all_is_well_only_where_the_registry_was_read(take: Take) -> None:
    """An engine that is off its queue may still be run by a worker, so 0 would say what nobody knows."""
    code, found = take(runs(), Control())
    assert (code, found["ok"], found["registry_unread"]) == (Exit.DONE, True, "")
    away = Control()
    away.away = True
    code, found = take(runs(), away)
    assert (code, found["ok"], found["registry_unread"]) == (Exit.UNREACHABLE, False, "no answer")


def test_an_engine_that_is_still_there_is_a_failure_whatever_was_read(take: Take) -> None:
    """What is known to have gone wrong is told as that."""
    away = Control()
    away.away = True
    code, found = take(Queue(a=Place.RUNNING, b=Place.WAITING), away)
    assert (code, found["ok"]) == (Exit.FAILED, False)


@contextlib.contextmanager
def _failing(error: Exception) -> Iterator[None]:
    raise error
    yield


@pytest.mark.parametrize("error", [redis.ConnectionError(), redis.TimeoutError("\n"), redis.RedisError("a\nb")])
def test_an_error_without_words_is_told_by_its_kind(
    take: Take, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A client's error may have no text at all; that must not become another error."""
    told = {"a\nb": "a"}.get(str(error), type(error).__name__)
    with pytest.raises(LaunchStopped, match=f"the queue's Redis: {told}$"), reaching():
        raise error
    monkeypatch.setattr(queues, "connect", lambda _url: _failing(error))
    code, found = take(runs(), Control())
    assert code == Exit.UNREACHABLE
    assert str(found["error"]["message"]) == f"the queue's Redis: {told}"  # type: ignore[index]
