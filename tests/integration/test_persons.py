"""Two persons have to permit: with workers, from a shell, by hand, and under users that are one person each."""

from __future__ import annotations

from contextlib import closing

import pytest

from killswitch import AclUser, ApprovalPending, Code, Controller, Settings, StoreRefused
from killswitch.core.endpoint import parse_url
from killswitch.core.roles import role_of
from killswitch.store.wire import connect
from tests.support.agents import FAST, closes_with, open_epoch, stays_closed
from tests.support.roles import SECRET_HASH
from tests.support.shell import Shell
from tests.support.switch import STATE, Switch
from tests.support.waiting import eventually

PUT_BACK = "ENGAGED a permission by hand was refused: it takes two persons"


def epoch_of(switch: Switch) -> str:
    """Of the switch, as `status` shows it."""
    return str(switch.control.status().switch.epoch)


def text_of(switch: Switch) -> str:
    """What the state key holds."""
    return switch.control.status().switch.text


@pytest.fixture
def guarded(switch: Switch, shell: Shell) -> Switch:
    """An engaged switch on which `killswitch init` has put the rule."""
    done = shell.run("init", "--output", "json", persons="2")
    assert (done.code, done.json["persons"]) == (0, 2)
    switch.control.engage("it begins")
    return switch


def test_the_shell_permits_with_the_second_person(guarded: Switch, shell: Shell) -> None:
    """S7, P8: the first is told with a code of its own that nothing is permitted; every gate opens with the second."""
    agent = guarded.agent()
    closes_with(agent, Code.ENGAGED)
    words = ("reset", "--epoch", epoch_of(guarded), "--reason", "checked")
    first = shell.run(*words, "--actor", "alice", "--output", "json")
    assert first.code == first.json["exit_code"] == 8
    assert first.json["error"].items() >= {"kind": "approval_pending", "approved_by": "alice"}.items()
    stays_closed(agent, answers=5)
    told = " ".join(shell.run("status").out.split())
    assert f"alice has approved trading, epoch {words[2]}; it takes another person" in told
    again = shell.run(*words, "--actor", "alice@elsewhere")
    assert (again.code, again.out) == (8, "")
    assert " ".join(again.err.split()).startswith(
        "approved: alice had approved already (trading), and nothing is permitted yet"
    )
    second = shell.run(*words, "--actor", "bob")
    assert (second.code, "SAFE: trading permitted" in second.out) == (0, True)
    assert "bob command approved by alice: checked" in " ".join(shell.run("audit", "list").out.split())
    open_epoch(agent)
    assert shell.run("audit", "verify").code == 0
    assert shell.run("audit", "diff").code == 0
    kinds = [line.split(",")[3] for line in shell.run("audit", "export", "--format", "csv").out.splitlines()]
    assert kinds.count("approved") == 2
    entries = shell.run("audit", "list", "--attempts", "--output", "json").json["entries"]
    assert [(one["kind"], one["actor"]) for one in entries[-3:-1]] == [
        ("approved", "alice"),
        ("approved", "alice@elsewhere"),
    ]
    assert shell.run("audit", "list", "--attempts").out.count("approved") == 3
    assert shell.run("audit", "list").out.count("approved") == 1  # by whom, in what was permitted


@pytest.mark.parametrize("text", ["SAFE", "REDUCING"])
def test_what_one_person_writes_by_hand_opens_no_gate(guarded: Switch, shell: Shell, text: str) -> None:
    """S7, P5: the workers put the stop back; a SET that stops works as ever."""
    agent = guarded.agent()
    closes_with(agent, Code.ENGAGED)
    seen: list[bool] = []
    agent.on_change(lambda view: seen.append(view.mode.value != "ENGAGED"))
    guarded.raw("SET", STATE, text)
    eventually(lambda: text_of(guarded) == PUT_BACK, why="a beat puts it back")
    stays_closed(agent, answers=10)
    assert not any(seen)
    assert PUT_BACK.removeprefix("ENGAGED ") in shell.run("status").out
    guarded.raw("SET", STATE, "ENGAGED by hand")
    eventually(lambda: guarded.control.status().switch.recorded, why="a beat records it")
    assert text_of(guarded) == "ENGAGED by hand"


def test_an_epoch_that_is_given_by_the_call_itself_is_told_as_that(guarded: Switch, shell: Shell) -> None:
    """P8: never "N is not current, it is N": what a hand wrote had no epoch before, so nobody can have looked at it."""
    epoch = int(epoch_of(guarded))
    guarded.raw("SET", STATE, "SAFE")
    done = shell.run("reset", "--epoch", str(epoch + 1), "--reason", "guessed", "--actor", "alice")
    assert done.code == 1
    assert f"what lies there is on record, as epoch {epoch + 1}, only since this call" in " ".join(done.err.split())


