"""Breaks of the protocol, each behind a name: the simulation must find every one of them, or it is too tame.

A mutant puts something wrong in the place of one function of the product, in the library's text, or in the server, for
the length of a run. Nothing of the product is changed on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from killswitch.control import quiescence
from killswitch.control.controller import Controller
from killswitch.core import watch as watch_module
from killswitch.core.answer import Answer, Decision
from killswitch.core.reasons import Code
from killswitch.core.watch import Action, Ask, Drain, Phase, Show, Watch, _Question
from killswitch.errors import KillSwitchError
from killswitch.gate import gate as gate_module
from killswitch.gate.gate import Permit
from killswitch.gate.watcher import Watcher

__all__ = ["MUTANTS", "Mutant", "applied"]

Patch = tuple[object, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`patches`: what stands in whose place. `library` rewrites the function library's text. `read_gate`: a server that
    answers renewals while it refuses writes. `fatal`: what would happen to somebody."""

    fatal: str
    patches: tuple[Patch, ...] = ()
    library: Callable[[str], str] | None = None
    read_gate: bool = False


# -- the gate ------------------------------------------------------------------------------------------------------


def _check_then_announce(permit: Permit) -> Permit:
    permit._gate.check_order(permit.epoch, permit._reduces)
    permit._book.announce(permit._key, permit.order_id)
    return permit


def _check_without_socket(gate: gate_module.Gate, epoch: int, reduces: bool) -> None:
    picture = gate._picture
    if (
        gate_module.now_ns() < (picture.signal_until_ns if reduces else picture.order_until_ns)  # type: ignore[attr-defined]
        and picture.epoch == epoch
    ):
        return
    gate._refuse(reduces)


def _signal_picture_first(gate: gate_module.Gate) -> int:
    picture = gate._picture
    if not gate._ready(0, 1) and gate_module.now_ns() < picture.signal_until_ns:  # type: ignore[attr-defined]
        return picture.epoch
    gate._refuse(reduces=True)


def _check_any_epoch(gate: gate_module.Gate, epoch: int, reduces: bool) -> None:
    picture = gate._picture
    if not gate._ready(0, 1) and gate_module.now_ns() < (  # type: ignore[attr-defined]
        picture.signal_until_ns if reduces else picture.order_until_ns
    ):
        return
    gate._refuse(reduces)


_PLAIN_DO = Watcher._do


# -- the watcher's rules -------------------------------------------------------------------------------------------


def _lease_from_receipt(watch: Watch, now_ns: int, question: _Question, decision: Decision) -> list[Action]:
    return _PLAIN_OPEN(watch, now_ns, replace(question, sent_ns=now_ns), decision)


_PLAIN_OPEN = Watch._open
_PLAIN_PUSHED = Watch.pushed


def _push_voids_nothing(watch: Watch, now_ns: int) -> list[Action]:
    actions = _PLAIN_PUSHED(watch, now_ns)
    if watch._question is not None:
        watch._question.void = False
    return actions


def _drain_first(watch: Watch, now_ns: int) -> list[Action]:
    actions = _PLAIN_PUSHED(watch, now_ns)
    if len(actions) > 1 and isinstance(actions[0], Show) and isinstance(actions[1], Drain):
        actions[0], actions[1] = actions[1], actions[0]
    return actions


def _push_only_drains(watch: Watch, now_ns: int) -> list[Action]:
    return [Drain()] if watch.phase is Phase.CONNECTED else []


def _read_then_register(watcher: Watcher, question: Ask) -> None:
    """The first question on a connection only reads, and its answer is believed; the next beat registers."""
    if question.beat and watcher._line is not None and "was_asked" not in watcher._line.__dict__:
        watcher._line.__dict__["was_asked"] = True
        watcher._line.ask_read(question.nonce)
    else:
        _PLAIN_ASK(watcher, question)


_PLAIN_ASK = Watcher._ask


def _refusal_changes_nothing(watch: Watch, now_ns: int, code: Code, reason: str) -> list[Action]:
    watch._question = None
    watch._next_ask_ns = now_ns
    return []


def _trouble_keeps_open(watch: Watch, now_ns: int, code: Code, reason: str) -> list[Action]:
    kept = watch.picture
    actions = _PLAIN_TROUBLE(watch, now_ns, code, reason)
    watch.picture = replace(kept, signal_until_ns=kept.signal_until_ns and 1 << 62)
    return [Show(watch.picture), *actions[1:]] if kept.is_open else actions


_PLAIN_TROUBLE = Watch.trouble


def _any_epoch(answer: Answer, version: int, scopes: tuple[str, ...], seen: int, engaged_seen: int) -> Decision:
    return _PLAIN_DECIDE(answer, version, scopes, 0, -1)


_PLAIN_DECIDE = watch_module.decide  # type: ignore[attr-defined]


def _always_closed(watcher: Watcher, action: Action) -> list[Action]:
    if isinstance(action, Ask):
        action = replace(action, closed=True)
    return _PLAIN_DO(watcher, action)


def _counts_none(watcher: Watcher, question: Ask) -> None:
    if watcher._line is None:
        return
    if question.beat:
        watcher._line.ask_beat(question.nonce, watcher._make_beat(question, 0, watcher.rung))
    else:
        watcher._line.ask_read(question.nonce)


# -- the operator's side -------------------------------------------------------------------------------------------


