"""Engage, reset and read on a real server are one switch, whatever breaks; the checker finds one that is not."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

from killswitch import Controller, Settings, clock
from tests.conftest import MakeServer
from tests.evidence.drawn import drawn
from tests.random.clients import Client, run_clients
from tests.random.linearizability import Operation, is_linearizable
from tests.support.proxy import Proxy
from tests.support.server import RealServer
from tests.support.waiting import eventually

CLIENTS = 6
OPERATIONS = 40


def _restart(server: RealServer) -> Operation:
    call = clock.now_ns()
    server.kill9()
    server.restart()
    return Operation("restart", call, clock.now_ns())


def _mix(history: list[Operation]) -> Counter[str]:
    return Counter(f"{operation.kind}{'' if operation.ret else ' unknown'}" for operation in history)


def _changes(client: Client) -> int:
    """How many changes it was told to have made."""
    changes = [operation for operation in client.history if operation.kind in ("engage", "reset")]
    return sum(isinstance(operation.ret, int) and operation.result > 0 for operation in changes)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2))
def test_racing_operators_see_one_switch_through_kills_pauses_and_lost_answers(
    make_server: MakeServer, seed: int
) -> None:
    """S6, P8: with kill -9 and restart, paused clients and lost answers, some order explains all that operators saw."""
    server = make_server(appendonly=True)
    Controller(Settings(redis_url=server.url)).init()
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(server.port))
        urls = [server.url, proxy.url]
        clients = [Client(f"client-{n}", urls[n % 2], 100 * seed + n) for n in range(CLIENTS)]

        def trouble() -> list[Operation]:
            found = []
            for turn in range(4):
                clock.sleep(0.05)
                proxy.lose_answers = 2
                clock.sleep(0.05)
                server.cli("CLIENT", "PAUSE", "100", "ALL" if turn % 2 else "WRITE")
                clock.sleep(0.15)
                found.append(_restart(server))
            return found

        history = run_clients(clients, OPERATIONS, trouble)
    mix = _mix(history)
    assert is_linearizable(history), sorted(history, key=lambda operation: operation.call)
    assert mix["restart"] == 4
    assert mix["engage"] > 10
    assert mix["reset"] > 10
    assert mix["read"] > 10
    drawn(test_racing_operators_see_one_switch_through_kills_pauses_and_lost_answers, server.kind, 1, len(history))


@pytest.mark.faults
def test_a_server_that_forgot_what_it_acknowledged_is_found(make_server: MakeServer) -> None:
    """The checker bites: a server that loses its memory at a restart is no linearizable switch."""
    server = make_server()
    Controller(Settings(redis_url=server.url)).init()
    client = Client("client", server.url, 1)

    def forget() -> list[Operation]:
        eventually(lambda: _changes(client) > 5, why="there is something to forget")
        found = [_restart(server)]
        Controller(Settings(redis_url=server.url)).init()
        return found

    history = run_clients([client], 60, forget)
    seen = len(client.history)
    while len(client.history) < seen + 10:  # some of them after the restart, for sure
        client.act()
    history += client.history[seen:]
    assert not is_linearizable(history)
