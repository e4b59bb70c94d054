"""Preflight with a real replica and real sentinels, as they are and as they should not be."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import Controller, Preflight, Settings, local
from tests.fleet.world import start_server
from tests.support.waiting import eventually

_CHECKS = ("replicas", "stale-replicas", "sentinels")


class Watched:
    """A master, a replica of it, and three sentinels that watch both."""

    def __init__(self, folder: Path) -> None:
        self.master = start_server()
        self.replica = start_server(options={"replicaof": f"127.0.0.1 {self.master.port}"})
        self.ports = [local._free_port() for _ in range(3)]
        self.sentinels = [self._sentinel(folder, port) for port in self.ports]

    def _sentinel(self, folder: Path, port: int) -> subprocess.Popen[bytes]:
        file = folder / f"sentinel-{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {self.master.port} 2\nsentinel down-after-milliseconds main 60000\n"
        )
        command = [*local.leash(), str(self.master.binary.path), str(file), "--sentinel"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def settings(self) -> Settings:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return Settings(redis_url=f"redis+sentinel://{hosts}/main", timeout_ms=500)

    def look(self) -> dict[str, tuple[str, str]]:
        """Verdict and text of each check that is about replicas and sentinels."""
        found = Preflight(self.settings, only=_CHECKS).run().findings
        return {one.name: (str(one.verdict), one.found) for one in found}

    def stop(self) -> None:
        for process in self.sentinels:
            process.kill()
            process.wait()
        self.replica.stop()
        self.master.stop()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Ready: the replica follows, and the sentinels know each other."""
    made = Watched(tmp_path)
    try:

        def ready() -> bool:
            try:
                return "3 sentinels" in made.look()["sentinels"][1]
            except Exception:
                return False

        eventually(ready, timeout_s=30, why="the sentinels have found each other")
        yield made
    finally:
        made.stop()


def test_replicas_and_sentinels_are_judged_by_what_they_really_do(watched: Watched) -> None:
    """Whether a master that is cut off is bounded, whether the replica follows, whether a fail-over could be agreed."""

    def seen(name: str) -> tuple[str, str]:
        return watched.look()[name]

    assert seen("sentinels")[0] == "ok"
    assert seen("replicas")[0] == "fail"
    assert "without any bound" in seen("replicas")[1]
    for server in (watched.master, watched.replica):
        server.config_set("min-replicas-to-write", "1")
        server.config_set("min-replicas-max-lag", "10")
        server.config_set("replica-serve-stale-data", "no")
    eventually(lambda: seen("replicas")[0] == "ok", timeout_s=20, why=f"the replica follows: {seen('replicas')}")
    assert seen("replicas")[1].startswith("1 of 1 confirmed")
    assert seen("stale-replicas") == ("ok", "replica-serve-stale-data no")
    Controller(watched.settings).init()

    watched.replica.sigstop()
    try:
        assert seen("replicas")[0] == "fail"
        assert seen("replicas")[1].startswith("0 of 1 confirmed")
    finally:
        watched.replica.sigcont()

    for process in watched.sentinels[:2]:
        process.kill()
        process.wait()
    verdict, text = seen("sentinels")
    assert verdict in ("warn", "fail"), text
    assert f"127.0.0.1:{watched.ports[0]}" in text or "NOQUORUM" in text
