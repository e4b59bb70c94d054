"""Races: two operators against each other, and workers who join while somebody engages."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

from killswitch import Agent, Blocked, Controller, EpochConflict, Outcome, Verdict, clock
from tests.faults.observe import row, sound
from tests.faults.prop import prop
from tests.faults.trader import PATIENCE_S, TIMING
from tests.faults.trader_loop import PASSED
from tests.faults.world import World
from tests.support.agents import fast_settings, kill_client
from tests.support.switch import STATE

_ROUNDS = 120
_JOINS, _EACH = 25, 8
_FLAPS = 60


Done = tuple[Outcome, int, int]
"""What came of a change, and between which moments it took effect."""


def _engage(control: Controller, start: threading.Barrier) -> Done:
    start.wait()
    begun = clock.now_ns()
    return control.engage("race", "alice"), begun, clock.now_ns()


def _reset(control: Controller, start: threading.Barrier, looked: int) -> Done | None:
    start.wait()
    begun = clock.now_ns()
    try:
        return control.reset(looked, "race", "bob"), begun, clock.now_ns()
    except EpochConflict:
        return None


def _tell(world: World, engaged: Done, reset: Done | None, looked: int) -> None:
    """Both changes of a round. The one with the lower epoch came first, whoever heard of it first."""
    outcome, begun, until = engaged
    if reset is not None:
        safe, safe_begun, safe_until = reset
        if safe.epoch < outcome.epoch:
            safe_until, begun = min(safe_until, until - 1), max(begun, safe_begun)
        world.took_effect("SAFE", safe.epoch, safe_begun, safe_until, looked)
    world.took_effect("ENGAGED", outcome.epoch, begun, until, None)


@prop("P8", "P10", "S6", "S2", "S3")
def test_two_operators_racing_never_undo_a_newer_stop(pair: World) -> None:
    """Hundreds of rounds of an engagement against a reset of what was looked at before: each change has an epoch of its
    own, the record tells them in order, and a reset takes effect only on what its operator saw."""
    alice, bob = Controller(pair.control.settings), Controller(pair.control.settings)
    start = threading.Barrier(2)
    won = 0
    with pair.trying(), ThreadPoolExecutor(2) as pool:
        first_epoch = pair.control.engage("before the race").epoch
        pair.took_effect("ENGAGED", first_epoch, clock.now_ns() - 1_000_000_000, clock.now_ns(), None)
        for _ in range(_ROUNDS):
            looked = pair.control.status().switch.epoch
            engaging = pool.submit(_engage, alice, start)
            resetting = pool.submit(_reset, bob, start, looked)
            _tell(pair, engaging.result(), resetting.result(), looked)
            engaged, reset = engaging.result()[0], (resetting.result() or (None,))[0]
            status = pair.control.status()
            assert status.switch.epoch == max(engaged.epoch, reset.epoch if reset else 0)
            assert status.switch.mode == ("SAFE" if reset and reset.epoch > engaged.epoch else "ENGAGED")
            assert reset is None or reset.epoch == looked + 1
            won += reset is not None
        entries = [entry for entry in pair.control.audit(4 * _ROUNDS) if entry.epoch >= first_epoch]
        epochs = [entry.epoch for entry in entries]
        assert epochs == list(range(first_epoch, first_epoch + len(epochs))), "each change has one entry, in order"
        row(
            pair,
            "two operators at once",
            "P8 P10 S6",
            note=f"{_ROUNDS} rounds: the reset came first in {won}, was refused in {_ROUNDS - won}",
        )
    sound(pair)


class _Joiner:
    """An agent that joins at some moment of a round, and checks until the round is over."""

    def __init__(self, world: World, name: str, after_s: float) -> None:
        self._world = world
        self._name = name
        self._after_s = after_s

    def live(self, start: threading.Barrier, over: threading.Event) -> int:
        """How many checks passed; the first and the last of each open stretch are in the history."""
        start.wait()
        clock.sleep(self._after_s)
        passed, last, epoch = 0, 0, None
        agent = Agent(fast_settings(self._world.url, **TIMING), worker_id=self._name)
        self._world.joined(self._name)
        agent.start()
        while not over.is_set():
            begun = clock.now_ns()
            try:
                found = agent.gate.signal()
            except Blocked:
                if epoch is not None:
                    self._world.passed(self._name, epoch, last)
                epoch = None
            else:
                passed, last = passed + 1, begun
                if found != epoch:
                    epoch = found
                    self._world.passed(self._name, epoch, begun)
            clock.sleep(0.0002)
        if epoch is not None:
            self._world.passed(self._name, epoch, last)
        if not agent.close():  # its goodbye was too late; as by the runbook for a worker that is gone
            self._world.raw("FCALL", "ks_leave", 1, STATE, self._name)
        return passed


@prop("P6", "S2", "S3", "S11")
def test_nobody_who_joins_while_somebody_engages_passes_after_the_proof(bare: World) -> None:
    """Hundreds of workers join around engagements: each is among the members that were proved quiet, or read the state
    after it was stopped; none passes a check that begins after QUIET was said."""
    chance = Random(7)
    passed = joined = 0
    bare.permit()
    for number in range(_JOINS):
        start, over = threading.Barrier(_EACH + 1), threading.Event()
        joiners = [_Joiner(bare, f"j{number}-{n}", chance.uniform(0, 0.03)) for n in range(_EACH)]
        with ThreadPoolExecutor(_EACH) as pool:
            lives = [pool.submit(joiner.live, start, over) for joiner in joiners]
            start.wait()
            clock.sleep(chance.uniform(0.005, 0.03))
            outcome = bare.engage(wait_s=PATIENCE_S)
            known = len(outcome.members)
            clock.sleep(0.02)
            over.set()
            passed += sum(life.result() for life in lives)
            joined += known
        # Nobody at all is the one thing that proves nothing.
        assert outcome.verdict is Verdict.QUIET or (known == 0 and outcome.verdict is Verdict.UNCERTAIN), outcome
        sound(bare)
        bare.permit()
    assert 0 < joined < _JOINS * _EACH, "some joined before the membership was taken, and some after"
    assert passed > 0
    row(
        bare,
        f"{_JOINS * _EACH} workers joining around {_JOINS} engagements",
        "P6 S3 S11",
        note=f"{joined} were members when the proof was had, {passed} checks passed before it, none after",
    )


@prop("P8", "P1", "S6")
def test_many_hands_on_the_button_are_as_good_as_one(pair: World) -> None:
    """Engagements from many threads at once: each is recorded under an epoch of its own and all are proved."""
    with pair.trying(), ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: pair.control.engage(f"hand {n}", wait_s=PATIENCE_S), range(12)))
        pair.void(0, clock.now_ns(), "engage")
        # Whoever proved an older stop while a newer one came speaks of the newer one.
        assert {outcome.verdict for outcome in found} == {Verdict.QUIET}
        entries = [e.epoch for e in pair.control.audit(100) if e.reason.startswith("hand ")]
        assert len(entries) == len(set(entries)) == 12
        row(pair, "12 engagements at once", "P8 P1 S6", note="each with an epoch of its own, each proved QUIET")
    sound(pair)


@prop("P2", "P6", "S2", "S3", "S10")
def test_connections_killed_without_pause_let_nothing_slip_through(pair: World) -> None:
    """Agents lose their connections again and again, at any step of making them, while somebody engages: no check
    passes that begins after +OK, and what the proof says is true."""
    chance, over = Random(11), threading.Event()
    killed = 0
    passed = [0, 0]

    def kill() -> None:
        nonlocal killed
        while not over.is_set():
            for name in ("killswitch-push", "killswitch-ask"):
                if chance.random() < 0.5:
                    killed += kill_client(pair.switch, name)
            clock.sleep(chance.uniform(0, 0.02))

    with pair.trying():
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for number in range(_FLAPS):
                before = [trader.slots[PASSED] for trader in pair.traders]
                pair.permit()
                clock.sleep(chance.uniform(0.01, 0.06))
                passed = [old + new for old, new in zip(passed, _more(pair, before), strict=True)]
                if number % 4:
                    ok_ns = pair.engage_raw()
                    clock.sleep(0.01)
                    assert max(trader.last_pass() for trader in pair.traders) <= ok_ns
                else:
                    assert pair.engage(wait_s=0.5).verdict in (Verdict.QUIET, Verdict.UNCERTAIN, Verdict.FENCED)
        finally:
            over.set()
            killer.join()
        assert min(passed) > 0, "both got through now and then"
        row(
            pair,
            "connections killed without pause",
            "P2 P6 S2 S3 S10",
            closed_ns=0,
            bound_ns=0,
            note=f"{_FLAPS} engages, {killed} connections killed, {sum(passed)} checks passed in between",
        )
    sound(pair)


def _more(world: World, before: list[int]) -> list[int]:
    return [int(trader.slots[PASSED]) - count for trader, count in zip(world.traders, before, strict=True)]
