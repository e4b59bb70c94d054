"""Starting, losing and stopping a local server, and the control that tests have over one."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
import redis

from killswitch import clock, local
from tests.conftest import MakeServer
from tests.support.processes import Children
from tests.support.resp import RawLine, ReplyError
from tests.support.server import RealServer, binary
from tests.support.tls import free_port
from tests.support.waiting import eventually


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def _program(kind: str) -> local.ServerBinary:
    found = binary(kind)
    assert found is not None
    return found


def test_a_started_server_answers_on_loopback_and_on_its_socket_and_leaves_nothing(server_kind: str) -> None:
    """What `start` returns is ready at both addresses; what `stop` leaves is neither a process nor a file."""
    with local.LocalServer(_program(server_kind)) as server:
        pid, folder = server.pid, server.directory
        for url in (server.url, server.unix_url):
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        assert server.start() is server
        assert server.pid == pid
    assert _gone(pid)
    assert not folder.exists()
    assert server.pid == 0
    server.stop()


def test_a_server_that_cannot_start_reports_its_own_log(server_kind: str) -> None:
    """The error carries what the server said, so that nobody has to look for a log file."""
    server = local.LocalServer(_program(server_kind), options={"maxmemory": "nonsense"})
    with pytest.raises(local.LocalServerFailed, match="maxmemory"):
        server.start()
    assert not server.directory.exists()


def test_a_server_that_was_killed_names_the_signal(children: Children) -> None:
    """Whoever tries things out learns what ended the server, although it could not say so itself."""
    child = children.python("-m", "ops.cli", "server", "--port", str(free_port()))
    child.wait_for("answers at")
    pid = child.process.pid
    (server,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(server), signal.SIGKILL)
    assert child.wait(20) == 69
    assert " ".join(child.output.split()).endswith("it was killed by SIGKILL")


def test_a_server_that_never_gets_ready_is_given_up_within_the_bound(tmp_path: Path) -> None:
    """A program that neither answers nor ends does not hang its caller."""
    mute = tmp_path / "redis-server"
    mute.write_text("#!/bin/sh\nexec sleep 30\n")
    mute.chmod(0o755)
    server = local.LocalServer(local.ServerBinary(mute, "redis", (7, 0, 0), "test"), timeout_s=0.1)
    with pytest.raises(local.LocalServerFailed, match=r"not ready after 0\.1 s"):
        server.start()
    assert server.pid == 0


def test_a_taken_fixed_port_is_an_error_and_the_holder_is_left_alone(real_server: RealServer) -> None:
    """A port that was asked for is never exchanged for another, and its holder goes on."""
    second = local.LocalServer(real_server.binary, port=real_server.port)
    with pytest.raises(local.LocalServerFailed, match="in use"):
        second.start()
    assert real_server.cli("PING") == "PONG"


def test_a_port_lost_to_somebody_else_is_replaced(real_server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losing the race for a free port costs another attempt, not the start."""
    free = local._free_port()
    offers = iter([real_server.port, free])
    monkeypatch.setattr(local, "_free_port", lambda: next(offers))
    with local.LocalServer(real_server.binary) as server:
        assert server.port == free


def test_a_frozen_server_is_stopped_all_the_same(server_kind: str) -> None:
    """`stop` is bounded: a server that does not heed SIGTERM is killed."""
    server = local.LocalServer(_program(server_kind)).start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    server.stop(timeout_s=0.05)
    assert _gone(pid)


def test_a_forked_child_that_exits_leaves_its_parents_server_alone(real_server: RealServer) -> None:
    """The object is copied by a fork; the server is not the copy's to stop."""
    child = os.fork()
    if child == 0:
        real_server._server.stop()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert real_server.cli("PING") == "PONG"


@pytest.mark.skipif(not local.leash(), reason="this system cannot tie a child to its parent")
def test_a_server_dies_with_a_parent_that_was_killed(server_kind: str, children: Children) -> None:
    """No orphan is left behind when the process that started the server gets SIGKILL."""
    code = (
        "import sys, time; from pathlib import Path; from killswitch import local\n"
        "binary = local.probe(Path(sys.argv[1]), 'test')\n"
        "print('pid', local.LocalServer(binary, directory=Path(sys.argv[2])).start().pid, flush=True); time.sleep(60)"
    )
    with tempfile.TemporaryDirectory(prefix="kst-") as folder:
        child = children.python("-c", code, str(_program(server_kind).path), folder)
        pid = int(child.wait_for("pid ").split()[1])
        child.send(signal.SIGKILL)
        eventually(lambda: _gone(pid), why="the server ends with its parent")


