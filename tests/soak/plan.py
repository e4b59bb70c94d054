"""What happens, drawn from a seed: cycles of healthy trading, a fault or none, operators with every means they have.

The plan says what and for how long; when exactly things happen is the machine's doing, so a seed repeats the plan and
not the run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.soak.operators import ENGAGE_MEANS

__all__ = ["ACTIONS", "Cycle", "cycles"]

_WEIGHTS: dict[str, int] = {
    "server_freeze": 6,
    "server_kill": 4,
    "pause_all": 3,
    "pause_write": 3,
    "debug_sleep": 3,
    "out_of_memory": 4,
    "no_replicas": 4,
    "client_kill": 5,
    "flush_all": 1,
    "swap_db": 1,
    "ledger_lost": 2,
    "record_garbage": 3,
    "library_reload": 3,
    "library_missing": 2,
    "worker_freeze": 6,
    "worker_kill": 4,
    "worker_restart": 3,
    "proxy_hole": 5,
    "proxy_delay": 3,
    "proxy_cut": 3,
    "venue_freeze": 2,
    "venue_kill": 1,
    "queue_freeze": 2,
    "queue_kill": 1,
}
_TOGETHER = ("client_kill", "proxy_delay", "proxy_hole", "library_reload", "queue_freeze", "worker_kill")
"""Faults that may come on top of another one without making what is promised unclear."""
_NOT_TOGETHER = ("flush_all", "swap_db", "ledger_lost", "record_garbage", "worker_kill", "worker_restart")
"""Faults that lose the membership, of which the design says that it then hides who has not come back; and ends."""
_PROXIED = frozenset({"proxy_hole", "proxy_delay", "proxy_cut"})

ACTIONS = ("volley", "scope", "reduce", "expiry", "race", "fault")
_ACTION_WEIGHTS = (6, 2, 2, 1, 2, 14)
_VOLLEY_MEANS = ENGAGE_MEANS
_MEANS_WEIGHTS = (6, 3, 6, 2, 1, 2, 2, 2, 1)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn of the soak. `rounds` are the means of each engagement in it; `faults` come in this order."""

    number: int
    action: str
    faults: tuple[str, ...]
    rounds: tuple[str, ...]
    healthy_s: float
    hold_s: float
    wait_s: float
    seed: int


def cycles(seed: int, *, known: Sequence[str], far: bool = True, queue: bool = True) -> Iterator[Cycle]:
    """An endless plan. `known` are the faults that can be played; every one of them must have a weight here."""
    chance = random.Random(seed)
    strangers = set(known) ^ set(_WEIGHTS)
    if strangers:
        raise ValueError(f"faults without a weight, or weights without a fault: {sorted(strangers)}")
    names = [name for name in _WEIGHTS if (far or name not in _PROXIED) and (queue or not name.startswith("queue"))]
    weights = [_WEIGHTS[name] for name in names]
    number = 0
    while True:
        number += 1
        action = chance.choices(ACTIONS, _ACTION_WEIGHTS)[0]
        faults: tuple[str, ...] = ()
        rounds = chance.choices(_VOLLEY_MEANS, _MEANS_WEIGHTS, k=chance.randrange(3, 9) if action == "volley" else 1)
        if action == "fault":
            first = chance.choices(names, weights)[0]
            others = [name for name in _TOGETHER if name in names and name != first]
            faults = (first,)
            if first not in _NOT_TOGETHER and others and chance.random() < 0.3:
                faults = (chance.choice(others), first)
        yield Cycle(
            number,
            action,
            faults,
            tuple(rounds),
            healthy_s=chance.uniform(0.3, 1.5),
            hold_s=chance.uniform(0.6, 2.2),
            wait_s=chance.choice((1.5, 2.0, 3.0)),
            seed=chance.getrandbits(48),
        )
