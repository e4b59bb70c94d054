"""What can go wrong, one function each: it begins before the `yield` and is over after it.

Each yields what it brings: which workers cannot be told any more that trading is permitted, whether the server's
permissions are void, and what an operator may expect meanwhile. All times are taken where the order is certain: a cut
begins no earlier than noted and ends no later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from killswitch import clock
from killswitch.store.functions import load_library
from killswitch.store.wire import connect
from tests.soak.crew import Program
from tests.soak.operators import Operators
from tests.soak.stage import Cut, Stage
from tests.support.agents import kill_client
from tests.support.resp import ReplyError

__all__ = ["FAULTS", "Effect", "Fault"]


@dataclass(slots=True)
class Effect:
    """What a fault does while it lasts. `blocks`: an operator's command does not come through. `target`: who."""

    target: str = "switch"
    blocks: bool = False
    lasts_s: float = 0.0
    """How long it takes by itself; 0: until it is ended."""


Fault = Callable[[Stage, Operators, random.Random], AbstractContextManager[Effect]]
FAULTS: dict[str, Fault] = {}


def _fault(function: Callable[[Stage, Operators, random.Random], Iterator[Effect]]) -> Fault:
    made: Fault = contextmanager(function)
    FAULTS[function.__name__] = made
    return made


def _cut(stage: Stage, why: str, workers: tuple[str, ...], from_ns: int) -> None:
    stage.cuts.append(Cut(why, workers, from_ns, clock.now_ns()))


# -- the server -------------------------------------------------------------------------------------------------------


