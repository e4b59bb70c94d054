"""The push channel: each rung announces what it promises; a lower one is taken only where a better is not to be had."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

import pytest

from killswitch.clock import now_ns
from killswitch.core.endpoint import parse_url
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.channel import LADDER, PushChannel, open_channel
from killswitch.testing import fake_redis
from tests.support.peer import HELLO, ScriptedServer
from tests.support.server import RealServer

KEYS = ("killswitch:state", "killswitch:state:symbol:X")
PUSH = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$16\r\nkillswitch:state\r\n"
TRACKED = ["bcast", "tracking"]


@pytest.fixture
def opened() -> Iterator[Callable[..., PushChannel]]:
    """Opens channels; all are closed at the end."""
    made: list[PushChannel] = []

    def open_one(url: str, wanted: str = "auto", timeout_s: float = 2.0) -> PushChannel:
        made.append(open_channel(parse_url(url), KEYS, wanted, timeout_s))
        return made[-1]

    yield open_one
    for channel in made:
        channel.close()


@pytest.fixture
def server(module_server: RealServer) -> RealServer:
    """A server as it comes: no keyspace events."""
    module_server.cli("FLUSHALL")
    module_server.config_set("notify-keyspace-events", "")
    return module_server


def readable(channel: PushChannel, wait_s: float = 0.0) -> bool:
    """Whether anything has arrived, as a gate asks it."""
    return bool(select.select([channel.fileno()], [], [], wait_s)[0])


Open = Callable[..., PushChannel]


def test_best_rung_is_broadcast_on_real_servers(server: RealServer, opened: Open) -> None:
    """Redis and Valkey offer the first of the ladder."""
    assert opened(server.unix_url).rung == LADDER[0] == "bcast"


def test_fakeredis_falls_to_polling_and_says_so(opened: Open) -> None:
    """Where nothing is announced, the rung tells it."""
    with fake_redis() as url:
        channel = opened(url)
        assert (channel.rung, channel.fileno()) == ("polling", -1)
        channel.drain()
        channel.close()
        for rung in LADDER[:3]:
            with pytest.raises(StoreRefused):
                opened(url, rung)


def test_change_is_readable_before_the_setter_has_its_answer(server: RealServer, opened: Open) -> None:
    """On the best rung the announcement is in the kernel when +OK is. Often, because once would be chance."""
    channel = opened(server.unix_url, "bcast")
    with server.line() as line:
        for _ in range(500):
            assert not readable(channel)
            line.call("SET", KEYS[0], "ENGAGED")
            assert readable(channel)
            channel.drain()


@pytest.mark.parametrize("rung", [*TRACKED, "keyspace"])
@pytest.mark.parametrize(
    "change",
    [
        ("SET", KEYS[0], "SAFE"), ("DEL", KEYS[0]), ("UNLINK", KEYS[0]), ("RENAME", KEYS[0], "elsewhere"),
        ("EXPIRE", KEYS[0], "100"), ("APPEND", KEYS[0], "x"), ("SET", KEYS[1], "ENGAGED"),
        ("SETRANGE", KEYS[0], "0", "X"), ("COPY", "other", KEYS[0], "REPLACE"), ("RENAME", "other", KEYS[0]),
    ],
)  # fmt: skip
def test_every_way_of_changing_a_state_key_is_announced(
    server: RealServer, opened: Open, rung: str, change: tuple[str, ...]
) -> None:
    """Whatever command does it, the channel becomes readable."""
    server.config_set("notify-keyspace-events", "KA")
    server.cli("MSET", KEYS[0], "SAFE", "other", "x")
    channel = opened(server.unix_url, rung)
    server.cli(*change)
    assert readable(channel, 2.0)


@pytest.mark.parametrize("rung", [*TRACKED, "keyspace"])
def test_end_of_a_permission_is_announced_by_itself(server: RealServer, opened: Open, rung: str) -> None:
    """Expiry is a change like any other, and nobody has to touch the key."""
    server.config_set("notify-keyspace-events", "KA")
    channel = _armed_before_the_end(server, opened, rung)
    assert readable(channel, 20.0)
    channel.drain()
    assert server.cli("EXISTS", KEYS[0]) == "0"


def _armed_before_the_end(server: RealServer, opened: Open, rung: str) -> PushChannel:
    """A channel that was armed, and had announced nothing, while a permission that ends soon still stood."""
    for life_ms in ("80", "1000", "10000"):  # on a busy machine the first may be over before anybody listens
        server.cli("SET", KEYS[0], "SAFE", "PX", life_ms)
        channel = opened(server.unix_url, rung)
        announced = readable(channel)
        if int(server.cli("PTTL", KEYS[0])) > 0:
            assert not announced
            return channel
    raise AssertionError("no permission outlived the arming of a channel")


@pytest.mark.parametrize("rung", TRACKED)
@pytest.mark.parametrize("flush", ["FLUSHALL", "FLUSHDB"])
def test_flush_is_announced(server: RealServer, opened: Open, rung: str, flush: str) -> None:
    """A flush changes every key."""
    server.cli("SET", KEYS[0], "SAFE")
    channel = opened(server.unix_url, rung)
    server.cli(flush)
    assert readable(channel, 2.0)


@pytest.mark.parametrize("rung", [*TRACKED, "keyspace"])
def test_drained_channel_announces_the_next_change_too(server: RealServer, opened: Open, rung: str) -> None:
    """Also where one reading gives one announcement: draining arms again, for every key."""
    server.config_set("notify-keyspace-events", "KA")
    channel = opened(server.unix_url, rung)
    for key in KEYS * 3:
        server.cli("SET", key, "ENGAGED")
        assert readable(channel, 2.0)
        channel.drain()
        assert not readable(channel)


@pytest.mark.parametrize("rung", ["bcast", "keyspace"])
def test_other_keys_are_not_announced(server: RealServer, opened: Open, rung: str) -> None:
    """Traffic beside the switch closes no gate."""
    server.config_set("notify-keyspace-events", "KA")
    channel = opened(server.unix_url, rung)
    server.cli("MSET", "other", "x", "killswitch:ledger", "x", "my:killswitch:state", "x")
    assert not readable(channel, 0.05)


def test_worker_traffic_does_not_wake_its_own_channel(server: RealServer, opened: Open) -> None:
    """Reads do not announce anything."""
    channel = opened(server.unix_url)
    server.cli("GET", KEYS[0])
    assert not readable(channel, 0.05)


@pytest.mark.parametrize("flags", ["", "K", "Eg$x", "Kg$", "Kgx", "K$x"])
def test_keyspace_rung_is_refused_where_events_are_missing(server: RealServer, opened: Open, flags: str) -> None:
    """Half of the events is not enough."""
    server.config_set("notify-keyspace-events", flags)
    with pytest.raises(StoreRefused, match="notify-keyspace-events"):
        opened(server.unix_url, "keyspace")


@pytest.mark.parametrize("flags", ["KA", "Kg$x", "KEA"])
def test_keyspace_rung_is_had_with_the_needed_events(server: RealServer, opened: Open, flags: str) -> None:
    """All of a string key's changes are covered."""
    server.config_set("notify-keyspace-events", flags)
    assert opened(server.unix_url, "keyspace").rung == "keyspace"


