"""The simulated server against real ones: the same commands at the same moment give the same replies and contents."""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import Any

import pytest
from hypothesis import example, given, reject, settings

from killswitch import clock
from killswitch.store.functions import library_source
from tests.simulation import differential
from tests.simulation.differential import Inconclusive, Pair, compare, twin
from tests.simulation.steps import STATE, Words, resolved, sequences
from tests.support.server import RealServer

SOURCE = library_source()


SEALING: Words = ("FCALL", "ks_seal", 1, STATE, "head-id", "head-link", "sha256", "unsealed", "c", "l")

# What chance may miss in one run: a limit that goes along with its key, two entries in one moment, a repaired record.
KNOWN: list[list[Words]] = [
    [("SET", STATE, "SAFE", "PX", 60_000), ("RENAME", STATE, "k:spare"), ("PTTL", "k:spare")],
    [("SET", "k:spare", "x", "PX", 60_000), ("SET", "k:spare", "y", "KEEPTTL"), ("SET", "k:spare", "z")],
    [("FCALL", "ks_engage", 1, STATE)] * 5 + [("XREVRANGE", "k:audit", "+", "-", "COUNT", 2)],
    [("LPUSH", key, "x") for key in ("k:ledger", "k:audit", "k:workers", STATE)] + [("FCALL", "ks_engage", 1, STATE)],
    [("XADD", "k:audit", f"{2**64 - 1}-{2**64 - 1}", "a", "b"), ("FCALL", "ks_engage", 1, STATE)],
    [("SET", "k:seals", "x"), ("FCALL", "ks_engage", 1, STATE), SEALING, ("FCALL", "ks_engage", 1, STATE), SEALING],
]


@example(steps=KNOWN[0])
@example(steps=KNOWN[1])
@example(steps=KNOWN[2])
@example(steps=KNOWN[3])
@example(steps=KNOWN[4])
@example(steps=KNOWN[5])
@settings(max_examples=100)
@given(steps=sequences())
def test_any_sequence_of_commands_answers_and_leaves_the_same_as_on_a_real_server(
    module_server: RealServer, steps: list[Words]
) -> None:
    """Whatever the functions and an operator do to any content, the simulated server does what a real one does."""
    if not compare(module_server.socket_path, SOURCE, STATE, functools.partial(_run, steps), patience_s=0.0):
        reject()


def _run(steps: list[Words], pair: Pair) -> None:
    for words in steps:
        if words[0] == "sleep":
            clock.sleep(int(words[1]) / 1000)
        else:
            pair.run(resolved(pair.server, words))
    pair.compare_contents()


def test_a_permission_with_a_limit_ends_in_the_same_millisecond_as_on_a_real_server(module_server: RealServer) -> None:
    """Up to its last millisecond it holds, and from the next one on it does not, for every command that looks."""

    def action(pair: Pair) -> None:
        pair.run(("FCALL", "ks_engage", 1, STATE))
        pair.run(("FCALL", "ks_reset", 1, STATE, 1, "why", "al", 8))
        while pair.run(("PTTL", STATE)) != -2:
            pair.run(("FCALL", "ks_read", 1, STATE, "n"))
            pair.run(("GET", STATE))
        pair.run(("FCALL", "ks_beat", 1, STATE, 1, "w1", 0, 0, 0, 60_000, 60_000, "i1"))
        pair.compare_contents()

    assert compare(module_server.socket_path, SOURCE, STATE, action)


def test_a_command_that_meets_two_milliseconds_is_compared_only_where_it_never_asks_for_the_time(
    module_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a library takes milliseconds to load, that is compared all the same; what asks for the time is not."""
    told = itertools.count()

    def slowly(reply: Any) -> int:
        return int(reply[0]) * 1000 + int(reply[1]) // 1000 + next(told) % 2 * 60_000  # before, after, before, ...

    with contextlib.closing(twin(module_server.socket_path, SOURCE, STATE)) as pair:
        pair.run(("APPEND", "k:ends", "x"))
        monkeypatch.setattr(differential, "_milliseconds", slowly)
        pair.run(("FUNCTION", "FLUSH"))
        assert pair.run(("GET", "k:ends")) == b"x"
        for words in (("FCALL", "ks_read", 1, STATE, "n"), ("SET", "k:ends", "x", "PX", 5), ("PTTL", "k:ends")):
            with pytest.raises(Inconclusive):
                pair.run(words)
        pair.server.execute(pair.session, ("SET", "k:ends", "x", "PX", 30_000))
        with pytest.raises(Inconclusive):  # whether it is still there depends on the time
            pair.run(("GET", "k:ends"))
