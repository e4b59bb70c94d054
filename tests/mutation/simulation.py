"""Breaks that the simulation led to, and breaks of the simulation itself: it must not be able to look away."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_WATCH = "killswitch/core/watch.py"
_WAITING = "killswitch/gate/waiting.py"
_GATE = "killswitch/gate/gate.py"
_LETTING_GO = ("tests/unit/gate/test_letting_go.py",)
_LATCH = ("tests/unit/core/test_watch_latch.py",)
_BELL = ("tests/unit/gate/test_waiting.py",)
_SEEDS = "tests/simulation/test_simulation.py"

MUTANTS = [
    Mutant(
        "stop-latched-at-its-own-epoch",
        "P9 S5",
        _WATCH,
        "self.engaged_epoch = self.seen_epoch",
        "self.engaged_epoch = max(self.engaged_epoch, decision.epoch)",
        _LATCH,
        "a flushed record counts from one again; when the old one comes back, what it permitted opens the fleet",
    ),
    Mutant(
        "renewal-opens",
        "P6 S11",
        _WATCH,
        "if not (question.beat or self.picture.is_open):",
        "if False:",
        _LATCH,
        "a worker opens while its row still says quiet, and another under its name is believed for both",
    ),
    Mutant(
        "bell-reported-as-a-socket",
        "P2",
        _WAITING,
        "            ready.remove(bell)\n",
        "",
        _BELL,
        "a descriptor of the watcher itself is taken for one of its connections",
    ),
    Mutant(
        "wake-up-kept",
        "P6",
        _WAITING,
        "                self._wake_in.recv(4096)\n",
        "                pass\n",
        _BELL,
        "the watcher never stands still again after the first permit that came back",
    ),
    Mutant(
        "closed-sockets-stay-watched",
        "P2",
        _WAITING,
        "                    self._selector.unregister(fd)\n",
        "                    pass\n",
        _BELL,
        "the end of a connection that was given up wakes the watcher for ever",
    ),
    Mutant(
        "set-closed-under-a-check",
        "P2",
        _GATE,
        "        self.renew_readiness(SHUT)\n",
        "        self._readiness.close()\n        self.renew_readiness(SHUT)\n",
        _LETTING_GO,
        "a check asks a number that belongs to somebody else by now, and takes an event there",
    ),
    Mutant(
        "set-kept-after-the-end",
        "L7",
        _GATE,
        "        self.renew_readiness(SHUT)\n",
        "",
        _LETTING_GO,
        "each engine leaves a descriptor behind until the garbage collector comes by",
    ),
    Mutant(
        "bell-closed-under-a-ringer",
        "L7",
        _WAITING,
        "        self._bell = None\n",
        "        if self._bell is not None:\n            self._bell._end.close()\n        self._bell = None\n",
        _LETTING_GO,
        "the byte of a permit that comes back goes into somebody else's line",
    ),
    Mutant(
        "simulation-by-hash",
        "S1",
        "tests/simulation/machine.py",
        "return self._rng.getrandbits(count)",
        "return hash(str(count)) & ((1 << count) - 1)",
        (f"{_SEEDS}::test_the_same_seed_is_the_same_run_in_every_process",),
        "a seed that found something never finds it again",
    ),
    Mutant(
        "simulation-judge-looks-away",
        "P2",
        "tests/simulation/judge.py",
        "found = [violation for check in CHECKS.values() for violation in _REPLACED.get(check, check)(run)]",
        "found: list[Violation] = []",
        (f"{_SEEDS}::test_a_run_tells_its_story",),
        "a judge that looks away finds every protocol right",
    ),
]