def test_user_without_tracking_falls_to_the_next_rung(server: RealServer, opened: Open) -> None:
    """Rights decide as abilities do."""
    server.config_set("notify-keyspace-events", "KA")
    rules = ("on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    server.cli("ACL", "SETUSER", "limited", "reset", *rules)
    url = f"unix://limited:pw@{server.socket_path}"
    assert opened(url).rung == "keyspace"
    server.cli("ACL", "SETUSER", "limited", "-config|get")
    assert opened(url).rung == "polling"
    server.cli("ACL", "SETUSER", "limited", "+config|get", "-psubscribe")
    start = now_ns()
    assert opened(url).rung == "polling"
    assert now_ns() - start < 5_000_000_000


def test_wrong_password_is_not_taken_for_a_missing_ability(server: RealServer) -> None:
    """Credentials that are refused are an error on every rung but polling, which opens no connection."""
    url = parse_url(f"unix://nobody:wrong@{server.socket_path}")
    for wanted in ("auto", "bcast", "tracking", "keyspace"):
        with pytest.raises(StoreRefused) as caught:
            open_channel(url, KEYS, wanted, 1.0)
        assert caught.value.code is Code.REDIS_DENIED


def test_dead_server_is_unavailable_and_no_rung_is_tried(server: RealServer) -> None:
    """Trouble on the way says nothing about what the server can do."""
    with ScriptedServer([HELLO, None, None]) as silent, pytest.raises(StoreUnavailable) as caught:
        open_channel(parse_url(f"redis://127.0.0.1:{silent.port}"), KEYS, "auto", 0.1)
    assert caught.value.code is Code.NO_ANSWER


def test_end_of_the_channel_is_readable_and_draining_tells_it(server: RealServer, opened: Open) -> None:
    """A killed connection is a change, and then an error."""
    channel = opened(server.unix_url)
    server.cli("CLIENT", "KILL", "TYPE", "normal")
    assert readable(channel, 2.0)
    with pytest.raises(StoreUnavailable):
        channel.drain()
    assert channel.fileno() == -1


def test_announcement_right_behind_the_last_answer_is_not_overlooked(opened: Open) -> None:
    """On the tracking rung an announcement that shares a packet with an answer makes the keys be read again."""
    script = [HELLO, b"+OK\r\n", b":1\r\n", b":1\r\n", b":0\r\n" + PUSH, b":1\r\n", b":1\r\n", b":0\r\n"]
    with ScriptedServer([*script, None]) as server:
        opened(f"redis://127.0.0.1:{server.port}", "tracking")
        assert [command[0] for command in server.commands].count(
            b"EXISTS"
        ) == 6  # the two keys and that of drills, twice


def test_keys_that_never_stand_still_end_the_arming() -> None:
    """A flood of changes is trouble, not an endless loop."""
    answers = [HELLO, b"+OK\r\n", *[PUSH + b":1\r\n"] * 500]
    with (
        ScriptedServer(answers) as server,
        pytest.raises(StoreUnavailable, match="change faster"),
    ):
        open_channel(parse_url(f"redis://127.0.0.1:{server.port}"), KEYS, "tracking", 2.0)


def test_closed_channel_has_no_descriptor(server: RealServer) -> None:
    """Closing may be repeated."""
    channel = open_channel(parse_url(server.unix_url), KEYS, "auto", 2.0)
    channel.close()
    channel.close()
    assert channel.fileno() == -1


def test_paused_writes_announce_only_what_was_written(server: RealServer, opened: Open) -> None:
    """CLIENT PAUSE WRITE holds the SET back, and with it the announcement."""
    channel = opened(server.unix_url)
    with server.line() as line, server.line() as other:
        line.call("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            other.socket.sendall(b"SET killswitch:state ENGAGED\r\n")
            assert not readable(channel, 0.02)
        finally:
            line.call("CLIENT", "UNPAUSE")
        assert other.read() == "OK"
        assert readable(channel)
