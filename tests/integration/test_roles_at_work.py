"""The printed rules at work: loaded by redis-cli and as a file, a fleet under them, and a credential taken back."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from killswitch import Agent, Code, Controller, EpochConflict, InvalidInput, Settings
from killswitch.core.roles import ROLES, AclUser, role_of
from killswitch.errors import StoreRefused
from tests.conftest import MakeServer
from tests.support.agents import FAST, closes_with, hold_permit, open_epoch, release, stays_closed
from tests.support.roles import SECRET_HASH, bench
from tests.support.server import REDIS_CLI, RealServer
from tests.support.shell import Shell
from tests.support.waiting import eventually

PASSWORD = "correct horse battery"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell that has no need of a server."""
    return Shell("redis://127.0.0.1:1/0", tmp_path, monkeypatch, capsys)


def as_role(server: RealServer, role: str) -> Settings:
    """Settings of the user that `killswitch acl` names after `role`."""
    url = f"unix://killswitch-{role}:{PASSWORD}@{server.socket_path}".replace(" ", "%20")
    return Settings(redis_url=url, actor=role, **FAST)


def with_roles(server: RealServer, shell: Shell) -> None:
    """Every role as `killswitch acl` prints it, piped into redis-cli; then the user `default` is turned off."""
    (shell.folder / "pw").write_text(f"{PASSWORD}\n")
    for role in ROLES:
        done = shell.run("acl", "--role", role, "--password-file", "pw")
        assert done.code == 0, done.err
        assert PASSWORD not in done.out + done.err
        if REDIS_CLI is None:
            server.cli(*done.out.split())
            continue
        piped = subprocess.run(
            [REDIS_CLI, "-s", str(server.socket_path)], input=done.out, capture_output=True, text=True, timeout=10
        )
        assert piped.stdout.strip() == "OK", piped
    server.cli("ACL", "SETUSER", "root", "on", ">root", "~*", "&*", "+@all")
    server.cli("ACL", "SETUSER", "default", "off")


def test_a_fleet_lives_and_stops_under_the_roles_alone(durable_server: RealServer, shell: Shell) -> None:
    """Init by a deployer, trading by a worker, stopping, permitting, a restart: with nobody who may do everything."""
    with_roles(durable_server, shell)
    report = Controller(as_role(durable_server, "deployer")).init()
    assert (report.created, report.state) == (False, "(absent)")  # it may not write one, and none is a stop
    operator = Controller(as_role(durable_server, "operator"))
    with Agent(as_role(durable_server, "worker"), ["symbol:EURUSD"]) as agent:
        closes_with(agent, Code.STATE_MISSING)
        permit(operator)
        release(hold_permit(agent, "c-1"))
        assert agent.view.rung == "bcast"
        outcome = operator.engage("by the operator", wait_s=20)
        assert (outcome.verdict, outcome.durability and outcome.durability.durable) == ("QUIET", True)
        permit(operator)
        open_epoch(agent)
        Controller(as_role(durable_server, "engage-only")).engage("bad prices", scope="symbol:EURUSD")
        closes_with(agent, Code.SCOPE_ENGAGED)
        auditor = Controller(as_role(durable_server, "auditor"))
        last = eventually(lambda: newest(auditor, "symbol:EURUSD"), why="it is recorded")
        assert last.endswith("engage-only: bad prices")
        scope = next(s for s in operator.status().scopes if s.scope == "symbol:EURUSD")
        operator.reset(scope.epoch, "prices are back", scope="symbol:EURUSD")
        open_epoch(agent)
        status = Controller(as_role(durable_server, "monitor")).status()
        assert (status.switch.mode, status.trouble, len(status.members)) == ("SAFE", None, 1)
        durable_server.restart()
        with_roles(durable_server, shell)  # rules live in memory, unless they are saved
        closes_with(agent, Code.INCARNATION_CHANGED)
        stays_closed(agent)
        with pytest.raises(EpochConflict):  # the worker may not put the stop into words; the operator's first try does
            operator.reset(operator.status().switch.epoch, "again")
        permit(operator)
        open_epoch(agent)


def permit(operator: Controller) -> None:
    """Permits trading at what is so now."""
    operator.reset(operator.status().switch.epoch, "go")


def newest(auditor: Controller, scope: str) -> str:
    """The reason of the newest change of `scope`, once there is one."""
    return next((entry.reason for entry in auditor.audit()[::-1] if entry.scope == scope), "")


def test_the_rules_in_the_form_of_a_file_give_the_same_rights(
    make_server: MakeServer, shell: Shell, tmp_path: Path
) -> None:
    """`killswitch acl --file` is what the server reads at its start, and what it has after ACL SETUSER."""
    path = tmp_path / "users.acl"
    path.write_text(shell.run("acl", "--file").out)
    with_file, plain = make_server(aclfile=str(path)), make_server()
    for line in shell.run("acl").out.splitlines():
        assert plain.cli(*line.split()) == "OK"
    for role in ROLES:
        name = f"killswitch-{role}"
        assert rights(with_file, name) == rights(plain, name) != []


