"""Where the watcher stands still: bytes and wake-ups end the wait, and neither is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from killswitch.gate.waiting import Waiting, make_waiting
from tests.support.waiting import eventually

LONG_S = 30.0


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """What a watcher waits with."""
    made = make_waiting()
    yield made
    made.close()


Pair = tuple[socket.socket, socket.socket]


def test_wake_before_the_wait_ends_it_at_once(waiting: Waiting) -> None:
    """A wake-up that comes between two waits is not lost, and several count as one."""
    waiting.wake()
    waiting.wake()
    assert waiting.wait(LONG_S) == (set(), True)
    assert waiting.wait(0.0) == (set(), False)


def test_wake_from_another_thread_ends_the_wait(waiting: Waiting) -> None:
    """Whoever returns the last permit does not wait for the next renewal."""
    found: list[tuple[set[int], bool]] = []
    thread = threading.Thread(target=lambda: found.append(waiting.wait(LONG_S)))
    thread.start()
    waiting.wake()
    thread.join(LONG_S)
    assert found == [(set(), True)]


def test_bytes_and_their_end_end_the_wait(waiting: Waiting, pair: Pair) -> None:
    """A watched descriptor is reported while it can be read, also at its end."""
    near, far = pair
    waiting.watch(near.fileno())
    assert waiting.wait(0.0) == (set(), False)
    far.send(b"x")
    assert waiting.wait(LONG_S) == ({near.fileno()}, False)
    assert waiting.wait(LONG_S) == ({near.fileno()}, False)
    near.recv(10)
    far.close()
    assert waiting.wait(LONG_S) == ({near.fileno()}, False)


def test_forgotten_descriptors_are_not_waited_for_and_wake_ups_still_are(waiting: Waiting, pair: Pair) -> None:
    """Forgetting takes out every descriptor, also one that was closed first, and leaves the bell."""
    near, far = pair
    waiting.watch(near.fileno())
    waiting.watch(far.fileno())
    far.send(b"x")
    far.close()
    waiting.forget_all()
    assert waiting.wait(0.0) == (set(), False)
    waiting.wake()
    assert waiting.wait(LONG_S) == (set(), True)
    waiting.watch(near.fileno())
    assert waiting.wait(LONG_S) == ({near.fileno()}, False)


def test_wake_after_close_does_nothing_and_waiting_raises() -> None:
    """Releasing a permit of a closed agent never fails; a watcher that would wait on nothing dies and closes."""
    made = make_waiting()
    made.close()
    made.wake()
    with pytest.raises((ValueError, RuntimeError, OSError, KeyError)):
        made.wait(0.0)


def test_any_number_of_wake_ups_never_blocks(waiting: Waiting) -> None:
    """A thread that releases permits while nobody waits fills no buffer that could stop it."""

    def wake() -> None:
        for _ in range(100_000):
            waiting.wake()

    thread = threading.Thread(target=wake)
    thread.start()
    eventually(lambda: not thread.is_alive(), timeout_s=LONG_S, why="waking never blocks")
    assert waiting.wait(LONG_S)[1]
