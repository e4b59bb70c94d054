"""A launch where nobody may do everything: the launcher launches, a worker works, the user `default` is off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from killswitch import ROLES, AclUser, Controller, Settings
from tests.fleet.world import Worker, start_server
from tests.support.launching import launched
from tests.support.processes import ROOT, Children
from tests.support.roles import SECRET_HASH
from tests.support.server import RealServer
from tests.support.shell import Shell

pytestmark = [pytest.mark.fleet, pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture
def servers() -> Iterator[tuple[RealServer, RealServer]]:
    """The switch's, with a user for each role and nobody else, and the queue's."""
    switch, queue = start_server(appendonly=True), start_server()
    admin = switch.client()
    admin.execute_command("ACL", "SETUSER", "root", "on", ">root", "~*", "&*", "+@all")
    for name, role in ROLES.items():
        made = AclUser(role, f"killswitch-{name}", "killswitch", password_hash=SECRET_HASH)
        admin.execute_command(*made.command.split())
    admin.execute_command("ACL", "SETUSER", "default", "off")
    yield switch, queue
    switch.stop()
    queue.stop()


def url(server: RealServer, user: str, password: str = "secret") -> str:
    """The switch as this user sees it."""
    return server.unix_url.replace("unix://", f"unix://{user}:{password}@")


def test_a_fleet_is_launched_and_taken_down_under_roles_alone(
    servers: tuple[RealServer, RealServer],
    children: Children,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Preflight sees what each role may see, the rehearsal keeps to its prefix, and the fleet trades."""
    switch, queue = servers
    monkeypatch.setenv("WORKERS_QUEUE_URL", queue.unix_url)
    shell = Shell(url(switch, "killswitch-launcher"), tmp_path, monkeypatch, capsys)
    worker = Worker(
        children.worker(
            env={
                "KILLSWITCH_REDIS_URL": url(switch, "killswitch-worker"),
                "WORKERS_QUEUE_URL": queue.unix_url,
                "WORKERS_POLL_MS": "20",
            },
        )
    )
    worker.saw("worker_started")
    fleet = str(tmp_path / "fleet.toml")
    example = (ROOT / "examples" / "fleet.toml").read_text()
    Path(fleet).write_text(example.replace("seconds = 1.5", "seconds = 1"))
    done = launched(shell, "launch", fleet, "--permit", "--actor", "alice", "--reason", "go live")
    found = {one["name"]: one for one in done.json["phases"][0]["found"]["findings"]}
    assert [found[name]["verdict"] for name in ("library", "writes", "tracking", "clock")] == ["skip", "ok", "ok", "ok"]
    assert "could not look" in found["acl"]["found"]
    assert [engine["state"] for engine in done.json["engines"]] == ["running"]
    assert shell.run("down").code == 0

    root = switch.client(username="root", password="root")
    left = [key for key in root.scan_iter() if b"rehearsal" in key or b"preflight" in key]
    assert all(b":op:" in key and root.ttl(key) > 0 for key in left), left
    assert Controller(Settings(redis_url=url(switch, "root", "root"))).status().switch.actor == "alice"

    seen = shell.run("preflight", "--output", "json", redis_url=url(switch, "killswitch-worker")).json
    verdicts = {one["name"]: one["verdict"] for one in seen["findings"]}
    assert [verdicts[name] for name in ("library", "tracking", "clock", "versions")] == ["ok"] * 4
    whole = shell.run("preflight", "--only", "acl", "--output", "json", redis_url=url(switch, "root", "root")).json
    (acl,) = whole["findings"]
    assert acl["verdict"] == "warn"
    assert all(f"killswitch-{role} ({role})" in acl["found"] for role in ROLES)
    assert "this user, root, has no role and may write SAFE" in acl["found"]
    root.execute_command("ACL", "SETUSER", "killswitch-worker", "(+set ~killswitch:state)")
    (acl,) = shell.run("preflight", "--only", "acl", "--output", "json", redis_url=url(switch, "root", "root")).json[
        "findings"
    ]
    assert (acl["verdict"], "killswitch-worker is not its role: has (+set ~killswitch:state)" in acl["found"]) == (
        "fail",
        True,
    )
