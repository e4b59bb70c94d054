"""Both connections of a worker reach the same server, or there is no connection at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from killswitch import Controller, Settings
from killswitch.core.endpoint import Endpoint, parse_url
from killswitch.core.reasons import Code
from killswitch.errors import StoreUnavailable
from killswitch.store import channel
from killswitch.store.line import open_pair
from killswitch.store.wire import Wire, connect
from killswitch.testing import fake_redis
from tests.conftest import MakeServer
from tests.support.server import RealServer

KEYS = ("killswitch:state",)


def initialised(server: RealServer) -> RealServer:
    """With the function library."""
    Controller(Settings(redis_url=server.unix_url)).init()
    return server


def rung(url: str) -> str:
    """Opens a pair and gives it back; the rung of its channel."""
    push, line = open_pair(parse_url(url), KEYS, "auto", 2.0)
    push.close()
    line.close()
    return push.rung


def pushes_go_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The second connection is made after a fail-over: what was asked for by the same name is another server now."""

    def elsewhere(endpoint: Endpoint, timeout_s: float, name: str) -> Wire:
        return connect(parse_url(url), timeout_s, name)

    monkeypatch.setattr(channel, "connect", elsewhere)


def test_pair_at_one_server_is_opened(make_server: MakeServer) -> None:
    """With the library and, so that a worker can say what is missing, without it."""
    server = make_server()
    assert rung(server.unix_url) == "bcast"
    assert rung(initialised(server).unix_url) == "bcast"


def test_pair_where_nothing_is_announced_is_opened() -> None:
    """On the lowest rung there is no second connection that could be elsewhere."""
    with fake_redis() as url:
        assert rung(url) == "polling"


def another_master(make: MakeServer, first: RealServer) -> RealServer:
    """A server that knows nothing of the first."""
    return initialised(make())


def its_replica(make: MakeServer, first: RealServer) -> RealServer:
    """A server that announces what the first one does, but later: after the operator was answered."""
    return make(replicaof=f"127.0.0.1 {first.port}")


@pytest.mark.parametrize("make_second", [another_master, its_replica])
def test_pair_at_two_servers_is_refused(
    make_server: MakeServer,
    monkeypatch: pytest.MonkeyPatch,
    make_second: Callable[[MakeServer, RealServer], RealServer],
) -> None:
    """What changes at the server that is asked would not be announced before the operator's +OK, or not at all."""
    first = initialised(make_server())
    pushes_go_to(monkeypatch, make_second(make_server, first).unix_url)
    with pytest.raises(StoreUnavailable, match="different servers") as caught:
        open_pair(parse_url(first.unix_url), KEYS, "auto", 2.0)
    assert caught.value.code is Code.DISCONNECTED
