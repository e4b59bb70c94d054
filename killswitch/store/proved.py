"""Putting on record how a wait for the proof of a stop ended.

Invariant: it is told after the wait, by whoever waited, as an entry that is no change: no epoch is given, no state is
touched, and nobody who stops or permits waits for it. It carries the operation id of the stop, so that telling it again
after an unknown outcome writes nothing twice.
"""

from __future__ import annotations

from killswitch.core.modes import SWITCH
from killswitch.store.functions import Caller
from killswitch.store.keys import Keys

__all__ = ["record_outcome"]


def record_outcome(
    caller: Caller,
    keys: Keys,
    scope: str,
    ended: tuple[int, str, int, int],
    pending: str,
    by: tuple[str, str, str],
) -> None:
    """`ended`: the epoch of the stop, the verdict, milliseconds waited, members concerned. `pending` names who was not
    quiet. `by`: actor, operation id of the stop, and how. Raises StoreRefused, StoreUnavailable."""
    key = keys.state if scope == SWITCH else f"{keys.state}:{scope}"
    caller.call("FCALL", "ks_proved", 1, key, *ended, pending, *by)
