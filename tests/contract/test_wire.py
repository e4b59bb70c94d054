"""Connecting: addresses, credentials, databases and sentinels, on real servers and against scripted ones."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from killswitch import local
from killswitch.core.endpoint import Endpoint, parse_url
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store.wire import connect
from tests.conftest import MakeServer
from tests.support.peer import HELLO, ScriptedServer
from tests.support.processes import Children
from tests.support.server import RealServer, binary
from tests.support.waiting import eventually

PASSWORD = "p@ss/w:rd#1"
ESCAPED = "p%40ss%2Fw%3Ard%231"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask(url: str, *words: str, timeout_s: float = 2.0) -> object:
    """One command over a fresh wire."""
    wire = connect(parse_url(url), timeout_s, "test-name")
    try:
        return wire.call(*words)
    finally:
        wire.close()


def unreachable(url: str | Endpoint, timeout_s: float = 0.3) -> StoreUnavailable:
    """The error of connecting."""
    with pytest.raises(StoreUnavailable) as caught:
        connect(url if isinstance(url, Endpoint) else parse_url(url), timeout_s)
    return caught.value


def test_tcp_and_unix_reach_the_same_server_under_a_name(module_server: RealServer) -> None:
    """Both ways of connecting greet in RESP3 and show a name in CLIENT LIST."""
    for url in (module_server.url, module_server.unix_url):
        info = ask(url, "CLIENT", "INFO")
        assert isinstance(info, bytes)
        assert b"name=test-name" in info
        assert b"resp=3" in info or module_server.kind == "redis"


def test_tcp_connection_to_a_server_that_vanished_ends_within_seconds(module_server: RealServer) -> None:
    """A connection that only listens asks by itself whether the other side is still there, soon and often."""
    wire = connect(parse_url(f"redis://127.0.0.1:{module_server.port}"), 2.0)
    try:
        end = wire._sock
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found = [end.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names if hasattr(socket, name)]
        if len(found) == len(names):
            idle_s, every_s, probes, unanswered_ms = found
            assert idle_s + every_s * probes <= 10
            assert 0 < unanswered_ms <= 10_000
    finally:
        wire.close()


def test_database_of_the_url_is_selected(module_server: RealServer) -> None:
    """A switch in database 3 is not the one in database 0."""
    ask(module_server.unix_url.replace("db=0", "db=3"), "SET", "killswitch:state", "three")
    assert ask(f"redis://127.0.0.1:{module_server.port}/3", "GET", "killswitch:state") == b"three"
    assert ask(module_server.unix_url, "EXISTS", "killswitch:state") == 0


def test_database_that_does_not_exist_is_refused(module_server: RealServer) -> None:
    """A wrong number is told by the server, not met later."""
    with pytest.raises(StoreRefused, match="out of range"):
        ask(module_server.unix_url.replace("db=0", "db=9999"), "PING")


def test_password_is_sent_and_a_wrong_one_is_refused(make_server: MakeServer) -> None:
    """Denied credentials have a code of their own and are in no text."""
    server = make_server(requirepass=PASSWORD)
    assert ask(f"unix://:{ESCAPED}@{server.socket_path}", "PING") == b"PONG"
    assert ask(f"redis://default:{ESCAPED}@127.0.0.1:{server.port}", "PING") == b"PONG"
    for url in (
        server.unix_url,
        f"unix://:hunter2@{server.socket_path}",
        f"unix://nobody:hunter2@{server.socket_path}",
    ):
        with pytest.raises(StoreRefused) as caught:
            ask(url, "PING")
        assert caught.value.code is Code.REDIS_DENIED
        assert "hunter2" not in str(caught.value)


def test_user_of_the_url_is_the_one_that_acts(module_server: RealServer) -> None:
    """The rights are those of the named user."""
    module_server.cli("ACL", "SETUSER", "reader", "reset", "on", f">{PASSWORD}", "+get", "~*")
    url = f"unix://reader:{ESCAPED}@{module_server.socket_path}"
    assert ask(url, "GET", "killswitch:none") is None
    with pytest.raises(StoreRefused) as caught:
        ask(url, "SET", "x", "y")
    assert caught.value.code is Code.REDIS_DENIED


def test_place_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    """Each kind of nobody is one error that names the place and no credentials."""
    port = free_port()
    for url in (
        f"redis://u:hunter2@127.0.0.1:{port}",
        f"unix://u:hunter2@{tmp_path}/none",
        "redis://u:hunter2@nobody.invalid",
        "redis://u:hunter2@a..b",
        f"redis://u:hunter2@{'x' * 70}.example",
        f"unix:///{'x' * 200}",
        "unix:///a%00b",
    ):
        error = unreachable(url)
        assert error.code is Code.UNREACHABLE
        assert "hunter2" not in str(error)
        assert "hunter2" not in repr(error)


def test_listener_that_never_answers_is_given_up_in_time() -> None:
    """A connection that stands is no proof of life."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = unreachable(f"redis://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.1)
    assert error.code is Code.NO_ANSWER