def test_the_rule_is_lifted_by_two(guarded: Switch, shell: Shell) -> None:
    """S7: init without a word about it leaves it; with one it takes two persons, and one is told so."""
    assert shell.run("init", "--output", "json").json["persons"] == 2
    first = shell.run("init", "--actor", "alice", "--output", "json", persons="1")
    assert (first.code, first.json["error"]["kind"]) == (8, "approval_pending")
    assert shell.run("init", "--actor", "bob", "--output", "json", persons="1").json["persons"] == 1
    assert shell.run("reset", "--epoch", epoch_of(guarded), "--reason", "x").code == 0


def test_preflight_fails_where_the_record_does_not_ask_for_them(switch: Switch, shell: Shell) -> None:
    """A record that was lost, or a server that was never told, does not go unnoticed."""
    switch.control.init()
    assert shell.run("preflight", "--only", "persons", persons="2").code == 5
    shell.run("init", persons="2")
    assert shell.run("preflight", "--only", "persons", persons="2").code == 0


def test_preflight_names_who_could_approve_as_two(guarded: Switch, shell: Shell) -> None:
    """A user that several share, and one without a password; not the administrator, nor a person, nor who is off."""

    def found() -> str:
        done = shell.run("preflight", "--only", "persons", "--output", "json", redis_url=url)
        (finding,) = done.json["findings"]
        assert (finding["verdict"] == "ok") == (finding["found"] == "a permission takes two persons")
        return str(finding["found"])

    with closing(connect(parse_url(guarded.server.unix_url), 5.0)) as root:
        for name, role, person in (("alice", "operator", "alice"), ("desk", "operator", "*"), ("w1", "worker", "*")):
            user = AclUser(role_of(role), name, "killswitch", password_hash=SECRET_HASH, person=person)
            root.call("ACL", "SETUSER", name, *user.words)
        root.call("ACL", "SETUSER", "admin", "on", ">secret", "~*", "&*", "+@all")
        url = f"unix://admin:secret@{guarded.server.socket_path}"
        assert "as user default, desk one" in found()
        root.call("ACL", "SETUSER", "desk", "off")
        assert "as user default one" in found()
        root.call("ACL", "SETUSER", "default", "resetpass", ">secret")
        assert found() == "a permission takes two persons"
        root.call("ACL", "SETUSER", "desk", "on")
        assert "as user desk one" in found()
        root.call("ACL", "SETUSER", "admin", "-acl|dryrun")
        assert found().startswith("could not look: a permission takes two persons; whose users those are")


@pytest.mark.parametrize("text", ["0", "3", "two", "1.5"])
def test_any_other_number_of_persons_is_a_wrong_setting(switch: Switch, shell: Shell, text: str) -> None:
    """One clear error, and nothing is done."""
    done = shell.run("init", persons=text)
    assert (done.code, "KILLSWITCH_PERSONS" in done.err, text in done.err) == (2, True, True)


def test_a_user_that_is_one_person_permits_as_nobody_else(guarded: Switch) -> None:
    """S7: with the rules that `killswitch acl --role operator --user NAME` prints, a name is not only told: neither the
    first nor the second approval can be given in another's."""
    with closing(connect(parse_url(guarded.server.unix_url), 5.0)) as root:
        for name in ("alice", "bob"):
            user = AclUser(role_of("operator"), name, "killswitch", password_hash=SECRET_HASH, person=name)
            root.call("ACL", "SETUSER", name, *user.words)
        root.call("ACL", "LOG", "RESET")
    desks = {
        name: Controller(Settings(redis_url=f"unix://{name}:secret@{guarded.server.socket_path}", actor=name, **FAST))
        for name in ("alice", "bob")
    }
    epoch = guarded.control.status().switch.epoch
    with pytest.raises(StoreRefused, match="may not permit as bob") as refused:
        desks["alice"].reset(epoch, "as another", actor="bob")
    assert refused.value.code is Code.REDIS_DENIED
    with pytest.raises(ApprovalPending):
        desks["alice"].reset(epoch, "mine")
    with pytest.raises(StoreRefused, match="may not permit as bob"):
        desks["alice"].reset(epoch, "as another", actor="BOB@desk")
    assert text_of(guarded) != "SAFE"
    assert desks["bob"].reset(epoch, "his").state == "SAFE"
