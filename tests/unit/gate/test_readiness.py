"""Asking the push socket: unread bytes, its end and every error count as ready."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from killswitch.gate import readiness as module
from killswitch.gate.readiness import Readiness, make_readiness

KINDS = [kind for kind in ("epoll", "poll", "select") if hasattr(select, kind)]
MAKERS: dict[str, Callable[[], Readiness]] = {
    "epoll": module._Epoll,
    "poll": module._Poll,
    "select": module._Select,
}


@pytest.fixture(params=KINDS)
def asked(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    """Each kind of set that this system has."""
    made = MAKERS[request.param]()
    yield made
    made.close()


def test_empty_set_is_not_ready(asked: Readiness) -> None:
    """On the polling rung there is nothing to ask, and the lease alone decides."""
    assert not asked.ready(0, 1)


def test_unread_bytes_are_ready_until_they_are_read(
    asked: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Every check sees them, not only the first."""
    left, right = pair
    asked.watch(left.fileno())
    assert not asked.ready(0, 1)
    right.send(b">")
    assert asked.ready(0, 1)
    assert asked.ready(0, 1)
    left.recv(10)
    assert not asked.ready(0, 1)


def test_end_of_the_stream_is_ready(asked: Readiness, pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that went away counts as a change."""
    left, right = pair
    asked.watch(left.fileno())
    right.close()
    assert asked.ready(0, 1)


def test_forgotten_socket_is_not_asked_any_more(asked: Readiness, pair: tuple[socket.socket, socket.socket]) -> None:
    """Forgetting is harmless, also twice and for strangers."""
    left, right = pair
    asked.watch(left.fileno())
    right.send(b">")
    asked.forget(right.fileno())
    assert asked.ready(0, 1)
    asked.forget(left.fileno())
    asked.forget(left.fileno())
    asked.forget(-1)
    assert not asked.ready(0, 1)


def test_every_thread_sees_the_unread_bytes(asked: Readiness, pair: tuple[socket.socket, socket.socket]) -> None:
    """Checks of several threads do not steal the sign from each other."""
    left, right = pair
    asked.watch(left.fileno())
    right.send(b">")
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(bool(asked.ready(0, 1)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_best_set_of_the_system_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """epoll, else poll, else select."""
    assert type(make_readiness()).__name__ == "_Epoll" or not hasattr(select, "epoll")
    monkeypatch.delattr(select, "epoll", raising=False)
    assert type(make_readiness()).__name__ == "_Poll"
    monkeypatch.delattr(select, "poll", raising=False)
    assert type(make_readiness()).__name__ == "_Select"
