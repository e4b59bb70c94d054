"""Hosts on a network of their own, for the life of one test module: network namespaces, joined by one bridge.

Each namespace is held by a process that sleeps on a leash (`local.leash`): whatever ends the test run, SIGKILL too,
ends these processes, and with them go namespaces, bridge, filters and routes. Nothing has a name outside, so nothing
can be left behind or collide. The machine's own network is never touched: even the bridge has a namespace of its own.
Where the tests do not run as root, a user namespace gives the rights for it.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from killswitch import local
from tests.support.processes import ROOT
from tests.support.waiting import eventually

__all__ = ["Host", "Lab", "why_impossible"]

_TOOLS = ("unshare", "nsenter", "ip", "nft", "tc")
_NETWORK = ipaddress.ip_network("10.77.0.0/24")
_CHAIN = (
    "add table inet fault",
    "add chain inet fault arriving { type filter hook input priority 0 ; }",
    "flush chain inet fault arriving",
)
_PATH = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def _tool(name: str) -> str:
    return shutil.which(name, path=_PATH["PATH"]) or name


def _is_root() -> bool:
    return os.geteuid() == 0


def _namespace() -> tuple[str, ...]:
    """Command prefix: a network namespace of its own."""
    rights = () if _is_root() else ("--user", "--map-root-user")
    return (_tool("unshare"), *rights, "--net")


def _inside(pid: int) -> tuple[str, ...]:
    """Command prefix: the network namespace of process `pid`."""
    rights = () if _is_root() else ("--user", "--preserve-credentials")
    return (_tool("nsenter"), "--target", str(pid), *rights, "--net")


def _run(words: Sequence[str], given: str = "") -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=10, env=_PATH)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
    return done.stdout


@functools.cache
def why_impossible() -> str:
    """Why there can be no such network on this machine; empty where there can."""
    if missing := [name for name in _TOOLS if shutil.which(name, path=_PATH["PATH"]) is None]:
        return f"not installed: {', '.join(missing)}"
    if not local.leash():
        return "setpriv (util-linux) is not installed"
    try:
        with Lab("one", "two") as lab:
            lab["one"].filters("loss", "ip saddr 10.77.0.99 numgen random mod 100 < 20 drop")
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        return f"this machine allows no network namespaces: {error}"
    return ""


class _Sleeper:
    """A process that does nothing but hold a namespace."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*prefix, *local.leash(), _tool("sleep"), "infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_PATH,
        )
        self.pid = self._process.pid
        try:
            eventually(self._sleeps, why="the namespace is made")
        except BaseException:
            self.end()
            raise

    def _sleeps(self) -> bool:
        if self._process.poll() is not None:
            assert self._process.stderr is not None
            raise OSError(self._process.stderr.read().decode(errors="replace").strip())
        return Path(f"/proc/{self.pid}/comm").read_text().strip() == "sleep"

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


class Host:
    """One host: an address on the common network. `port` is where its line enters the hub."""

    def __init__(self, name: str, address: str, pid: int, port: str) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.within = _inside(pid)
        self._rules: dict[str, tuple[str, ...]] = {}

    def run(self, *words: str, given: str = "") -> str:
        """What a command prints on this host; an AssertionError where it fails."""
        return _run([*self.within, *words], given)

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A process on this host, ended with the test run; its streams are pipes."""
        return subprocess.Popen(
            [*self.within, *local.leash(), *words],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def filters(self, name: str, *rules: str) -> None:
        """From now on packets that arrive here meet `rules` (statements of nft), beside those of other names; without
        any, those of this name are lifted."""
        self._rules[name] = rules
        lines = [*_CHAIN, *(f"add rule inet fault arriving {rule}" for some in self._rules.values() for rule in some)]
        self.run(_tool("nft"), "-f", "-", given="\n".join(lines) + "\n")

    def counted(self) -> int:
        """Bytes that the rules with a counter have seen since the filters were last set."""
        shown = self.run(_tool("nft"), "list", "chain", "inet", "fault", "arriving")
        return sum(map(int, re.findall(r"counter packets \d+ bytes (\d+)", shown)))

    def ip(self, *words: str) -> None:
        """`ip` on this host."""
        self.run(_tool("ip"), *words)


class Lab:
    """A network of hosts with the given names. Use it as a context manager, or call `close`."""

    def __init__(self, *names: str) -> None:
        self._sleepers = contextlib.ExitStack()
        try:
            enter = self._hub = _inside(self._sleeper(_namespace()).pid)
            self.hosts: dict[str, Host] = {}
            commands = ["link set lo up", "link add hub type bridge", "link set hub up"]
            for number, name in enumerate(names, 1):
                held = self._sleeper((*enter, _tool("unshare"), "--net"))
                self.hosts[name] = Host(name, str(_NETWORK[number]), held.pid, f"p{number}")
                commands += [
                    f"link add p{number} type veth peer name eth0 netns {held.pid}",
                    f"link set p{number} master hub up",
                ]
            _run([*enter, _tool("ip"), "-batch", "-"], "\n".join(commands) + "\n")
            for host in self.hosts.values():
                mine = ["link set lo up", f"addr add {host.address}/{_NETWORK.prefixlen} dev eth0", "link set eth0 up"]
                host.run(_tool("ip"), "-batch", "-", given="\n".join(mine) + "\n")
        except BaseException:
            self.close()
            raise

    def _sleeper(self, prefix: Sequence[str]) -> _Sleeper:
        made = _Sleeper(prefix)
        self._sleepers.callback(made.end)
        return made

    def slows(self, host: Host, rate: str = "") -> None:
        """Gives `host` a line of `rate` (as tc takes it) in both directions, or its full speed back."""
        shape = ("root", "tbf", "rate", rate, "burst", "1600", "latency", "5s") if rate else ("root",)
        verb = "replace" if rate else "del"
        host.run(_tool("tc"), "qdisc", verb, "dev", "eth0", *shape)
        _run([*self._hub, _tool("tc"), "qdisc", verb, "dev", host.port, *shape])

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it. Processes that were started on its hosts are their owners' to end first."""
        self._sleepers.close()
