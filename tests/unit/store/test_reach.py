"""Names and connections in bounded time, with a resolver and servers that take theirs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.store import reach
from killswitch.store.attempts import attempt_twice
from killswitch.store.wire import connect
from tests.support.waiting import eventually

NAME = "redis.example"
LONG_S = 20.0


class Resolver:
    """Stands in for the system's: answers for NAME only when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_answer = threading.Event()
        self.addresses: list[tuple[str, int]] = []
        self.asked = 0
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, **how: int) -> object:
        if host != NAME or how.get("flags"):
            return self._real(host, port, **how)
        self.asked += 1
        self.may_answer.wait(LONG_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self.addresses]

    def is_idle(self) -> bool:
        """Whether no thread waits for it any more."""
        return all(thread.name != "killswitch-resolve" for thread in threading.enumerate())


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver that keeps everybody waiting until it is let go."""
    made = Resolver(monkeypatch)
    yield made
    made.may_answer.set()
    eventually(made.is_idle, why="the threads of the resolver end")


def test_resolver_that_does_not_answer_is_not_waited_for(resolver: Resolver) -> None:
    """The name is unreachable after the limit, and the text says that it is the name."""
    begun = now_ns()
    with pytest.raises(StoreUnavailable, match="was not resolved in time") as caught:
        connect(Endpoint("redis", ((NAME, 6379),)), 0.05)
    assert caught.value.code is Code.UNREACHABLE
    assert now_ns() - begun < LONG_S * 1e9 / 2


def test_resolver_that_is_stuck_is_asked_by_one_thread_only(resolver: Resolver) -> None:
    """A worker that tries again and again does not fill the process with threads."""
    for _ in range(5):
        (found,) = reach.resolve([(NAME, 6379)], 0.01)
        assert isinstance(found, TimeoutError)
    assert resolver.asked == 1


def test_late_answer_of_the_resolver_is_not_used_again(resolver: Resolver) -> None:
    """Names change in a fail-over: what was asked for long ago is asked for anew."""
    resolver.addresses = [("10.0.0.1", 6379)]
    reach.resolve([(NAME, 6379)], 0.01)
    resolver.may_answer.set()
    eventually(resolver.is_idle, why="the late answer is there")
    resolver.addresses = [("10.0.0.2", 6379)]
    assert reach.resolve([(NAME, 6379)], LONG_S) == [[(socket.AF_INET, ("10.0.0.2", 6379))]]


def test_number_is_no_name() -> None:
    """Addresses in figures are asked of nobody."""
    v4, v6 = reach.resolve([("127.0.0.1", 1), ("::1", 2)], 0.0)
    assert v4 == [(socket.AF_INET, ("127.0.0.1", 1))]
    assert isinstance(v6, Exception) or v6[0][1][:2] == ("::1", 2)


def test_several_names_are_waited_for_together(resolver: Resolver) -> None:
    """One that is stuck leaves the others theirs, and its own failure in its own place."""
    stuck, known, none = reach.resolve([(NAME, 1), ("127.0.0.1", 2), ("a..b", 3)], 0.05)
    assert isinstance(stuck, TimeoutError)
    assert known == [(socket.AF_INET, ("127.0.0.1", 2))]
    assert isinstance(none, ValueError)


def test_thread_that_cannot_be_had_is_a_failure_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process at its limit of threads meets an error that its callers know."""

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(StoreUnavailable, match="new thread"):
        connect(Endpoint("redis", ((NAME, 6379),)), 1.0)


def test_address_that_swallows_everything_leaves_time_for_the_next(resolver: Resolver) -> None:
    """A name with several addresses is reached through the one that lives."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.create_server(("127.0.0.1", 0)) as alive,
    ):
        waiting = [socket.socket() for _ in range(4)]
        for end in waiting:
            end.setblocking(False)
            end.connect_ex(full.getsockname())
        resolver.addresses = [full.getsockname(), alive.getsockname()]
        resolver.may_answer.set()
        reached = reach.open_tcp(NAME, 1, 1.0, tls=None)
        assert reached.getpeername() == alive.getsockname()
        for end in (reached, *waiting):
            end.close()


def test_name_without_addresses_is_unreachable(resolver: Resolver) -> None:
    """Nothing to try is no crash."""
    resolver.may_answer.set()
    with pytest.raises(OSError, match="has no address"):
        reach.open_tcp(NAME, 1, 1.0, tls=None)


def test_child_of_a_fork_asks_for_itself(resolver: Resolver) -> None:
    """The threads that wait for the resolver are the parent's; a child would wait for them in vain."""
    reach.resolve([(NAME, 6379)], 0.01)
    if not (pid := os.fork()):
        os._exit(len(reach._lookups))
    assert os.waitpid(pid, 0)[1] == 0
    assert reach._lookups


def test_two_attempts_at_a_stuck_name_together_keep_to_the_limit(resolver: Resolver) -> None:
    """An operator learns in the time that was promised that the switch cannot be reached."""
    begun = now_ns()
    with pytest.raises(StoreUnavailable):
        attempt_twice(Endpoint("redis+sentinel", ((NAME, 1), (NAME, 2), (NAME, 3)), master="desk"), 0.4, "x", id)
    assert now_ns() - begun < LONG_S * 1e9 / 2