def rights(server: RealServer, name: str) -> list[str]:
    """Everything that the server says of a user, sorted, but for a flag that is the default and not always said."""
    return sorted(word for word in server.cli("ACL", "GETUSER", name).split() if word != "sanitize-payload")


def test_a_worker_that_is_confined_to_its_host_writes_no_row_of_another(module_server: RealServer) -> None:
    """A stolen credential of one host cannot say that another's workers are quiet."""
    with bench(module_server, "worker", "web1-*") as at:
        quiet = ("closed", "1", "in_flight", "0", "quiet_epoch", "99")
        assert at.may("HSET", at.keys.worker("web1-4711"), *quiet)
        assert not at.may("HSET", at.keys.worker("lost"), *quiet)
        assert not at.may("DEL", at.keys.worker("lost"))
        words = ("FCALL", "ks_beat", 1, at.keys.state, 1, "web1-4711", 0, 1, 0, 1000, 60_000, "life")
        assert at.may(*words)


def test_an_updated_role_keeps_passwords_and_loses_old_rights(module_server: RealServer, shell: Shell) -> None:
    """`--keep-passwords` makes the rules those of this release, whatever the user had."""
    module_server.cli("ACL", "SETUSER", "killswitch-monitor", "reset", "on", ">old", "+@all", "~*", "&*", "(+set ~x)")
    line = shell.run("acl", "--role", "monitor", "--keep-passwords").out
    assert module_server.cli(*line.split()) == "OK"
    name = "killswitch-monitor"
    kept = module_server.cli("ACL", "GETUSER", name)
    assert hashlib.sha256(b"old").hexdigest() in kept
    assert module_server.cli("ACL", "DRYRUN", name, "SET", "x", "y") != "OK"
    assert module_server.cli("ACL", "DRYRUN", name, "GET", "killswitch:state") == "OK"


def test_without_a_password_nobody_gets_in(module_server: RealServer, shell: Shell) -> None:
    """What was forgotten is closed: a user without a password is nobody's."""
    done = shell.run("acl", "--role", "operator", "--user", "alice")
    assert module_server.cli(*done.out.split()) == "OK"
    assert "no passwords are set" in done.err
    for password in ("", "x"):
        url = f"unix://alice:{password or 'alice'}@{module_server.socket_path}"
        with pytest.raises(StoreRefused, match="WRONGPASS"):
            Controller(Settings(redis_url=url)).status()


def test_off_alone_leaves_connections_and_kill_ends_them(module_server: RealServer) -> None:
    """Revoking a credential is two commands: one for the next login, one for the connections that are there."""
    with bench(module_server, "worker") as at, Agent(at.settings()) as agent:
        open_epoch(agent)
        module_server.cli("ACL", "SETUSER", at.name, "off")
        assert at.may("GET", at.keys.state)  # still there, and so is the agent
        open_epoch(agent)
        assert int(module_server.cli("CLIENT", "KILL", "USER", at.name)) >= 3
        closes_with(agent, Code.REDIS_DENIED)
        with pytest.raises(StoreRefused, match="WRONGPASS"):
            Controller(at.settings()).status()
        module_server.cli("ACL", "SETUSER", at.name, "on")  # so that it can say goodbye
        open_epoch(agent)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--user", "alice"), "for one --role"),
        (("--role", "monitor", "--password-file", "none"), "No such file"),
        (("--role", "monitor", "--password-file", "empty"), "one line"),
        (("--role", "monitor", "--password-file", "two"), "one line"),
        (("--role", "monitor", "--user", "a b"), "rename it"),
        (("--role", "monitor", "--worker", "a b"), "write for example web1-*"),
        (("--role", "monitor", "--prefix", "a b"), "KILLSWITCH_PREFIX"),
        (("--keep-passwords", "--file"), "goes with neither"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_printed(shell: Shell, words: tuple[str, ...], told: str) -> None:
    """No half list of rules ever reaches a pipe into redis-cli."""
    (shell.folder / "empty").write_bytes(b"\n")
    (shell.folder / "two").write_bytes(b"a\nb\n")
    done = shell.run("acl", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err.replace("\n  ", " ")


def test_roles_are_checked_before_they_become_rules() -> None:
    """No name, pattern or hash puts another word into the line."""
    for changes in ({"name": "a b"}, {"name": "a\n"}, {"worker": "*) (+@all"}, {"password_hash": "nopass"}):
        with pytest.raises(InvalidInput):
            AclUser(**{"role": ROLES["monitor"], "name": "m", "prefix": "p", **changes})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="the roles are worker, gateway"):
        role_of("root")
    user = AclUser(ROLES["engage-only"], "eve", "p", db=3, password_hash=SECRET_HASH)
    assert user.command.startswith(f"ACL SETUSER eve reset on #{SECRET_HASH} -@all ")
    assert "+select" in user.words