@_fault
def server_freeze(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.server.sigstop()
    since = clock.now_ns()
    yield Effect(blocks=True)
    _cut(stage, "server_freeze", stage.names(), since)
    stage.server.sigcont()


@_fault
def server_kill(stage: Stage, ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    with suppress(OSError):
        ops.record.sync()
    stage.server.kill9()
    since = clock.now_ns()
    ops.lost("server_kill", since)
    yield Effect(blocks=True)
    _cut(stage, "server_kill", stage.names(), since)
    stage.server.restart()
    stage.restarts += 1


@_fault
def pause_all(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    return _paused(stage, chance, "ALL")


@_fault
def pause_write(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    return _paused(stage, chance, "WRITE")


def _paused(stage: Stage, chance: random.Random, what: str) -> Iterator[Effect]:
    for_ms = chance.randrange(300, 2500)
    before = clock.now_ns()
    stage.server.cli("CLIENT", "PAUSE", str(for_ms), what)
    since = clock.now_ns()
    yield Effect(blocks=True, lasts_s=for_ms / 1000)
    stage.cuts.append(Cut(f"pause_{what.lower()}", stage.names(), since, before + for_ms * 1_000_000))


@_fault
def debug_sleep(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    for_s = chance.uniform(0.3, 2.5)
    with stage.line() as line:
        before = clock.now_ns()
        line.socket.sendall(f"DEBUG SLEEP {for_s:.3f}\r\n".encode())
        yield Effect(blocks=True, lasts_s=for_s)
    # When the server took it up is not known exactly; a whole renewal later it certainly had.
    stage.cuts.append(Cut("debug_sleep", stage.names(), before + 50_000_000, before + int(for_s * 1e9)))


@_fault
def out_of_memory(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    yield from _configured(stage, "maxmemory", "1", "0")


@_fault
def no_replicas(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    yield from _configured(stage, "min-replicas-to-write", "1", "0")


def _configured(stage: Stage, name: str, value: str, back: str) -> Iterator[Effect]:
    stage.server.config_set(name, value)
    since = clock.now_ns()
    yield Effect(blocks=name != "maxmemory")
    _cut(stage, name, stage.names(), since)
    stage.server.config_set(name, back)


@_fault
def client_kill(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    kill_client(stage.server, chance.choice(["killswitch-push", "killswitch-ask"]))
    yield Effect()


# -- what the server holds -----------------------------------------------------------------------------------------


def _command(stage: Stage, *words: str) -> None:
    with stage.line() as line, suppress(ReplyError):
        line.call(*words)


@_fault
def flush_all(stage: Stage, ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    with suppress(OSError):
        ops.record.sync()
    _command(stage, "FLUSHALL")
    since = clock.now_ns()
    ops.lost("flush_all", since)
    yield Effect()
    _cut(stage, "flush_all", stage.names(), since)


@_fault
def swap_db(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    _command(stage, "SWAPDB", "0", "1")
    since = clock.now_ns()
    yield Effect(blocks=True)  # what is engaged meanwhile is engaged in another database
    _cut(stage, "swap_db", stage.names(), since)
    _command(stage, "SWAPDB", "0", "1")


@_fault
def ledger_lost(stage: Stage, ops: Operators, chance: random.Random) -> Iterator[Effect]:
    with suppress(OSError):
        ops.record.sync()
    _command(stage, "DEL", "killswitch:ledger")
    if chance.random() < 0.5:
        _command(stage, "SET", "killswitch:ledger", "garbage")
    since = clock.now_ns()
    ops.lost("ledger_lost", since)
    yield Effect()


@_fault
def record_garbage(stage: Stage, ops: Operators, chance: random.Random) -> Iterator[Effect]:
    with suppress(OSError):
        ops.record.sync()
    key = chance.choice(["audit", "workers"])
    _command(stage, "DEL", f"killswitch:{key}")
    _command(stage, *chance.choice([("SET", f"killswitch:{key}", "x"), ("LPUSH", f"killswitch:{key}", "x")]))
    yield Effect(target=key)


@_fault
def library_reload(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    _load(stage)
    yield Effect()


@_fault
def library_missing(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    _command(stage, "FUNCTION", "DELETE", "killswitch")
    since = clock.now_ns()
    yield Effect()
    _cut(stage, "library_missing", stage.names(), since)
    _load(stage)


def _load(stage: Stage) -> None:
    wire = connect(stage.settings.endpoint, 3.0)
    try:
        load_library(wire)
    finally:
        wire.close()


# -- workers -------------------------------------------------------------------------------------------------------


def _someone(stage: Stage, chance: random.Random) -> Program:
    return chance.choice([*stage.burners.values(), *stage.rq])


@_fault
def worker_freeze(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    program = _someone(stage, chance)
    program.freeze()
    yield Effect(target=program.role)
    program.thaw()


@_fault
def worker_kill(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    slot = chance.choice([*stage.burners, *(["rq"] * len(stage.rq))])
    if slot == "rq":
        victim = chance.choice(stage.rq)
        victim.kill()
        stage.rq.remove(victim)
        yield Effect(target="rq")
        stage.start_rq()
    else:
        stage.burners[slot].kill()
        yield Effect(target="burner")
        stage.start_burner(slot)


@_fault
def worker_restart(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    slot = chance.choice(list(stage.burners))
    stage.burners[slot].end()
    yield Effect(target="burner")
    stage.start_burner(slot)


# -- the network of one --------------------------------------------------------------------------------------------


@_fault
def proxy_hole(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    up, down = chance.choice([(True, True), (True, False), (False, True)])
    since = stage.proxy.black_hole(up=up, down=down)
    yield Effect(target="far")
    _cut(stage, "proxy_hole", stage.names(direct=False), since)
    stage.proxy.heal()


@_fault
def proxy_delay(stage: Stage, _ops: Operators, chance: random.Random) -> Iterator[Effect]:
    stage.proxy.delay_down_ns = chance.randrange(5, 200) * 1_000_000
    yield Effect(target="far")
    stage.proxy.delay_down_ns = 0


@_fault
def proxy_cut(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.proxy.cut()
    yield Effect(target="far")


# -- the venue -----------------------------------------------------------------------------------------------------


@_fault
def venue_freeze(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.venue.freeze()
    yield Effect(target="venue")
    stage.venue.thaw()


@_fault
def venue_kill(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.venue.kill()
    yield Effect(target="venue")
    stage.restart_venue()


# -- the queue -----------------------------------------------------------------------------------------------------


@_fault
def queue_freeze(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.queue_server.sigstop()
    yield Effect(target="queue")
    stage.queue_server.sigcont()


@_fault
def queue_kill(stage: Stage, _ops: Operators, _chance: random.Random) -> Iterator[Effect]:
    stage.queue_server.kill9()
    yield Effect(target="queue")
    stage.queue_server.restart()
