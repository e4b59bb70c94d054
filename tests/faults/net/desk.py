"""A switch with fail-over: three servers, three sentinels, workers and an operator, each on a host of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from killswitch import clock
from killswitch.local import ServerBinary
from tests.faults.net.lab import Host, Lab
from tests.faults.net.scene import TIMING, Scene
from tests.faults.net.servers import MASTER, PORT, SENTINEL_PORT, HostServer, Sentinel
from tests.faults.net.trader import HostTrader
from tests.faults.trader import PATIENCE_S
from tests.support.waiting import eventually

__all__ = ["HOSTS", "Desk", "Operator"]

SERVERS = ("n1", "n2", "n3")
SENTINELS = ("s1", "s2", "s3")
HOSTS = (*SERVERS, *SENTINELS, "w1", "w2", "w3", "op")


class Operator:
    """A person at a terminal on another host."""

    def __init__(self, host: Host, url: str, **changes: Any) -> None:
        self._process = host.start(
            sys.executable,
            "-m",
            "tests.faults.net.operator_program",
            json.dumps({"redis_url": url, "actor": "operator", **TIMING, **changes}),
            env={"KILLSWITCH_REDIS_URL": url, "KILLSWITCH_ACTOR": "operator"},
        )

    def do(self, what: str, **values: Any) -> dict[str, Any]:
        """One command and what came of it: its result or `error`, and `begun` and `done` on the common clock."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, **values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read() if self._process.stderr else ""
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout, self._process.stderr):
            if end is not None:
                end.close()