def test_a_given_url_is_used_as_it_is_and_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entry of the lookup order: somebody else's server is only named, never touched."""
    monkeypatch.setattr(local, "find", lambda: pytest.fail("looked for a server although one was given"))
    with local.endpoint("redis://somewhere:6379/3") as there:
        assert there == local.Endpoint("redis://somewhere:6379/3", "given URL", started=False)


def test_without_a_url_a_server_runs_for_the_length_of_the_block(server_kind: str) -> None:
    """`endpoint` starts what `find` found and stops it at the end of the block."""
    with local.endpoint(options={"databases": "3"}) as there, redis.Redis.from_url(there.url) as client:
        assert there.started
        assert client.config_get("databases") == {"databases": "3"}
        port = client.connection_pool.connection_kwargs["port"]
    with pytest.raises(ConnectionRefusedError):
        RawLine(port)


class TestControl:
    """The fixture itself: a fault that does not happen would make every test that uses it worthless."""

    def test_cli_prints_replies_and_errors(self, real_server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The bare line prints what redis-cli prints, so tests need no redis-cli."""
        commands = (("SET", "k", "a b"), ("GET", "k"), ("GET", "none"), ("MGET", "k", "k"), ("INCR", "n"), ("NOPE",))
        by_cli = [real_server.cli(*words) for words in commands]
        monkeypatch.setattr("tests.support.server.REDIS_CLI", None)
        by_line = [real_server.cli(*words) for words in commands]
        assert by_line[:4] == by_cli[:4] == ["OK", "a b", "", "a b\na b"]
        assert by_line[4] == "2"
        assert by_line[5] == by_cli[5]
        assert by_line[5].startswith("ERR unknown command")

    def test_raw_set_returns_the_time_of_the_ok(self, real_server: RealServer) -> None:
        """The noted time lies between the call and its return, and the value is there."""
        before_ns = clock.now_ns()
        at_ns = real_server.raw_set("k", "v")
        assert before_ns < at_ns <= clock.now_ns()
        assert real_server.client().get("k") == b"v"

    def test_raw_set_raises_when_the_server_refuses(self, real_server: RealServer) -> None:
        """A refused SET is never taken for an acknowledged one."""
        real_server.config_set("min-replicas-to-write", "1")
        with pytest.raises(ReplyError, match="NOREPLICAS"):
            real_server.raw_set("k", "v")

    def test_a_frozen_server_is_silent_until_it_goes_on(self, real_server: RealServer) -> None:
        """SIGSTOP leaves the line up and the answer out."""
        with RawLine(real_server.port, timeout_s=0.05) as line:
            real_server.sigstop()
            with pytest.raises(TimeoutError):
                line.call("PING")
            real_server.sigcont()
        assert real_server.cli("PING") == "PONG"

    def test_a_durable_server_keeps_its_data_over_kill_and_restart(self, durable_server: RealServer) -> None:
        """Every acknowledged write is on disk, the port stays the same, and the process is another one."""
        durable_server.raw_set("k", "v")
        pid, port = durable_server.pid, durable_server.port
        durable_server.kill9()
        assert durable_server.pid == 0
        durable_server.restart()
        assert durable_server.cli("GET", "k") == "v"
        assert (durable_server.pid != pid, durable_server.port) == (True, port)
        durable_server.restart(wipe=True)
        assert durable_server.cli("GET", "k") == ""

    def test_options_reach_the_server(self, make_server: MakeServer) -> None:
        """Keyword arguments are server options with underscores for dashes."""
        assert "3mb" not in make_server(maxmemory="3mb").cli("CONFIG", "GET", "maxmemory")
        assert "3145728" in make_server(maxmemory="3mb").cli("CONFIG", "GET", "maxmemory")

    def test_a_child_that_ends_early_is_reported_with_its_output(self, children: Children) -> None:
        """A child that died says why, instead of a bare time-out."""
        child = children.python("-c", "import sys; sys.exit('no luck')")
        with pytest.raises(AssertionError, match="no luck"):
            child.wait_for("never")
        assert child.wait() == 1
