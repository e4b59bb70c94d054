"""Breaks of what a drill, or any announcement, may cost: no signal, no order, no word of a stop that there is none."""

from __future__ import annotations

from tests.mutation.base import Mutant

__all__ = ["MUTANTS"]

_DOUBT = "workers/doubt.py"
_ENGINE = "workers/engine.py"
_WATCHER = "killswitch/gate/watcher.py"
_ENGINE_TESTS = ("tests/unit/workers/test_engine_doubt.py",)
_TELLING_TESTS = ("tests/unit/gate/test_telling.py",)

MUTANTS = (
    Mutant(
        "announcement-costs-a-signal",
        "P11",
        _DOUBT,
        "        if code is not Code.STATE_CHANGED:\n",
        "        if code is not Code.UNRECORDED:\n",
        (*_ENGINE_TESTS, "-k", "any_check_changes_no_order"),
        "each drill, and each change elsewhere in the fleet, loses the ticks of a round trip",
    ),
    Mutant(
        "waiting-order-takes-the-new-epoch",
        "P8",
        _ENGINE,
        "lambda: self._send(order, epoch, started))",
        "lambda: self._send(order, self._agent.view.epoch, started))",
        (*_ENGINE_TESTS, "-k", "does_not_wait_it_out"),
        "a signal from before a halt becomes an order after it",
    ),
    Mutant(
        "doubt-without-end",
        "P11",
        _DOUBT,
        "        if now - self.since_ns >= self._patience_ns or self._stop.is_set():\n",
        "        if self._stop.is_set():\n",
        (*_ENGINE_TESTS, "-k", "closed_after_a_while", "--timeout", "20"),
        "a watcher that hangs keeps the engine from fills and cancels",
    ),
    Mutant(
        "announcement-is-told-as-a-stop",
        "P11",
        _WATCHER,
        "        if self._doubt_ns and now_ns()",
        "        if not self._doubt_ns and now_ns()",
        (*_TELLING_TESTS, "-k", "drill"),
        "each drill cancels the working orders of whoever listens",
    ),
    Mutant(
        "stop-after-an-announcement-is-not-told",
        "P11",
        _WATCHER,
        "        if was and (not after.is_open or (was.is_open",
        "        if was and ((was.is_open",
        (*_TELLING_TESTS, "-k", "told_with_what_it_was_about"),
        "listeners hear of an announcement and not of the stop",
    ),
    Mutant(
        "storm-of-announcements-is-not-told",
        "P11",
        _WATCHER,
        " < self.watch.timing.patience_ms * NS_PER_MS:",
        " < 1 << 62:",
        (*_TELLING_TESTS, "-k", "storm"),
        "somebody who writes all the time keeps gates closed without a word to listeners",
    ),
)
