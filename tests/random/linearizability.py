"""Whether a history of concurrent operations could have happened one at a time (Wing and Gong, 1993; Lowe, 2017).

An operation took effect at one moment between its call and its return. One whose outcome nobody knows (`ret` None) may
have taken effect at any moment after its call, or never. The search tries every order that the intervals allow and
remembers the configurations that led nowhere; reads, which change nothing, are taken as soon as they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FIRST", "Operation", "State", "apply", "is_linearizable"]

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class State:
    """The switch. `stale`: the server was restarted, and nobody has written since: the permission is not bound to this
    incarnation, and the first writer records that under an epoch of its own."""

    mode: str
    epoch: int
    stale: bool = False


FIRST = State("ENGAGED", 1)
"""After `init`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`kind` is engage, reset, read or restart; `argument` the epoch that a reset names.

    `result`: of engage the new epoch; of reset the new epoch, or minus the current one where it was refused; of read
    mode and epoch. None where `ret` is None.
    """

    kind: str
    call: int
    ret: int | None
    argument: int = 0
    result: Any = None
    actor: str = ""

    @property
    def end(self) -> int:
        return _NEVER if self.ret is None else self.ret


_LEAP = 1000
"""Epochs that a new incarnation leaps over, because the one before may have given and lost them."""


def _next(state: State) -> int:
    return state.epoch + (_LEAP if state.stale else 1)


def _settled(state: State) -> State:
    """What the first writer under a new incarnation leaves behind: a stop, in writing, with its own epoch."""
    return State("ENGAGED", _next(state)) if state.stale else state


def apply(state: State, operation: Operation) -> State | None:
    """The state after `operation`, or None where its result could not have come about in `state`."""
    if operation.kind == "restart":
        return State(state.mode, state.epoch, True)
    if operation.kind == "read":
        return state if operation.result == (state.mode, state.epoch) else None
    if operation.kind == "engage":
        after = _settled(State("ENGAGED", _next(state), state.stale))
        return after if operation.ret is None or operation.result == after.epoch else None
    before = _settled(state)
    if operation.argument == before.epoch and not state.stale:  # what this very call recorded was not looked at
        after = State("SAFE", before.epoch + 1)
        return after if operation.ret is None or operation.result == after.epoch else None
    return before if operation.ret is None or operation.result == -before.epoch else None


def is_linearizable(history: Sequence[Operation], first: State = FIRST) -> bool:
    """Whether some order of `history` explains every result, starting from `first`."""
    operations = sorted(history, key=lambda operation: (operation.call, operation.end))
    needed = sum(1 << number for number, operation in enumerate(operations) if operation.ret is not None)
    tried: set[tuple[int, State]] = set()
    stack = [(0, first)]
    while stack:
        done, state = stack.pop()
        done = _take_reads(operations, done, state)
        if done & needed == needed:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        for number in _candidates(operations, done):
            after = apply(state, operations[number])
            if after is not None:
                stack.append((done | 1 << number, after))
    return False


def _candidates(operations: Sequence[Operation], done: int) -> Iterator[int]:
    """Those that may come next: called before every other that is left has returned; of twins without an outcome the
    first only, because they can stand for each other."""
    earliest = _NEVER
    found = []
    for number, operation in enumerate(operations):
        if operation.call > earliest:
            break
        if not done >> number & 1:
            found.append(number)
            earliest = min(earliest, operation.end)
    twins: set[tuple[str, int]] = set()
    for number in found:
        operation = operations[number]
        if operation.call > earliest:
            continue
        if operation.ret is None:
            if (operation.kind, operation.argument) in twins:
                continue
            twins.add((operation.kind, operation.argument))
        yield number


def _take_reads(operations: Sequence[Operation], done: int, state: State) -> int:
    """`done` with every read that may come now and fits: it changes nothing, so no order is lost by it."""
    while True:
        fitting = [
            number
            for number in _candidates(operations, done)
            if operations[number].kind == "read" and apply(state, operations[number]) is not None
        ]
        if not fitting:
            return done
        for number in fitting:
            done |= 1 << number
