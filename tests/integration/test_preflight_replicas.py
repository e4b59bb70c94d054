"""Preflight with a real replica and real sentinels, as they are and as they should not be."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import Controller, KillSwitchError, Preflight, Settings, local
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
        return Settings(redis_url=f"redis+sentinel://{hosts}/main", timeout_ms=5000)

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


def judged(watched: Watched, name: str, verdicts: tuple[str, ...], words: str) -> str:
    """Waits until one and the same look judges `name` so and says these words; its text."""
    last: list[object] = []

    def found() -> str | None:
        try:
            verdict, text = watched.look()[name]
        except KillSwitchError as error:
            last[:] = [error]
            return None
        last[:] = [verdict, text]
        return text if verdict in verdicts and words in text else None

    text = eventually(found, timeout_s=30, why=f"{name} is {' or '.join(verdicts)}: {words!r}")
    assert text, last
    return text


def test_replicas_and_sentinels_are_judged_by_what_they_really_do(watched: Watched) -> None:
    """Whether a master that is cut off is bounded, whether the replica follows, whether a fail-over could be agreed."""
    judged(watched, "sentinels", ("ok",), "")
    judged(watched, "replicas", ("fail",), "without any bound")
    for server in (watched.master, watched.replica):
        server.config_set("min-replicas-to-write", "1")
        server.config_set("min-replicas-max-lag", "10")
        server.config_set("replica-serve-stale-data", "no")
    judged(watched, "replicas", ("ok",), "1 of 1 confirmed")
    assert judged(watched, "stale-replicas", ("ok",), "") == "replica-serve-stale-data no"
    Controller(watched.settings).init()

    watched.replica.sigstop()
    try:
        judged(watched, "replicas", ("fail",), "0 of 1 confirmed")
    finally:
        watched.replica.sigcont()

    for process in watched.sentinels[:2]:
        process.kill()
        process.wait()
    text = judged(watched, "sentinels", ("warn", "fail"), "")
    assert f"127.0.0.1:{watched.ports[0]}" in text or "NOQUORUM" in text
