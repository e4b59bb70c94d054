"""What Redis's ACL refuses is told with the user, the command and the roles that may; and what is asked in vain."""

from __future__ import annotations

import pytest

from killswitch.core.roles import ROLES, AclUser
from tests.support.roles import SECRET_HASH
from tests.support.server import RealServer
from tests.support.shell import Done, Shell
from tests.support.switch import STATE, Switch


def told(done: Done) -> str:
    """What was said on stderr, as one line."""
    return " ".join(done.err.split())


def as_role(server: RealServer, role: str) -> str:
    """The URL of a new user of `role`."""
    user = AclUser(ROLES[role], f"a-{role}", "killswitch", password_hash=SECRET_HASH)
    assert server.cli(*user.command.split()) == "OK"
    return f"unix://a-{role}:secret@{server.socket_path}"


@pytest.mark.parametrize(
    ("role", "words", "roles"),
    [
        ("engage-only", ("reset", "--epoch", "1", "-r", "x"), "operator, launcher"),
        ("engage-only", ("reduce", "--epoch", "1", "-r", "x"), "operator, launcher"),
        ("deployer", ("audit", "list"), "worker, gateway, operator, launcher, auditor, monitor"),
        ("monitor", ("init",), "launcher, deployer"),
    ],
)
def test_a_refusal_names_the_user_the_command_and_the_roles(
    switch: Switch, shell: Shell, role: str, words: tuple[str, ...], roles: str
) -> None:
    """And the server's own words, and that nothing was done."""
    done = shell.run(*words, redis_url=as_role(switch.server, role))
    command = " ".join(words[:2]) if words[0] == "audit" else words[0]
    assert done.code == 1
    assert f"error: Redis refused `killswitch {command}` to the user a-{role}" in told(done)
    assert ("nothing was done" in told(done)) is (words[0] in ("reset", "reduce"))
    assert f"hint: the roles that may are {roles}: " in told(done)
    assert switch.server.cli("GET", STATE) == "SAFE"


def test_the_line_for_a_stop_by_hand_is_not_for_the_user_that_was_refused(switch: Switch, shell: Shell) -> None:
    """In the worst minute nobody types a line that can not work."""
    done = shell.run("engage", "-r", "halt", redis_url=as_role(switch.server, "monitor"))
    assert done.code == 1
    assert "--user OPERATOR --askpass SET killswitch:state" in told(done)


@pytest.mark.parametrize("rule", [{"persons": "2"}, {"on_failover": "resume"}])
def test_who_may_load_and_not_rule_is_told_who_may(switch: Switch, shell: Shell, rule: dict[str, str]) -> None:
    """A deployer's init that would change a rule has loaded the library, and says that the rule is not on record."""
    done = shell.run("init", redis_url=as_role(switch.server, "deployer"), **rule)
    assert done.code == 1
    assert "to the user a-deployer: the library is loaded, the rules are as they were (" in told(done)
    assert "hint: the roles that may are launcher: " in told(done)
    status = switch.control.status()
    assert (status.persons, status.on_failover) == (1, "halt")
    assert shell.run("init", redis_url=as_role(switch.server, "launcher"), **rule).code == 0
    status = switch.control.status()
    assert (str(status.persons), status.on_failover) == (rule.get("persons", "1"), rule.get("on_failover", "halt"))


def test_a_server_that_wants_a_password_is_told_as_such(switch: Switch, shell: Shell) -> None:
    """Not with the server's remarks on its greeting alone."""
    switch.server.cli("ACL", "SETUSER", "root", "on", ">root", "~*", "&*", "+@all")
    switch.server.cli("ACL", "SETUSER", "default", "off")
    done = shell.run("reset", "--epoch", "1", "-r", "x")
    assert told(done).startswith("error: Redis wants a user with a password, and none is set: ")
    assert "`killswitch reset` was not let in; nothing was done (NOAUTH" in told(done)
    assert "KILLSWITCH_REDIS_URL" in told(done)


def test_a_scope_that_is_not_there_is_told_with_those_that_are(switch: Switch, shell: Shell) -> None:
    """Instead of an epoch that is not current, the whole switch, and advice that would make the scope."""
    shell.run("engage", "-r", "bad prices", "-s", "symbol:EURUSD")
    done = shell.run("reset", "--epoch", "3", "-r", "x", "-s", "symbol:NONE", "--output", "json")
    assert (done.code, done.json["error"]["kind"]) == (1, "no_such_scope"), done
    assert done.json["error"]["scopes"] == ["symbol:EURUSD"]
    assert "there is no such scope on record: symbol:NONE" in told(done)
    assert "the scopes are symbol:EURUSD" in told(done)
    assert "--epoch 0" not in done.err
    with shell.terminal("reset", "-r", "x", "-s", "symbol:NONE") as terminal:
        assert terminal.end() == 1
    assert "there is no such scope" in terminal.shown
    assert "[y/N]" not in terminal.shown
    later = shell.run("reset", "--epoch", "99", "-r", "x", "-s", "symbol:EURUSD")
    assert "epoch 99 was never given here" in told(later)
    known = shell.run("reset", "--epoch", "0", "-r", "x", "-s", "symbol:EURUSD")
    assert "somebody changed the switch since you looked" in told(known)


@pytest.mark.parametrize(
    "words",
    [
        ("frob", "--output", "json"),
        ("status", "--frob", "--output", "json"),
        ("reset", "--output=json"),
        ("engage", "--epoch", "x", "--output", "text", "--output", "json"),
        ("audit", "frob", "--output", "json"),
    ],
)
def test_a_usage_error_is_one_object_wherever_it_is_found(shell: Shell, words: tuple[str, ...]) -> None:
    """Whoever asks for JSON has JSON, also where the line is wrong before the option is read."""
    done = shell.run(*words)
    assert (done.code, done.json["exit_code"], done.json["error"]["kind"]) == (2, 2, "usage")


def test_text_is_told_where_json_is_not_asked_for(shell: Shell) -> None:
    """Behind `--` it is no option, and the last one counts."""
    for words in (("frob",), ("frob", "--", "--output", "json"), ("frob", "--output", "json", "--output", "text")):
        assert shell.run(*words).out == "", words
