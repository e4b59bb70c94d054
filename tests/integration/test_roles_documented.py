"""The way to the first users, as docs/security.md and the printed advice have it, and nobody locked out at its end."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeServer
from tests.support.preflight import say, with_part
from tests.support.processes import ROOT
from tests.support.server import REDIS_CLI
from tests.support.shell import Shell

BLOCK = r"<!-- first-users -->\n(.*?)<!-- /first-users -->"


def test_the_documented_way_ends_with_an_administrator_and_without_default(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """Typed line by line, the page turns `default` off for good and leaves somebody who can turn it on again."""
    if REDIS_CLI is None:
        if os.environ.get("CI"):
            pytest.fail("redis-cli is not on PATH")
        pytest.skip("redis-cli is not on PATH")
    users = tmp_path / "users.acl"
    users.touch()
    server = make_server(aclfile=str(users))
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    found = re.search(BLOCK, page, re.S)
    assert found is not None
    client = f'redis-cli() {{ {shlex.quote(REDIS_CLI)} -s {shlex.quote(str(server.socket_path))} "$@"; }}'
    tool = f'killswitch() {{ {shlex.quote(sys.executable)} -m ops.cli "$@" 2>/dev/null; }}'
    lines = [line.strip() for line in found[1].splitlines()]
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -e", client, tool, *lines])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert done.stdout.split() == ["OK", "admin", "OK", "OK", "OK", "OK", "OK"], done
    saved = users.read_text()
    assert re.search(r"^user default off ", saved, re.M)
    assert "user alice on" in saved
    assert "NOAUTH" in server.cli("PING")
    password = (tmp_path / "admin.pw").read_text()
    admin = ("--user", "admin", "--pass", password, "--no-auth-warning")
    assert server.cli(*admin, "ACL", "SETUSER", "default", "on") == "OK"


def test_printed_advice_makes_an_administrator_before_default_is_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither `acl` nor `preflight` advises to turn `default` off before somebody else may change users."""
    shell = Shell("redis://127.0.0.1:1/0", tmp_path, monkeypatch, capsys)
    printed = " ".join(shell.run("acl").err.replace("#", " ").split())
    remedy = say("exposure", with_part("rights", default=("on", "nopass"))).remedy
    for text in (printed, remedy):
        assert 0 <= text.find("ACL SETUSER admin") < text.find("ACL SETUSER default off"), text
        assert "save again" in text


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_password_that_others_may_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: int, warned: bool
) -> None:
    """The rule is printed all the same, with a warning that names the file, its mode and the remedy."""
    shell = Shell("redis://127.0.0.1:1/0", tmp_path, monkeypatch, capsys)
    (tmp_path / "pw").write_text("x\n")
    (tmp_path / "pw").chmod(mode)
    done = shell.run("acl", "--role", "monitor", "--password-file", "pw", "--output", "json")
    told = f"--password-file pw: others may read it (mode {mode:03o}): chmod 600, and use another password"
    assert done.json["warnings"] == [told] * warned
