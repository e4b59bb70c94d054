"""Callbacks beside the caller: whoever tells is never held up, and the newest is never lost."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from killswitch.hooks import Hooks, call_each
from tests.support.waiting import eventually


@contextmanager
def held() -> Iterator[threading.Event]:
    """An event that a callback waits for, set in the end whatever happens."""
    event = threading.Event()
    try:
        yield event
    finally:
        event.set()


def test_callback_hears_everything_in_order_on_a_thread_of_its_own() -> None:
    """Beside the caller, so it may take its time."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    threads: set[str] = set()

    def hear(news: int) -> None:
        heard.append(news)
        threads.add(threading.current_thread().name)

    hooks.add(hear)
    for number in range(50):
        hooks.tell(number)
    eventually(lambda: len(heard) == 50, why="all is heard")
    assert heard == list(range(50))
    assert threads == {"killswitch-hook"}
    assert hooks.dropped == 0


def test_one_that_hangs_holds_up_neither_the_caller_nor_the_others() -> None:
    """Each has its own thread and queue."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    with held() as event:

        def hang(_: int) -> None:
            event.wait(30)

        hooks.add(hang)
        hooks.add(heard.append)
        for number in range(10):
            hooks.tell(number)
        eventually(lambda: heard == list(range(10)), why="the other one hears all")
        assert not event.is_set()


def test_full_queue_loses_the_oldest_and_counts_them() -> None:
    """A flood builds no endless queue, and how things are now is always told."""
    hooks: Hooks[int] = Hooks(most_waiting=3)
    heard: list[int] = []
    with held() as event:

        def hear(news: int) -> None:
            heard.append(news)
            event.wait(30)

        hooks.add(hear)
        hooks.tell(0)
        eventually(lambda: heard == [0], why="the first one is being told")
        for number in range(1, 101):
            hooks.tell(number)
        event.set()
        eventually(lambda: heard[-1] == 100, why="the newest is told")
    assert heard == [0, 98, 99, 100]
    assert hooks.dropped == 97


def test_one_that_fails_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """An error of a callback is its own; the next news reaches it again."""
    heard: list[int] = []

    def fails(news: int) -> None:
        heard.append(news)
        raise ValueError("as a test does")

    hooks: Hooks[int] = Hooks()
    hooks.add(fails)
    hooks.tell(1)
    hooks.tell(2)
    eventually(lambda: heard == [1, 2], why="both are heard")
    eventually(lambda: caplog.text.count("a callback failed") == 2, why="both are logged")
    call_each([fails, heard.append], 3)
    assert heard == [1, 2, 3, 3]


def test_what_was_told_before_the_end_is_still_heard_and_it_may_begin_again() -> None:
    """Ending waits for nobody; an agent may be started anew."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    hooks.add(heard.append)
    hooks.tell(1)
    hooks.end()
    eventually(lambda: heard == [1], why="it was told before")
    eventually(lambda: hooks._lanes[0]._thread is None, why="the thread ends")
    hooks.tell(2)
    eventually(lambda: heard == [1, 2], why="it is told again")


def test_what_is_told_while_the_thread_ends_is_heard_at_once() -> None:
    """An agent that is closed and started again loses no news, nor has them wait for the next."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    hooks.add(heard.append)

    class Late(deque[int]):
        """Something is put in just after the ending thread has found nothing."""

        idle = ending = False

        def __bool__(self) -> bool:
            found = len(self) > 0
            if not found and self.ending:
                self.ending = False
                hooks.tell(2)
            self.idle = not found and heard == [1]
            return found

    waiting = hooks._lanes[0]._waiting = Late(maxlen=9)
    hooks.tell(1)
    eventually(lambda: waiting.idle, why="it was told before, and nothing waits")
    waiting.ending = True
    hooks.end()
    eventually(lambda: heard == [1, 2], timeout_s=5, why="the late one is heard")


def test_child_of_a_fork_keeps_the_callbacks_and_not_what_waited() -> None:
    """The threads are the parent's."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    with held() as event:

        def hear(news: int) -> None:
            event.wait(30)
            heard.append(news)

        hooks.add(hear)
        hooks.tell(1)
        hooks.renew()
        event.set()
        hooks.tell(2)
        eventually(lambda: 2 in heard, why="the new thread hears it")


def test_no_thread_to_be_had_is_no_error_of_who_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher tells, and must not die of it."""
    hooks: Hooks[int] = Hooks()
    heard: list[int] = []
    hooks.add(heard.append)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        hooks.tell(1)
    hooks.tell(2)
    eventually(lambda: heard == [1, 2], why="it waited")


def test_a_log_that_fails_keeps_no_callback_from_being_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """P2: a full disk behind the log does not reach the watcher, which calls these."""

    def fails(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    def bad(_news: int) -> None:
        raise ValueError

    heard: list[int] = []
    monkeypatch.setattr(logging.getLogger("killswitch.hooks"), "exception", fails)
    call_each([bad, heard.append], 7)
    assert heard == [7]
