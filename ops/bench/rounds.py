"""Rounds of SAFE and ENGAGED on one watched worker, shared by `observe` and `late`.

Each round: SET SAFE, wait until the worker's gate is open, wait for a random time, SET ENGAGED over a raw connection as
redis-cli would, read +OK, let a settling time pass, then look at what the worker noted.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from killswitch.clock import sleep
from ops.bench import bare, probe
from ops.bench.errors import BenchError
from ops.bench.scene import Stage

__all__ = ["Round", "play", "start"]

_SETTLE_S = 0.004
_RANDOM_S = 0.004
_MOST = 10  # rounds for each one that counts


@dataclass(frozen=True, slots=True)
class Round:
    """Nanoseconds from just before the SET was sent; `late` passes of this round (busy workers only).

    `closed_ns`: the start of the first check that was refused (busy), or the agent's callback (idle). `shown_ns`: the
    agent's callback. `bare_ns`: the bare reader, where one runs. `ok_ns`: the operator's +OK.
    """

    closed_ns: int
    shown_ns: int
    bare_ns: int
    ok_ns: int
    late: int


def start(stage: Stage, kind: str, *, with_bare: bool) -> None:
    """Starts the watched worker (`idle` or `busy`) and, if asked, the bare reader beside it."""
    slots = stage.board.slots
    stage.children.start("probe", str(stage.board.path), kind)
    if with_bare:
        stage.children.start("bare", str(stage.board.path))
        stage.children.wait_for(lambda: slots[probe.BARE_NS] == bare.READY, "the bare reader's start")


def play(stage: Stage, count: int, *, busy: bool, with_bare: bool) -> Iterator[Round]:
    """Plays `count` rounds. One whose gate had closed by itself before the SET was sent, as the lease of a worker does
    that was not let run, shows nothing of the SET and is played again; late passes of it are counted all the same."""
    slots, wait_for, key = stage.board.slots, stage.children.wait_for, stage.state_key
    chance = random.Random(count)
    late, played = slots[probe.LATE], 0
    for number in itertools.count(1):
        if played == count:
            break
        if number > _MOST * count:
            raise BenchError(
                f"the gate closed by itself before the SET in {number - 1 - played} of {number - 1} rounds"
            )
        slots[probe.ROUND] = number
        safe_ns, _ = stage.line.set(key, "SAFE")
        wait_for(lambda number=number: slots[probe.OPEN] == number, "the opening of the gate")  # type: ignore[misc]
        if with_bare:
            wait_for(lambda since=safe_ns: slots[probe.BARE_NS] > since, "the bare reader's news")  # type: ignore[misc]
        sleep(0.0005 + chance.random() * _RANDOM_S)
        slots[probe.SENT] = number
        sent_ns, ok_ns = stage.line.set(key, "ENGAGED")
        slots[probe.OK_NS] = ok_ns
        told = _told(stage, number, sent_ns, busy=busy, with_bare=with_bare)
        sleep(_SETTLE_S)
        if busy:
            slots[probe.ASK] = number
            wait_for(lambda number=number: slots[probe.DONE] == number, "the worker's account")  # type: ignore[misc]
        if not told:
            continue
        yield Round(
            # A check that started before the SET was sent may be refused as well, when it was slow to ask.
            max(0, slots[probe.CLOSED_NS if busy else probe.SHOWN_NS] - sent_ns),
            slots[probe.SHOWN_NS] - sent_ns,
            slots[probe.BARE_NS] - sent_ns if with_bare else 0,
            ok_ns - sent_ns,
            slots[probe.LATE] - late,
        )
        late, played = slots[probe.LATE], played + 1
    slots[probe.STOP] = 1


def _told(stage: Stage, number: int, sent_ns: int, *, busy: bool, with_bare: bool) -> bool:
    """Waits until everybody has noted the SET; False where the gate was closed already and has nothing to note."""
    slots, wait_for = stage.board.slots, stage.children.wait_for

    def was_closed() -> bool:
        return bool(slots[probe.OPENED_NS] < slots[probe.SHOWN_NS] <= sent_ns)

    wait_for(lambda: slots[probe.SHOWN_NS] > sent_ns or was_closed(), "the news of the SET")
    if slots[probe.SHOWN_NS] <= sent_ns:
        return False
    if with_bare:
        wait_for(lambda: slots[probe.BARE_NS] > sent_ns, "the bare reader's news")
    if busy:
        wait_for(lambda: slots[probe.CLOSED] == number, "a refused check")
    return True
