"""What a command brought about, with no green word for what was not proved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from killswitch.core.fleet import Member
from killswitch.store.switch import Durability

__all__ = ["Outcome", "Verdict"]


class Verdict(StrEnum):
    """RECORDED: written, nobody was waited for. QUIET: every member reported closed gates at this epoch and nothing in
    flight. UNCERTAIN: somebody did not; the outcome names who, with their last words."""

    RECORDED = "RECORDED"
    QUIET = "QUIET"
    UNCERTAIN = "UNCERTAIN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of engage, reduce or reset.

    `epoch` is the one this change was recorded at (0: set, but nobody has recorded it yet). `state` and `was` are what
    the key holds and held. `members` are those the command concerned, `pending` those of them not proved quiet.
    `leases_out`: every lease that could have been held has run out, so no gate is open even at the pending ones, but
    an order that had passed its gate may still be on its way. `note` explains an unusual end. `repeated`: the
    operation had been done before and was not done again.
    """

    verdict: Verdict
    epoch: int
    scope: str
    was: str
    state: str
    actor: str
    reason: str
    repeated: bool = False
    durability: Durability | None = None
    members: tuple[Member, ...] = ()
    pending: tuple[Member, ...] = ()
    waited_ms: float = 0.0
    leases_out: bool = False
    note: str = ""
