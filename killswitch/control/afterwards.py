"""What is done for the record when a change is over and told: how the wait for its proof ended, and the seals.

On a thread of its own, with a connection of its own and a time limit, so that no change, no report of one and no wait
is ever held up by it; whatever goes wrong is left to the next one who seals. The process may end while it runs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from killswitch.clock import now_ns, sleep
from killswitch.control import fencing
from killswitch.control.outcome import Outcome, Verdict
from killswitch.core.chain import Chain
from killswitch.errors import StoreUnavailable
from killswitch.store.bounded import Bounded
from killswitch.store.proved import record_outcome
from killswitch.store.seals import seal_record

if TYPE_CHECKING:
    from killswitch.store.keys import Keys
    from killswitch.store.wire import Wire

__all__ = ["Afterwards"]

_LIMIT_S = 2.0
_STEP_S = 1.0
_MOST = 500
_MOST_THREADS = 4
_PENDING_MAX = 240


class Afterwards:
    """For one controller. `reach` makes a connection by a time (`clock.now_ns`)."""

    def __init__(self, reach: Callable[[int], Wire], keys: Keys, chain: Chain, via: str) -> None:
        self._reach = reach
        self._keys = keys
        self._chain = chain
        self._via = via
        self._owner = os.getpid()
        self._running: set[object] = set()

    def begin(self, outcome: Outcome | None = None) -> None:
        """Seals, beside everything else, and before that puts on record how the wait for `outcome` ended, where it is
        the end of one. Raises nothing and waits for nothing. Who could stop only by other means than the function
        library may not write here either, and is not made to try."""
        if outcome is not None and outcome.means != "function":
            return
        if self._owner != os.getpid():  # the threads of the parent are not here
            self._owner, self._running = os.getpid(), set()
        if len(self._running) >= _MOST_THREADS:
            return
        mark = object()
        self._running.add(mark)
        try:
            fencing.spawn("killswitch-seal", lambda: self._work(outcome, mark))
        except RuntimeError:  # no thread to be had: too many, or the interpreter is going down
            self._running.discard(mark)

    def wait(self, limit_s: float) -> None:
        """Until what was begun is over, at most `limit_s` seconds."""
        until_ns = now_ns() + int(limit_s * 1e9)
        while self._running and self._owner == os.getpid() and now_ns() < until_ns:
            sleep(0.002)

    def _work(self, outcome: Outcome | None, mark: object) -> None:
        until_ns = now_ns() + int(_LIMIT_S * 1e9)
        try:
            for _ in range(2):  # both may be repeated: the outcome carries an operation id, a seal is made once
                with contextlib.suppress(StoreUnavailable):
                    self._tell(outcome, until_ns)
                    break
        except Exception:  # nobody is there to hear it, and the next sealer makes up for it
            pass
        finally:
            self._running.discard(mark)

    def _tell(self, outcome: Outcome | None, until_ns: int) -> None:
        with contextlib.closing(self._reach(until_ns)) as wire:
            caller = Bounded(wire, until_ns, _STEP_S)
            if outcome is not None and outcome.epoch and outcome.verdict is not Verdict.RECORDED:
                record_outcome(
                    caller,
                    self._keys,
                    outcome.scope,
                    (outcome.epoch, str(outcome.verdict), int(outcome.waited_ms), len(outcome.members)),
                    _names([member.worker_id for member in outcome.pending]),
                    (outcome.actor, outcome.operation, self._via),
                )
            seal_record(caller, self._keys, self._chain, _MOST)


def _names(names: list[str]) -> str:
    """As many names as there is room for, and how many more there are."""
    told = ""
    for number, name in enumerate(names):
        longer = f"{told}, {name}" if told else name
        if len(longer.encode(errors="replace")) > _PENDING_MAX - 20:
            return f"{told} and {len(names) - number} more" if told else f"{len(names)} workers"
        told = longer
    return told