class Desk:
    """`n1` is the master at first; the sentinels are at their posts when the constructor returns."""

    def __init__(self, lab: Lab, program: ServerBinary, folder: Path, *, split_ms: int = 0, **options: str) -> None:
        self.lab = lab
        self.program = program
        self.scene = Scene(folder, split_ms=split_ms)
        self._ends = contextlib.ExitStack()
        self.servers: dict[str, HostServer] = {}
        self.sentinels: dict[str, Sentinel] = {}
        try:
            for name in SERVERS:
                server = HostServer(lab[name], program, of=self.servers.get("n1"), **options)
                self.servers[name] = server
                self._ends.callback(server.stop)
            for name in SERVERS[1:]:
                self.servers[name].follows(self.servers["n1"])
            for name in SENTINELS:
                sentinel = self.sentinels[name] = Sentinel(lab[name], program, self.servers["n1"], quorum=2)
                self._ends.callback(sentinel.stop)
                sentinel.hurry()
            self.operator = Operator(lab["op"], self.url)
            self._ends.callback(self.operator.close)
            self._ends.callback(self.scene.close)
            eventually(
                lambda: all(one.sees(2, 2) for one in self.sentinels.values()),
                timeout_s=PATIENCE_S,
                why="the sentinels know each other and the replicas",
            )
        except BaseException:
            self._ends.close()
            raise

    @property
    def url(self) -> str:
        """Where workers and operators look for the switch; the sentinel of the first master's site comes first."""
        places = ",".join(f"{self.lab[name].address}:{SENTINEL_PORT}" for name in SENTINELS)
        return f"redis+sentinel://{places}/{MASTER}"

    def trader(self, host: str, name: str = "", **changes: Any) -> HostTrader:
        """A trading process on `host`."""
        return self.scene.trader(self.lab[host], self.url, name or host, **changes)

    def close(self) -> None:
        """Ends everything on its hosts."""
        self._ends.close()

    # -- the switch ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Initialises and permits at the first master, and waits until everybody trades."""
        assert "error" not in self.operator.do("init")
        self.reset("n1")
        for trader in self.scene.traders.values():
            trader.passes_again()

    def reset(self, server: str, epoch: int | None = None) -> dict[str, Any]:
        """Permits trading; the operator reaches `server`. Repeated where the epoch moved after the look: beats record
        what they find."""
        found: dict[str, Any] = {}

        def permitted() -> bool:
            found.update({"error": ""}, **self.operator.do("reset", epoch=epoch))
            return not found["error"] or (epoch is not None and found["error"] == "EpochConflict")

        eventually(permitted, timeout_s=PATIENCE_S, why=f"permitted at {server} ({found})")
        if not found["error"]:
            self.scene.state(server, "SAFE", "reset", found["begun"], found["done"], found["epoch"])
        return found

    def engage(self, server: str, **values: Any) -> dict[str, Any]:
        """Engages; the operator reaches `server`."""
        found = self.operator.do("engage", reason="a fault", **values)
        assert "error" not in found, found
        self.scene.state(server, "ENGAGED", "engage", found["begun"], found["done"], found["epoch"])
        return found

    # -- the network ---------------------------------------------------------------------------------------------

    def split(self, one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
        """Cuts the hosts `one` off from the hosts `other`; a moment before, and one by which it was complete."""
        before = clock.now_ns()
        for here, there in ((one, other), (other, one)):
            away = ", ".join(self.lab[name].address for name in there)
            for name in here:
                self.lab[name].filters("split", f"ip saddr {{ {away} }} drop")
        self.scene.fault("split", "begin", " ".join(one), before)
        return before, clock.now_ns()

    def heal(self) -> int:
        """One network again; when it was."""
        for host in self.lab.hosts.values():
            host.filters("split")
        done = clock.now_ns()
        self.scene.fault("split", "end", "", done)
        return done

    # -- fail-over -----------------------------------------------------------------------------------------------

    def kill(self, server: str, *, host_too: bool = False) -> int:
        """Ends a server at once; when it was surely dead. A host that lives on delivers what the server had written;
        with `host_too` it is off the network before."""
        if host_too:
            self.lab[server].ip("link", "set", "eth0", "down")
        self.servers[server].kill9()
        done = clock.now_ns()
        self.scene.history.add("lost", done, server=server, why="killed")
        return done

    def elected(self, *, by: Sequence[str] = SENTINELS, instead_of: str = "n1") -> str:
        """Waits until the sentinels `by` name another server than `instead_of`, which is one; its name."""
        old = self.lab[instead_of].address

        def agreed() -> str:
            named = {self.sentinels[name].master() for name in by}
            return named.pop() if len(named) == 1 and old not in named else ""

        address = eventually(agreed, timeout_s=PATIENCE_S, why="another master is elected")
        return next(name for name in SERVERS if self.lab[name].address == address)

    def never(self, server: str) -> None:
        """Has the sentinels never elect `server`; returns once all of them know."""
        self.servers[server].config_set("replica-priority", "0")
        mine = f"{self.lab[server].address}:{PORT}"

        def known(sentinel: Sentinel) -> bool:
            found = [
                dict(zip(one[::2], one[1::2], strict=True)) for one in sentinel.call("SENTINEL", "REPLICAS", MASTER)
            ]
            return any(one["name"] == mine and one["slave-priority"] == "0" for one in found)

        everybody = self.sentinels.values()
        eventually(lambda: all(map(known, everybody)), timeout_s=PATIENCE_S, why=f"{server} is known to stand back")

    def is_master(self, server: str) -> bool:
        """By its own word."""
        return self.servers[server].info("role") == "master"

    def reads(self, trader: HostTrader, since: int, *codes: str) -> int:
        """When a worker first said, after `since`, that it is closed with one of `codes`."""

        def said() -> int:
            return next((e["t"] for e in trader.events("view") if e["t"] > since and e["code"] in codes), 0)

        return int(eventually(said, timeout_s=PATIENCE_S, why=f"{trader.worker_id} says one of {codes}"))

    def shell(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`killswitch WORDS...` on the operator's host."""
        environment = {"KILLSWITCH_REDIS_URL": self.url, "KILLSWITCH_ACTOR": "operator", **variables}
        command = [*self.lab["op"].within, sys.executable, "-m", "ops.cli", *words]
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
        )