_MEMBERS: ContextVar[frozenset[str] | None] = ContextVar("members", default=None)
_PLAIN_ENGAGE = Controller.engage
_PLAIN_FOLLOWERS = quiescence.followers  # type: ignore[attr-defined]


def _membership_first(controller: Controller, *args: Any, **options: Any) -> Any:
    """Looks who is there, then presses, and waits for nobody else."""
    try:
        _MEMBERS.set(frozenset(member.worker_id for member in controller.status().members))
        quiescence.sleep(controller.settings.lease_ms / 10_000)  # type: ignore[attr-defined]
    except KillSwitchError:
        _MEMBERS.set(None)
    return _PLAIN_ENGAGE(controller, *args, **options)


def _followers_known_before(members: Any, scope: str) -> tuple[Any, ...]:
    known = _MEMBERS.get()
    return tuple(m for m in _PLAIN_FOLLOWERS(members, scope) if known is None or m.worker_id in known)


def _zero_in_flight_is_quiet(members: Any, epoch: int) -> tuple[Any, ...]:
    return tuple(member for member in members if member.in_flight)


# -- the library ---------------------------------------------------------------------------------------------------


def _replaced(pattern: str, new: str) -> Callable[[str], str]:
    """`pattern` must be found exactly once."""

    def rewrite(text: str) -> str:
        changed, times = re.subn(pattern, new, text)
        assert times == 1, f"{times} times in the library: {pattern}"
        return changed

    return rewrite


def _both(*steps: Callable[[str], str]) -> Callable[[str], str]:
    def rewrite(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return rewrite


_KNOWN = r"if kept\[1\] == inc\.run_id and kept\[2\] == inc\.replid then return true end"

MUTANTS: dict[str, Mutant] = {
    "permit-after-check": Mutant(
        "an order slips between the check and the announcement", ((Permit, "__enter__", _check_then_announce),)
    ),
    "lease-from-receipt": Mutant("an old answer is believed for a new lease", ((Watch, "_open", _lease_from_receipt),)),
    "late-answer-trusted": Mutant(
        "an answer from before the change reopens", ((Watch, "pushed", _push_voids_nothing),)
    ),
    "read-before-close": Mutant(
        "a check finds the socket empty and the picture open", ((Watch, "pushed", _drain_first),)
    ),
    "picture-before-socket": Mutant(
        "a check loads the picture, then asks the emptied socket",
        ((gate_module.Gate, "signal", _signal_picture_first),),
    ),
    "push-ignored": Mutant("a stop is noticed at the next renewal only", ((Watch, "pushed", _push_only_drains),)),
    "socket-not-asked": Mutant(
        "a busy worker trades on until its watcher runs", ((gate_module.Gate, "check_order", _check_without_socket),)
    ),
    "stale-signal": Mutant(
        "a signal from before a halt becomes an order after it", ((gate_module.Gate, "check_order", _check_any_epoch),)
    ),
    "join-order-worker": Mutant("whoever joins reads before it registers", ((Watcher, "_ask", _read_then_register),)),
    "beat-always-closed": Mutant("an open worker is called quiet", ((Watcher, "_do", _always_closed),)),
    "permits-not-counted": Mutant("an order in flight is called quiet", ((Watcher, "_ask", _counts_none),)),
    "join-order-operator": Mutant(
        "whoever joins between the look and the write is nobody's to wait for",
        ((Controller, "engage", _membership_first), (quiescence, "followers", _followers_known_before)),
    ),
    "quiet-without-ack": Mutant(
        "nothing in flight at the last beat counts as quiet", ((quiescence, "not_quiet", _zero_in_flight_is_quiet),)
    ),
    "epochs-forgotten": Mutant(
        "an old record reopens a fleet that saw it stopped", ((watch_module, "decide", _any_epoch),)
    ),
    "reset-without-epoch": Mutant(
        "a reset undoes a stop that its operator never saw",
        library=_replaced(r"if to_epoch\(args\[1\]\) ~= current.* then\n", "if false then\n"),
    ),
    "no-incarnation-check": Mutant(
        "a restarted server's old permission counts",
        library=_both(
            _replaced(_KNOWN, "if inc.run_id ~= '' then return true end"),
            _replaced(r"run ~= '' and kept\[1\] == run", "true"),
        ),
    ),
    "late-beat-accepted": Mutant(
        "a beat held up on a dead connection calls an open worker quiet",
        library=_replaced(r"local late = kept\[1\] == instance and", "local late = false and"),
    ),
    "rival-ignored": Mutant(
        "two processes under one name, and the quiet one speaks for both",
        library=_replaced(r"local function rivals\(.*\)\n", r"\g<0>  if true then return 0, '' end\n"),
    ),
    "epoch-not-raised": Mutant(
        "after a flush epochs are used twice",
        library=_replaced(r"if seen_epoch > counter\(n\) then", "if false then"),
    ),
    "renewal-despite-refusal": Mutant("nobody can stop those who go on trading", read_gate=True),
}


@contextmanager
def applied(name: str | None) -> Iterator[Mutant]:
    """For the length of a run; None breaks nothing. Raises KeyError for a name that is none."""
    mutant = Mutant("") if name is None else MUTANTS[name]
    kept = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in mutant.patches]
    try:
        for owner, attribute, value in mutant.patches:
            setattr(owner, attribute, value)
        yield mutant
    finally:
        for owner, attribute, value in kept:
            setattr(owner, attribute, value)
