"""Sentinels that agree, disagree, are silent or want a password, against scripted ones."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from killswitch.clock import now_ns
from killswitch.core.endpoint import Endpoint
from killswitch.core.reasons import Code
from killswitch.errors import StoreRefused, StoreUnavailable
from killswitch.store import reach
from killswitch.store.sentinel import master_address
from killswitch.store.wire import connect
from tests.support.peer import ScriptedServer

LONG_S = 8.0
"""A limit that no machine needs: whoever waits it out has waited for somebody it need not wait for."""


def names(host: str, port: int, generation: int | None = None) -> list[bytes]:
    """What a sentinel answers to the two questions; without `generation` it does not tell that."""
    address = b"*2\r\n$%d\r\n%s\r\n$%d\r\n%d\r\n" % (len(host), host.encode(), len(str(port)), port)
    if generation is None:
        return [address, b"-NOPERM this user may not ask that\r\n"]
    number = str(generation).encode()
    return [address, b"*4\r\n$4\r\nname\r\n$4\r\ndesk\r\n$12\r\nconfig-epoch\r\n$%d\r\n%s\r\n" % (len(number), number)]


def told(*ports: int, **values: Any) -> Endpoint:
    """The endpoint of sentinels at these ports."""
    return Endpoint("redis+sentinel", tuple(("127.0.0.1", port) for port in ports), master="desk", **values)


@contextlib.contextmanager
def sentinels(*scripts: Sequence[bytes | None]) -> Iterator[list[ScriptedServer]]:
    """One scripted sentinel for each script."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(ScriptedServer(script)) for script in scripts]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of somebody who takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def dead_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def in_time(endpoint: Endpoint) -> tuple[str, int]:
    """The master, found without waiting for the limit."""
    begun = now_ns()
    found = master_address(endpoint, LONG_S)
    assert now_ns() - begun < LONG_S * 0.75 * 1e9
    return found


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_sentinel_cut_off_with_the_old_master_is_outvoted_by_a_newer_fail_over(order: tuple[int, ...]) -> None:
    """The number of the fail-over decides, not the place in the list."""
    scripts = [names("10.0.0.1", 6379, 3), names("10.0.0.2", 6379, 4), names("10.0.0.2", 6379, 4)]
    with sentinels(*(scripts[number] for number in order)) as asked:
        assert in_time(told(*(one.port for one in asked))) == ("10.0.0.2", 6379)


def test_one_that_heard_of_the_fail_over_is_enough(silent: int) -> None:
    """Two answer, the third is cut off: the newer of two answers holds."""
    with sentinels(names("10.0.0.1", 6379, 3), names("10.0.0.2", 6379, 4)) as asked:
        assert in_time(told(silent, *(one.port for one in asked))) == ("10.0.0.2", 6379)


def test_silent_sentinels_are_not_waited_for_once_others_have_answered(silent: int) -> None:
    """Neither the first of three that is silent, nor two of three, nor one that is dead."""
    for others in ((silent,), (silent, silent), (dead_port(),)):
        with sentinels(*[names("10.0.0.1", 6379, 1)] * (3 - len(others))) as asked:
            assert in_time(told(*others, *(one.port for one in asked))) == ("10.0.0.1", 6379)


def test_no_sentinel_is_no_master_and_each_says_why(silent: int) -> None:
    """Silent, dead, without such a master, and hanging up: nobody is believed, and the text names them all."""
    with sentinels([b"*-1\r\n", b"-ERR No such master with that name\r\n"], []) as (unknown, mute):
        ports = (silent, dead_port(), unknown.port, mute.port)
        with pytest.raises(StoreUnavailable) as caught:
            master_address(told(*ports), 3.0)
    assert caught.value.code is Code.UNREACHABLE
    text = str(caught.value)
    assert all(f":{port} " in text for port in ports)
    for words in ("did not answer in time", "cannot be reached", "knows no master 'desk'"):
        assert words in text


def test_sentinel_that_wants_a_password_gets_the_one_of_the_url() -> None:
    """Asked without first; then with the credentials, and the questions again."""
    refusal = b"-NOAUTH Authentication required.\r\n"
    with sentinels([refusal, refusal, b"+OK\r\n", *names("10.0.0.1", 6379, 1)]) as (one,):
        assert in_time(told(one.port, username="ks", password="hunter2")) == ("10.0.0.1", 6379)
        assert one.commands[2] == [b"AUTH", b"ks", b"hunter2"]
    with sentinels(names("10.0.0.1", 6379, 1)) as (open_one,):
        in_time(told(open_one.port, password="hunter2"))
        assert all(command[0] == b"SENTINEL" for command in open_one.commands), "nobody asked for the password"


def test_wrong_password_is_told_without_it() -> None:
    """The sentinel's own words, and no secret."""
    refusal = b"-NOAUTH Authentication required.\r\n"
    wrong = b"-WRONGPASS invalid username-password pair\r\n"
    for script, values in (([refusal, refusal, wrong, refusal, refusal], {"password": "hunter2"}), ([refusal] * 2, {})):
        with sentinels(script) as (one,), pytest.raises(StoreUnavailable, match="NOAUTH") as caught:
            master_address(told(one.port, **values), 2.0)
        assert "hunter2" not in str(caught.value)


def test_sentinel_that_does_not_tell_the_number_of_the_fail_over_is_believed_last() -> None:
    """Old ones, and those whose user may ask for the address only."""
    with sentinels(names("10.0.0.1", 6379)) as (one,):
        assert in_time(told(one.port)) == ("10.0.0.1", 6379)
    with sentinels(names("10.0.0.1", 6379), names("10.0.0.2", 6379, 0)[:1]) as asked:
        assert in_time(told(*(one.port for one in asked)))[1] == 6379
    with sentinels(names("10.0.0.1", 6379), names("10.0.0.2", 6379, 1)) as asked:
        assert in_time(told(*(one.port for one in asked))) == ("10.0.0.2", 6379)


def test_second_address_of_a_sentinel_is_tried_where_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses, of which one is dead."""
    with sentinels(names("10.0.0.1", 6379, 1)) as (one,):
        both = [(socket.AF_INET, ("127.0.0.1", port)) for port in (dead_port(), one.port)]
        monkeypatch.setattr(reach, "_ask", lambda host, port, flags=0: list(both))
        assert in_time(Endpoint("redis+sentinel", (("sentinels", 1),), master="desk")) == ("10.0.0.1", 6379)


def test_server_that_is_no_master_is_refused_though_the_sentinels_name_it() -> None:
    """What a replica says may be old; which server is the master is asked again next time."""
    greeting = b"%2\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$7\r\nreplica\r\n"
    with (
        ScriptedServer([greeting]) as replica,
        sentinels(names("127.0.0.1", replica.port, 1)) as (one,),
        pytest.raises(StoreRefused, match="is a replica") as caught,
    ):
        connect(told(one.port), 2.0)
    assert caught.value.code is Code.REDIS_READONLY