def test_full_backlog_is_given_up_in_time() -> None:
    """A host that does not even accept is unreachable within the limit."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for end in waiting:
            end.setblocking(False)
            end.connect_ex(address)
        error = unreachable(f"redis://127.0.0.1:{address[1]}", timeout_s=0.1)
        for end in waiting:
            end.close()
    assert error.code in (Code.UNREACHABLE, Code.NO_ANSWER)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", Code.BAD_ANSWER), (b"", Code.DISCONNECTED), (b"+O", Code.DISCONNECTED)],
)
def test_something_else_at_the_address_is_told_as_that(answer: bytes, code: Code) -> None:
    """A web server, and one that hangs up."""
    with ScriptedServer([answer]) as server:
        assert unreachable(f"redis://127.0.0.1:{server.port}", timeout_s=2.0).code is code


def test_server_without_resp3_is_refused() -> None:
    """An old server is told by its own words."""
    with ScriptedServer([b"-ERR unknown command 'HELLO'\r\n"]) as server, pytest.raises(StoreRefused, match="HELLO"):
        connect(parse_url(f"redis://127.0.0.1:{server.port}"), 2.0)


def test_broken_handshake_closes_the_socket() -> None:
    """No descriptor stays behind: warnings are errors here."""
    with ScriptedServer([HELLO, b"-ERR no such db\r\n"]) as server, pytest.raises(StoreRefused, match="no such db"):
        connect(parse_url(f"redis://127.0.0.1:{server.port}/7"), 2.0)
    assert server.commands[0][:2] == [b"HELLO", b"3"]


def test_tls_against_a_plain_server_is_unreachable(module_server: RealServer) -> None:
    """A server that does not speak TLS is one clear error."""
    error = unreachable(f"rediss://127.0.0.1:{module_server.port}", timeout_s=0.3)
    assert error.code is Code.UNREACHABLE
    assert str(module_server.port) in str(error)


# -- sentinels ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sentinel(children: Children, module_server: RealServer, tmp_path: Path) -> int:
    """The port of a real sentinel that watches the module's server under the name `desk`."""
    program = binary("valkey") or binary("redis")
    assert program is not None
    port = free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
        f"sentinel monitor desk 127.0.0.1 {module_server.port} 1\nsentinel down-after-milliseconds desk 60000\n"
    )
    command = [*local.leash(), str(program.path), str(config), "--sentinel"]
    source = f"import os; os.execv({command[0]!r}, {command!r})"
    children.python("-c", source)
    eventually(lambda: listening(port), why="the sentinel listens")
    return port


def listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as end:
        return end.connect_ex(("127.0.0.1", port)) == 0


def test_sentinels_name_the_master_and_dead_ones_are_passed_by(sentinel: int, module_server: RealServer) -> None:
    """The first sentinel that knows the master is believed; database and name are those of the URL."""
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel}/desk/3"
    assert ask(url, "CONFIG", "GET", "port") == {b"port": str(module_server.port).encode()}


def test_master_that_no_sentinel_knows_is_unreachable(sentinel: int) -> None:
    """Every sentinel's answer is in the error."""
    error = unreachable(f"redis+sentinel://127.0.0.1:{sentinel},127.0.0.1:{free_port()}/other", timeout_s=10.0)
    assert error.code is Code.UNREACHABLE
    assert "knows no master 'other'" in str(error)
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize(
    "answer",
    [b"*-1\r\n", b"_\r\n", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n$1\r\nh\r\n$3\r\nx:y\r\n", b"*1\r\n$1\r\nh\r\n", b"+OK\r\n",
     b"-NOAUTH Authentication required.\r\n"],
)  # fmt: skip
def test_sentinel_that_answers_nonsense_is_passed_by(answer: bytes) -> None:
    """Nonsense is no address."""
    with ScriptedServer([answer]) as server:
        error = unreachable(f"redis+sentinel://127.0.0.1:{server.port}/desk", timeout_s=2.0)
    assert error.code is Code.UNREACHABLE


def test_answer_to_a_question_that_was_cut_short_is_nobody_elses(
    module_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while it waits ends the wire: what comes late is not taken for the next answer."""
    wire = connect(parse_url(module_server.unix_url), 5.0)

    def interrupted(_limit_s: float) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(wire, "_receive_within", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wire.call("ECHO", "first")
    with pytest.raises(StoreUnavailable, match="is broken"):
        wire.call("ECHO", "second")
    wire.close()
