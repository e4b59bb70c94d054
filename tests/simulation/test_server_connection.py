"""Greeting, names, databases, tracking and questions about the server: as a real one answers them."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest

from killswitch.store.functions import OPERATIONS, library_source
from tests.simulation.differential import Pair, compare, outcome, twin
from tests.simulation.steps import Words
from tests.support.server import RealServer

SOURCE = library_source()
COMMANDS: list[Words] = [
    ("PING",),
    ("PING", "x"),
    ("ECHO", "x"),
    ("CLIENT", "GETNAME"),
    ("CLIENT", "SETNAME", "me"),
    ("CLIENT", "GETNAME"),
    ("CLIENT", "NO-EVICT", "ON"),
    ("CLIENT", "NOSUCH"),
    ("AUTH", "default", "x"),
    ("HELLO", 4),
    ("SELECT", 99),
    ("SELECT", 1),
    ("SET", "k:a", "in the second"),
    ("SELECT", 0),
    ("GET", "k:a"),
    ("SWAPDB", 0, 1),
    ("GET", "k:a"),
    ("SWAPDB", 0, 99),
    ("FLUSHDB",),
    ("CLIENT", "TRACKING", "NOSUCH"),
    ("CLIENT", "TRACKING", "ON", "NOSUCH"),
    ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "ab"),
    ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "q"),
    ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "q"),
    ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "r"),
    ("CLIENT", "TRACKING", "OFF"),
    ("CLIENT", "TRACKING", "OFF"),
    ("CONFIG", "GET", "appendonly", "maxmemory-policy"),
    ("CONFIG", "GET", "nosuch"),
    ("WAIT", 0, 1),
    ("NOSUCH", "a", "b", "x" * 200),
    ("GET",),
    ("get", "k:a"),
    ("FCALL", "nosuch", 0),
    ("FCALL", "ks_read", "x"),
    ("FCALL", "ks_read", 2, "k:state"),
    ("FCALL", "ks_read", -1),
    ("FUNCTION", "FLUSH"),
    ("FCALL", "ks_read", 1, "k:state"),
]


def test_a_connection_is_answered_as_by_a_real_server(module_server: RealServer) -> None:
    """Names, databases, tracking prefixes and errors of every kind are what a real server makes of them."""

    def action(pair: Pair) -> None:
        for words in COMMANDS:
            pair.run(words)

    assert compare(module_server.socket_path, SOURCE, "k:state", action)


@pytest.fixture
def answers(module_server: RealServer) -> Any:
    """Asks both servers one question, each for itself."""
    with contextlib.closing(twin(module_server.socket_path, SOURCE, "k:state")) as pair:
        yield lambda *words: (pair.line.call(*words), outcome(pair.server, pair.session, words))


def test_the_greeting_has_the_same_form(answers: Any) -> None:
    """HELLO 3 with a name gives the same fields, types and protocol."""
    real, simulated = answers("HELLO", 3, "AUTH", "default", "any", "SETNAME", "me")
    assert {name: type(value) for name, value in simulated.items()}.items() <= {
        name: type(value) for name, value in real.items()
    }.items()
    for name in (b"proto", b"mode", b"role"):
        assert simulated[name] == real[name]
    real, simulated = answers("CLIENT", "GETNAME")
    assert simulated == real == b"me"


@pytest.mark.parametrize("section", ["server", "replication", "persistence"])
def test_info_has_the_lines_that_the_product_reads(answers: Any, section: str) -> None:
    """Every line that the simulated server gives stands in a real one's answer, with the same value."""
    real, simulated = answers("INFO", section)
    lines = [line for line in simulated.decode().split("\r\n") if ":" in line]
    assert lines
    for line in lines:
        name, _, value = line.partition(":")
        if name == "redis_version":
            assert re.search(r"^redis_version:\d", real.decode(), re.M)
        else:
            assert f"\r\n{name}:{value}\r\n" in real.decode()


def test_the_list_of_functions_has_names_and_flags(answers: Any) -> None:
    """FUNCTION LIST tells which functions there are, and with which flags."""
    found = []
    for reply in answers("FUNCTION", "LIST", "LIBRARYNAME", "kill*"):
        ((library,),) = (reply,)
        flags = {item[b"name"].decode(): sorted(item[b"flags"]) for item in library[b"functions"]}
        found.append((library[b"library_name"], flags))
    assert found[0] == found[1]
    assert set(found[0][1]) == set(OPERATIONS)
    real, simulated = answers("FUNCTION", "LIST", "LIBRARYNAME", "nosuch")
    assert simulated == real == []


def test_the_time_is_seconds_and_microseconds(answers: Any) -> None:
    """TIME gives two numbers as text."""
    real, simulated = answers("TIME")
    assert [type(part) for part in simulated] == [type(part) for part in real] == [bytes, bytes]
