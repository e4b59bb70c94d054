"""Servers on hosts of the lab: a Redis, its replicas, and sentinels that watch them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from killswitch import local
from tests.faults.net.lab import Host
from tests.support.resp import RawLine
from tests.support.server import RealServer
from tests.support.waiting import eventually

__all__ = ["MASTER", "PORT", "SENTINEL_PORT", "HostServer", "Sentinel"]

PORT = 6379
SENTINEL_PORT = 26379
MASTER = "desk"
"""The name under which the sentinels know the switch's master."""


class _Program(local.LocalServer):
    """A server process that starts on a host; the test reaches it over its unix socket, whatever the network does."""

    def __init__(self, host: Host, program: local.ServerBinary, directory: Path, options: dict[str, str]) -> None:
        super().__init__(program, directory=directory, port=PORT, options=options)
        self._host = host

    def _command(self) -> list[str]:
        return [*self._host.within, *super()._command()]


class HostServer(RealServer):
    """A Redis on `host`, reachable by everybody on the network."""

    def __init__(
        self, host: Host, program: local.ServerBinary, *, of: HostServer | None = None, **options: str
    ) -> None:
        self.host = host
        given = {"bind": "0.0.0.0", "protected-mode": "no", "repl-diskless-sync-delay": "0", "repl-timeout": "60"}
        given |= {name.replace("_", "-"): value for name, value in options.items()}
        if of is not None:
            given["replicaof"] = f"{of.host.address} {PORT}"
        super().__init__(program, options=given)
        self._port = PORT

    @property
    def url(self) -> str:
        """For processes on hosts of the lab."""
        return f"redis://{self.host.address}:{PORT}/0"

    def info(self, name: str) -> str:
        """One field of INFO replication."""
        fields = dict(line.partition(":")[::2] for line in self.cli("INFO", "replication").splitlines())
        return fields.get(name, "").strip()

    def follows(self, master: HostServer) -> None:
        """Waits until it is a replica of `master` with a link that is up."""
        eventually(
            lambda: self.info("master_link_status") == "up" and self.info("master_host") == master.host.address,
            timeout_s=20.0,
            why=f"{self.host.name} follows {master.host.name}",
        )

    def _make(self) -> local.LocalServer:
        return _Program(self.host, self.binary, self._directory, self._options)


class Sentinel:
    """A sentinel on `host`. It counts a master down after `down_ms`; its other clocks are set fast as well, where the
    server lets them be set, so that a test need not wait for clocks made for data centres."""

    def __init__(
        self,
        host: Host,
        program: local.ServerBinary,
        master: HostServer,
        quorum: int,
        down_ms: int = 1000,
        more: Sequence[str] = (),
    ) -> None:
        self.host = host
        self._directory = Path(tempfile.mkdtemp(prefix="kss-"))
        self._socket = self._directory / "s"
        self._config = self._directory / "sentinel.conf"
        self._log = self._directory / "log"
        self._command = [*host.within, *local.leash(), str(program.path), str(self._config), "--sentinel"]
        lines = [
            f"port {SENTINEL_PORT}",
            "protected-mode no",
            f"dir {self._directory}",
            f"unixsocket {self._socket}",
            f"sentinel monitor {MASTER} {master.host.address} {PORT} {quorum}",
            f"sentinel down-after-milliseconds {MASTER} {down_ms}",
            f"sentinel failover-timeout {MASTER} 4000",
            *more,
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        """Process id; 0 when it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Starts it, or starts it again with what it knew."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._answers, timeout_s=10.0, why=f"the sentinel on {self.host.name} answers")

    def _answers(self) -> bool:
        assert self.pid, self._log.read_text(errors="replace")
        with socket.socket(socket.AF_UNIX) as end:
            return end.connect_ex(str(self._socket)) == 0

    def call(self, *words: str | int) -> Any:
        """The reply to one command."""
        with RawLine(self._socket) as line:
            return line.call(*words)

    def hurry(self) -> None:
        """Sets the clocks that only a debugging command sets; a sentinel that does not know it keeps its own."""
        self.call("SENTINEL", "DEBUG", "INFO-PERIOD", 500, "PING-PERIOD", 200, "PUBLISH-PERIOD", 250, "ASK-PERIOD", 200)

    def master(self) -> str:
        """The address it names; empty where it knows none."""
        found = self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return str(found[0]) if found else ""

    def sees(self, replicas: int, sentinels: int) -> bool:
        """Whether it has found that many replicas and other sentinels."""
        found = self.call("SENTINEL", "MASTER", MASTER)
        details = dict(zip(found[::2], found[1::2], strict=True))
        return int(details["num-slaves"]) >= replicas and int(details["num-other-sentinels"]) >= sentinels

    def kill(self) -> None:
        """Ends it at once; `start` brings it back."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ends it for good."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
