"""The checker of histories agrees with trying every order, on random histories that are right and wrong."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from tests.random.linearizability import FIRST, Operation, State, apply, is_linearizable


def brute_force(history: list[Operation], first: State = FIRST) -> bool:
    """Every order of every choice of the operations without an outcome, checked against the intervals."""
    certain = [operation for operation in history if operation.ret is not None]
    unknown = [operation for operation in history if operation.ret is None]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*certain, *chosen]):
                if _in_time(order) and _explains(order, first):
                    return True
    return False


def _in_time(order: tuple[Operation, ...]) -> bool:
    return all(a.call <= b.end for a, b in itertools.combinations(order, 2))


def _explains(order: tuple[Operation, ...], first: State) -> bool:
    state: State | None = first
    for operation in order:
        state = apply(state, operation) if state is not None else None
    return state is not None


def random_history(chance: random.Random, length: int) -> list[Operation]:
    """Operations that take effect one after the other, with intervals around the moments; some outcomes are unknown,
    and in half of the histories one result is changed."""
    state, found = FIRST, []
    for moment in range(10, 10 * (length + 1), 10):
        kind = chance.choice(["engage", "reset", "reset", "read", "read", "restart"])
        argument = state.epoch + chance.choice([0, 0, 0, 1, -1]) if kind == "reset" else 0
        call, ret = moment - chance.randint(0, 25), moment + chance.randint(0, 25)
        lost = kind in ("engage", "reset") and chance.random() < 0.25
        if lost and chance.random() < 0.5:
            found.append(Operation(kind, call, None, argument))  # and it never took effect
            continue
        after = _run(state, kind, argument)
        operation = Operation(
            kind, call, None if lost else ret, argument, None if lost else _result(state, after, kind)
        )
        found.append(operation)
        state = after
    if chance.random() < 0.5:
        at = chance.randrange(len(found))
        found[at] = replace(found[at], result=_other(found[at].result, chance))
    return found


def _run(state: State, kind: str, argument: int) -> State:
    after = apply(state, Operation(kind, 0, None, argument, (state.mode, state.epoch)))
    assert after is not None
    return after


def _result(before: State, after: State, kind: str) -> object:
    if kind == "read":
        return before.mode, before.epoch
    return -after.epoch if kind == "reset" and after.mode == "ENGAGED" else after.epoch


def _other(result: object, chance: random.Random) -> object:
    match result:
        case (mode, int(epoch)):
            return mode, epoch + chance.choice([-1, 1])
        case int(epoch):
            return epoch + chance.choice([-1, 1])
    return result


@pytest.mark.parametrize("seed", range(8))
def test_the_checker_agrees_with_trying_every_order(seed: int) -> None:
    """On 250 random histories of up to six operations for each seed the verdicts are the same, and both occur."""
    chance = random.Random(seed)
    verdicts = []
    for _ in range(250):
        history = random_history(chance, chance.randint(1, 6))
        verdicts.append(is_linearizable(history))
        assert verdicts[-1] is brute_force(history), history
    assert 50 < sum(verdicts) < 240


def test_a_reset_that_undid_a_newer_engagement_is_found() -> None:
    """The very mistake that the epoch is there for: looked at 2, engaged at 3, reset of 2 went through."""
    engaged = Operation("engage", 10, 20, result=2)
    again = Operation("engage", 30, 40, result=3)
    undone = Operation("reset", 50, 60, argument=2, result=4)
    assert not is_linearizable([engaged, again, undone])
    assert is_linearizable([engaged, again, replace(undone, argument=3)])


def test_a_stale_read_is_found() -> None:
    """A read that returns after the engagement did must not show what was before it."""
    opened = Operation("reset", 0, 5, argument=1, result=2)
    engaged = Operation("engage", 10, 20, result=3)
    assert not is_linearizable([opened, engaged, Operation("read", 30, 40, result=("SAFE", 2))])
    assert is_linearizable([opened, engaged, Operation("read", 15, 40, result=("SAFE", 2))])


def test_a_command_without_an_answer_may_have_happened_or_not() -> None:
    """Either is accepted, and it may happen long after its caller gave up."""
    lost = Operation("engage", 10, None)
    for seen in [("ENGAGED", 1), ("ENGAGED", 2)]:
        assert is_linearizable([lost, Operation("read", 100, 110, result=seen)])
    assert not is_linearizable([lost, Operation("read", 100, 110, result=("ENGAGED", 3))])


def test_three_thousand_operations_are_judged() -> None:
    """A long history of eight clients is no harder than it is long."""
    chance = random.Random(1)
    state, history = FIRST, []
    for moment in range(10, 30_010, 10):
        kind = chance.choice(["engage", "reset", "read"])
        argument = state.epoch if kind == "reset" else 0
        after = _run(state, kind, argument)
        interval = moment - chance.randint(0, 40), moment + chance.randint(0, 40)
        history.append(Operation(kind, *interval, argument, _result(state, after, kind)))
        state = after
    assert is_linearizable(history)
    broken = [*history[:-2], replace(history[-2], kind="read", result=("SAFE", 1)), history[-1]]
    assert not is_linearizable(broken)
